"""Try each way out of a test, without the plugin and with it, and say what became of it.

    python -m tests.ways.run_ways                        # the whole list
    python -m tests.ways.run_ways --group Resolvers      # one group
    python -m tests.ways.run_ways connect-ex urllib      # some, by id
    python -m tests.ways.run_ways --kernel both --write  # the whole list, with and without the kernel layer, kept
    python -m tests.ways.run_ways --prove                # also the unguarded runs whose proof is kept

Each run is a pytest project with one test, in a process of its own, in a network of its own. It runs once without the
plugin, to prove that the way leads out, and then in strict mode as a small test that dials abroad, a small test that
dials this machine, and a medium test that dials abroad. The proof is kept in results.json with a digest of the way's
code, and made anew when that changes. Whether something got out is read from the network interfaces,
never from how the call ended.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tests.ways import world
from tests.ways.ways import Way, all_ways, project

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

ROOT: Final = Path(__file__).parents[2]
RESULTS: Final = Path(__file__).with_name("results.json")
TIMEOUT: Final = 20.0
_PLUGIN: Final = "pytest_test_categories.pytest_plugin"
_KEPT: Final = ("PATH", "LANG", "LC_ALL", "VIRTUAL_ENV", "PYENV_VERSION", "COVERAGE_PROCESS_START")
_PATH: Final = os.environ.get("PATH", os.defpath) + ":/sbin:/usr/sbin"
_USAGE_ERROR: Final = 4
_REQUIRED: Final = "the kernel layer is required"
_SECTION: Final = re.compile(r"^=+ test categories \(strict\) =+$", re.MULTILINE)


_SPECIAL: Final = ("answered", "unstarted")


class Outcome(NamedTuple):
    """What became of a guarded run: whether nothing got out, whether it failed by our doing, whether it says where to.

    One that is answered without the network need not fail, and one that is not started, since the kernel layer is required
    and can't work, has nothing to name.
    """

    stopped: bool
    failed: bool
    named: bool
    answered: bool = False
    unstarted: bool = False

    @property
    def good(self) -> bool:
        """Whether all is as it should be."""
        return self.stopped and (self.answered or self.unstarted or (self.failed and self.named))

    def to_dict(self) -> dict[str, bool]:
        """Return it as the results keep it."""
        return {name: holds for name, holds in self._asdict().items() if holds or name not in _SPECIAL}


def why_not_here() -> str:
    """Return why ways can't be tried on this machine, empty if they can."""
    if lacking := [name for name in ("unshare", "ip", "openssl") if shutil.which(name, path=_PATH) is None]:
        return f"{', '.join(lacking)} {'is' if len(lacking) == 1 else 'are'} missing"
    command = [*_unshare(), "ip", "link", "add", "here", "type", "veth"]
    probe = subprocess.run(command, check=False, capture_output=True, env=os.environ | {"PATH": _PATH})
    return "" if probe.returncode == 0 else "`unshare --net --mount` or a pair of interfaces is not permitted here"


def _unshare() -> list[str]:
    return ["unshare", "--net", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]


class World:
    """A process that runs what it is given in a network of its own."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="ways-")
        self._process = subprocess.Popen(
            [*_unshare(), sys.executable, "-m", "tests.ways.world", self._folder.name],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._runs = 0
        self._read()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the network of a run could not be made, or has ended")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def run(
        self,
        way: Way,
        variant: str,
        *,
        layers: str = "",
        verbose: bool = False,
        python: str = sys.executable,
        settings: Mapping[str, str] | None = None,
        options: Iterable[str] = (),
    ) -> dict[str, Any]:
        """Run a way.

        Args:
            way: What to run.
            variant: The size and the target.
            layers: Empty for a run without the plugin, else ``python`` or ``kernel``.
            verbose: Whether to print what the run says.
            python: The interpreter to run it with.
            settings: Added to the run's environment variables.
            options: Added to the command line.
        """
        self._runs += 1
        folder = Path(self._folder.name) / str(self._runs)
        folder.mkdir()
        unix = str(Path(self._folder.name) / "server.sock")
        files = project(way, variant, unix)
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
        command = [
            python,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            f"--tb={'short' if verbose else 'no'}",
            *options,
        ]
        if "early.py" in files:
            command += ["-p", "early"]
        for plugin in way.plugins:
            command += ["-p", plugin]
        if layers:
            command += ["-p", _PLUGIN, "--test-categories-enforcement=strict"]
        if layers == "kernel":
            command += ["--network-kernel-guard=require"]
        environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
        environment |= {
            "HOME": str(folder),
            "TMPDIR": str(folder),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "AWS_ACCESS_KEY_ID": "none",
            "AWS_SECRET_ACCESS_KEY": "none",
            "AWS_DEFAULT_REGION": "eu-west-1",
            **(settings or {}),
        }
        order = {"command": command, "directory": str(folder), "environment": environment, "timeout": TIMEOUT}
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer = self._read()
        if verbose:
            print(f"--- {way.id} {variant} {layers or 'unguarded'}: status {answer['status']}, seen {answer['seen']}")
            print(answer["output"])
        return answer

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
        self._folder.cleanup()


def escapes(way: Way, variant: str, seen: Iterable[str]) -> list[str]:
    """Return those of the things seen that are this way's."""
    prefix = "abroad " if variant.endswith("foreign") else "local "
    found = [thing for thing in seen if thing.startswith(prefix)]
    if way.token:
        return [thing for thing in found if thing.endswith(" token")]
    return found


def judge(way: Way, variant: str, answer: dict[str, Any]) -> Outcome:
    """Read a guarded run's outcome."""
    section = _SECTION.split(answer["output"])
    listed = section[-1] if len(section) > 1 else ""
    targets: tuple[str, ...]
    if variant.endswith("foreign"):
        targets = (world.ABROAD, world.ABROAD6, world.NAME, world.RESOLVER)
    else:
        targets = ("127.0.0.1", "localhost", "::1", "server.sock", "unix:@", "0.0.0.0")
    lines = [line for line in listed.splitlines() if line.startswith("    ")]
    size = variant.partition("-")[0]
    return Outcome(
        answered=way.answered == size and answer["status"] == 0,
        unstarted=answer["status"] == _USAGE_ERROR and _REQUIRED in answer["output"],
        stopped=not escapes(way, variant, answer["seen"]),
        failed=answer["status"] in {1, 2} and "violation" in listed,
        named=any(target in line for line in lines for target in (*targets, *way.shown)),
    )


def try_way(
    world_: World, way: Way, layers: Iterable[str], proof: dict[str, bool] | None, *, verbose: bool = False
) -> dict[str, Any]:
    """Run one way in all its variants, unguarded too unless there is a proof that it leads out.

    Returns:
        The entry for the results: ``missing``, or ``out`` (whether the way leads out unguarded, by target) and the
        outcomes by layers and variant.
    """
    entry: dict[str, Any] = {"id": way.id, "group": way.group, "title": way.title}
    if missing := way.missing():
        return {**entry, "missing": missing}
    out = dict(proof or {})
    for variant in way.variants:
        where = variant.partition("-")[2]
        if where not in out:
            answer = world_.run(way, variant, verbose=verbose)
            out[where] = bool(escapes(way, variant, answer["seen"]))
    entry |= {"code": way.digest, "out": out}
    for layer in layers:
        entry[layer] = {
            variant: judge(way, variant, world_.run(way, variant, layers=layer, verbose=verbose)).to_dict()
            for variant in way.variants
            if out[variant.partition("-")[2]]
        }
    return entry


def try_all(
    ways: list[Way],
    layers: tuple[str, ...],
    *,
    jobs: int,
    proofs: dict[str, dict[str, bool]],
    report: Callable[[dict[str, Any]], None] = lambda _entry: None,
    verbose: bool = False,
) -> list[dict[str, Any]]:
    """Run ways, several at a time, each in a network of its own; results in the order of the ways."""
    results: dict[str, dict[str, Any]] = {}

    def try_one(here: World, way: Way) -> None:
        results[way.id] = try_way(here, way, layers, proofs.get(way.id), verbose=verbose)
        report(results[way.id])

    in_networks(ways, jobs, try_one)
    return [results[way.id] for way in ways]


def in_networks(ways: list[Way], jobs: int, act: Callable[[World, Way], None]) -> None:
    """Call ``act`` for each way, in threads of which each has a network of its own; raise what it raises."""
    waiting: queue.SimpleQueue[Way] = queue.SimpleQueue()
    for way in ways:
        waiting.put(way)
    broken: list[BaseException] = []

    def work() -> None:
        try:
            here = World()
            try:
                while True:
                    try:
                        way = waiting.get_nowait()
                    except queue.Empty:
                        return
                    act(here, way)
            finally:
                here.close()
        except BaseException as error:  # it is raised again, in the thread that waits
            broken.append(error)

    threads = [threading.Thread(target=work) for _ in range(min(jobs, len(ways)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if broken:
        raise broken[0]


def shortcomings(entry: dict[str, Any]) -> list[str]:
    """Return a line for each thing that is not as it should be."""
    lines = [
        f"does not lead out unguarded ({where}): proves nothing"
        for where, reached in entry.get("out", {}).items()
        if not reached
    ]
    for layer in ("python", "kernel"):
        for variant, outcome in entry.get(layer, {}).items():
            wanted = ("stopped",) if any(map(outcome.get, _SPECIAL)) else ("stopped", "failed", "named")
            wrong = [f"not {name}" for name in wanted if not outcome[name]]
            if wrong:
                lines.append(f"{layer} {variant}: {', '.join(wrong)}")
    return lines


def load() -> list[dict[str, Any]]:
    """Return the results that are kept."""
    results: list[dict[str, Any]] = json.loads(RESULTS.read_text(encoding="utf-8"))["ways"] if RESULTS.exists() else []
    return results


def kept_proofs() -> dict[str, dict[str, bool]]:
    """Return which ways are known to lead out, by id: those whose code is what it was."""
    digests = {way.id: way.digest for way in all_ways()}
    return {
        entry["id"]: entry["out"]
        for entry in load()
        if "out" in entry and all(entry["out"].values()) and entry["code"] == digests.get(entry["id"])
    }


def merge(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the kept results with new ones in their places, in the list's order."""
    kept = {entry["id"]: entry for entry in load()}
    for entry in results:
        before = kept.get(entry["id"], {})
        layers: dict[str, Any] = {layer: before[layer] for layer in ("python", "kernel") if layer in before}
        kept[entry["id"]] = entry if "missing" in entry else {**layers, **entry}
    return [_ordered(kept[way.id], way) for way in all_ways() if way.id in kept]


def _ordered(entry: dict[str, Any], way: Way) -> dict[str, Any]:
    entry = {**entry, "group": way.group, "title": way.title}
    return {
        key: entry[key]
        for key in ("id", "group", "title", "missing", "code", "out", "python", "kernel")
        if key in entry
    }


def save(results: list[dict[str, Any]]) -> None:
    """Keep results: a line for each way, so that a change of one shows as one."""
    lines = ",\n".join(json.dumps(entry) for entry in results)
    version = ".".join(str(part) for part in sys.version_info[:2])
    head = f'"python": "{version}", "platform": "{sys.platform}", "machine": "{os.uname().machine}"'
    RESULTS.write_text(f'{{{head}, "ways": [\n{lines}\n]}}\n', encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
    """Run the list, or a part of it."""
    parser = argparse.ArgumentParser(description="Try each way out of a test.")
    parser.add_argument("ids", nargs="*", help="ways to try; all without any")
    parser.add_argument("--group", action="append", help="a group to try, or the beginning of its name")
    parser.add_argument("--kernel", choices=("off", "on", "both"), default="off", help="with the Linux kernel layer")
    parser.add_argument("--jobs", type=int, default=2 * (os.cpu_count() or 1), help="how many at a time")
    parser.add_argument("--write", action="store_true", help="keep the results, for the page in the reference")
    parser.add_argument("--prove", action="store_true", help="run unguarded also what is known to lead out")
    parser.add_argument("--list", action="store_true", help="list the ways, and try none")
    parser.add_argument("-v", "--verbose", action="store_true", help="show what each run says")
    options = parser.parse_args(arguments)
    ways = all_ways()
    if options.ids:
        if unknown := set(options.ids) - {way.id for way in ways}:
            parser.error(f"no such way: {', '.join(sorted(unknown))}")
        ways = [way for way in ways if way.id in options.ids]
    if options.group:
        ways = [way for way in ways if way.group.lower().startswith(tuple(name.lower() for name in options.group))]
    if options.list:
        for way in ways:
            print(f"{way.group}: {way.id}: {way.title}{' (missing: ' + way.missing() + ')' if way.missing() else ''}")
        return 0
    if reason := why_not_here():
        print(reason)
        return 3
    layers = {"off": ("python",), "on": ("kernel",), "both": ("python", "kernel")}[options.kernel]
    began = time.monotonic()

    def report(entry: dict[str, Any]) -> None:
        said = "; ".join(shortcomings(entry)) or (
            f"not available here: {entry['missing']}" if "missing" in entry else ""
        )
        if said:
            print(f"{entry['group']}: {entry['id']}: {said}", flush=True)

    results = try_all(
        ways,
        layers,
        jobs=1 if options.verbose else options.jobs,
        proofs={} if options.prove else kept_proofs(),
        report=report,
        verbose=options.verbose,
    )
    tried = [entry for entry in results if "missing" not in entry]
    good = [entry for entry in tried if not shortcomings(entry)]
    seconds = time.monotonic() - began
    print(f"{len(results)} ways, {len(tried)} available, {len(good)} stopped, failed and named; {seconds:.0f} s")
    if options.write:
        from tests.ways import table

        save(merge(results))
        table.write()
    return 0 if len(good) == len(tried) else 1


if __name__ == "__main__":
    sys.exit(main())
