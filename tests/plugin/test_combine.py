"""`--network-report=FILE.jsonl` and `python -m pytest_test_categories combine`, with real runs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import jsonschema
import pytest
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[..., pytest.RunResult]

SCHEMA: Final = json.loads((Path(__file__).parents[2] / "docs/reference/recording.schema.json").read_text("utf-8"))
SUITE: Final = {
    "conftest.py": """
import contextlib, os, socket, threading
import pytest
PORT = int(os.environ["PORT"])

def dial(port=PORT, host="127.0.0.1"):
    with contextlib.suppress(OSError):
        socket.create_connection((host, port), 5).close()

dial()

@pytest.fixture(scope="session")
def db():
    dial(host="localhost")

@pytest.fixture(scope="session", params=["a", "b"])
def either(request):
    dial()

@pytest.fixture(scope="module")
def web():
    dial()
""",
    "a/test_a.py": """
import subprocess, threading
import pytest
from conftest import dial
pytestmark = pytest.mark.small

def test_db(db): pass
def test_db_again(db): pass
@pytest.mark.parametrize("port", [1, 2])
def test_param(port): dial(port)
def test_known(): dial(3)
def test_program(): subprocess.run(["true"])
@pytest.mark.medium
def test_thread():
    thread = threading.Thread(target=dial); thread.start(); thread.join()
@pytest.mark.xfail
def test_xfails(): assert 0
""",
    "a/test_imports.py": """
import pytest
from conftest import dial
dial(4)
pytestmark = pytest.mark.large
def test_imported(): pass
""",
    "b/test_b.py": """
import threading
import pytest
from conftest import dial

@pytest.mark.small
def test_db(db): pass
@pytest.mark.medium
def test_web(web): dial()
@pytest.mark.medium
def test_web_again(web): pass
@pytest.mark.medium
def test_either(either): pass
@pytest.mark.small
def test_leaves_a_thread():
    thread = threading.Thread(target=dial, args=(5,)); thread.start(); thread.join()
def test_unsized(): dial()
@pytest.mark.skip
def test_skipped(): pass
""",
}
BASELINE: Final = (
    '{"version": 1, "violations": [\n["a/test_a.py::test_known", "connect", "127.0.0.1:3"],\n"end of list"\n]}\n'
)


@pytest.fixture
def suite(pytester: pytest.Pytester, listener: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the directory of a project with violations of all kinds."""
    monkeypatch.setenv("PORT", str(listener[1]))
    for variable in ("CI_NODE_TOTAL", "GITHUB_ACTIONS"):
        monkeypatch.delenv(variable, raising=False)
    for name, text in SUITE.items():
        path = pytester.path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    (pytester.path / "known.json").write_text(BASELINE)
    pytester.makeini("[pytest]\npythonpath = .\ntest_categories_network_baseline = known.json\n")
    return pytester.path


def combine(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a directory."""
    command = [sys.executable, "-m", "pytest_test_categories", "combine", *args]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


def read(path: Path) -> Any:
    """Return a report without its times."""
    report = json.loads(path.read_text())
    for test in report["tests"]:
        test["seconds"] = 0
    return report


def lines(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a recording, each checked against the schema."""
    found = [json.loads(line) for line in path.read_text().splitlines()]
    for line in found:
        jsonschema.validate(line, SCHEMA)
    return found


def cuts(suite: Path, run_pytest: Run, cut: str) -> list[str]:
    """Run a suite in parts, each with a recording; return what else ``combine`` is to know."""
    if cut == "workers":
        run_pytest("--network-report=parts/1.jsonl", workers=2)
    elif cut == "pytest-split":
        for n in "123":
            run_pytest(
                "--splits=3", f"--group={n}", f"--network-report=parts/{n}.jsonl", plugins=("pytest_split.plugin",)
            )
    elif cut == "pytest-shard":
        for n in "01":
            options = ("--num-shards=2", f"--shard-id={n}", f"--network-report=parts/{n}.jsonl")
            run_pytest(*options, plugins=("pytest_shard.pytest_shard",))
    elif cut == "path":
        for path in "ab":
            run_pytest(path, f"--network-report=parts/{path}.jsonl")
        return ["--expect=2"]
    else:
        nodes = [test["id"] for test in json.loads((suite / "whole.json").read_text())["tests"]]
        for number, node in enumerate(nodes):
            run_pytest(node, f"--network-report=parts/{number}.jsonl")
        return [f"--expect={len(nodes)}"]
    return []


@pytest.mark.parametrize("cut", ["workers", "pytest-split", "pytest-shard", "path", "one by one"])
def test_a_suite_that_is_cut_gives_the_report_baseline_and_sizes_of_one_run(
    cut: str, suite: Path, run_pytest: Run
) -> None:
    if cut.startswith("pytest-"):
        pytest.importorskip(cut.replace("-", "_"))
    whole = run_pytest("--network-report=whole.json")
    expect = cuts(suite, run_pytest, cut)
    files = ["cut.json", "cut.md", "cut.sarif", "cut.html"]
    done = combine(suite, "parts", *expect, *(f"--network-report={file}" for file in files))
    assert (done.returncode, done.stderr) == (0, "")
    assert read(suite / "cut.json") == read(suite / "whole.json")
    assert all((suite / file).stat().st_size for file in files)
    for path in (suite / "parts").iterdir():
        assert "complete" in lines(path)[-1]
    # The baseline: what is known, and what an update adds.
    strict = combine(suite, "parts", *expect, "--network-baseline=known.json", "--network-baseline-strict")
    assert strict.returncode == 1
    whole.stdout.fnmatch_lines(["network baseline: 1 known violation warned"])
    assert "network baseline: 1 known violation warned" in strict.stdout
    sizes = combine(suite, "parts", *expect, "--network-suggest-sizes").stdout
    assert "a/test_a.py: " in sizes


def test_baseline_and_sizes_of_shards_are_those_of_one_run(suite: Path, run_pytest: Run) -> None:
    pytest.importorskip("pytest_split")
    split = "pytest_split.plugin"
    run_pytest("--network-baseline-update", "--network-baseline=one.json", "--network-report=x.jsonl")
    one = run_pytest("--network-suggest-sizes", "-v")
    for n in "12":
        shard = ("--splits=2", f"--group={n}")
        options = ("--network-baseline-update", f"--network-baseline=of-{n}.json", f"--network-report=b/{n}.jsonl")
        run_pytest(*shard, *options, plugins=(split,))
        run_pytest(*shard, "--network-suggest-sizes", f"--network-report=s/{n}.jsonl", plugins=(split,))
    updated = combine(suite, "b", "--network-baseline=all.json", "--network-baseline-update")
    assert updated.returncode == 0
    assert (suite / "all.json").read_text() == (suite / "one.json").read_text()
    strict = combine(suite, "b", "--network-baseline=all.json", "--network-baseline-strict")
    assert strict.returncode == 0, strict.stdout
    suggested = combine(suite, "s", "--network-suggest-sizes", "-v").stdout.splitlines()[1:]
    assert suggested
    assert "\n".join(suggested) in "\n".join(one.outlines)
    pytest.importorskip("libcst")
    before = (suite / "b/test_b.py").read_text()
    applied = combine(suite, "s", "--network-suggest-sizes=apply", "--network-suggest-sizes-force")
    assert applied.returncode == 0, applied.stderr
    assert (suite / "b/test_b.py").read_text() != before
    assert run_pytest("--network-report=after.json", "-q").ret == 1  # test_known and the like still need a fix
    fine = {test["id"]: test["size"] for test in read(suite / "after.json")["tests"]}
    assert fine["b/test_b.py::test_unsized"] == "medium"


def test_an_entry_of_a_fixture_that_no_shard_repeats_is_stale(suite: Path, run_pytest: Run) -> None:
    fixture, line = "fixture b/test_b.py::web (module): connect gone.example:1", "no longer happen"
    stale = '["fixture b/test_b.py::web (module)", "connect", "gone.example:1"],\n'
    (suite / "known.json").write_text(BASELINE.replace('"end of list"', f'{stale}"end of list"'))
    for path in "ab":
        part = run_pytest(path, f"--network-report=parts/{path}.jsonl")
        assert line not in str(part.stdout)
    found = combine(suite, "parts", "--expect=2", "--network-baseline=known.json", "--network-baseline-strict")
    assert found.returncode == 1
    assert line in found.stdout
    assert fixture in found.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="sends a signal")
def test_fixtures_are_held_to_what_all_parts_say(suite: Path, run_pytest: Run) -> None:
    for part, size in (("a", "small"), ("b", "medium")):
        test = f"import pytest\n@pytest.mark.{size}\ndef test_either(either): pass\n"
        (suite / part / "test_shared.py").write_text(test)
    for part in "ab":
        run_pytest(part, f"--network-report=recordings/{part}.jsonl", "--test-categories-enforcement=off")
    file = suite / "network-fixtures.json"
    done = combine(suite, "recordings", "--expect=2", f"--network-fixtures={file.name}", "--network-fixtures-update")
    assert done.returncode == 0, done.stderr
    of_parts = file.read_text()
    assert '["either (session)", 0, "smallest", "small", "a/test_shared.py::test_either[a]"]' in of_parts
    file.unlink()
    run_pytest(f"--network-fixtures={file.name}", "--network-fixtures-update", "--collect-only")
    assert file.read_text() == of_parts
    file.write_text(of_parts.replace('"small"', '"large"'))
    said = combine(suite, "recordings", "--expect=2", f"--network-fixtures={file.name}")
    assert "network-fixtures.json is out of date; --network-fixtures-update rewrites it:" in said.stdout
    assert said.returncode == 0


def test_gates_hold_for_all_parts_together(suite: Path, run_pytest: Run) -> None:
    for part in "ab":
        run_pytest(part, f"--network-report=recordings/{part}.jsonl", "--test-categories-enforcement=off")
    passed = combine(suite, "recordings", "--expect=2", "--test-categories-gates=unsized <= 2")
    assert passed.returncode == 0, passed.stdout
    failed = combine(suite, "recordings", "--expect=2", "--test-categories-gates=unsized = 0")
    assert failed.returncode == 1
    assert "unsized" in failed.stdout
    wrong = combine(suite, "recordings", "--test-categories-gates=unsize = 0")
    assert wrong.returncode == 4
    assert "'unsize' is not one of" in wrong.stderr


@pytest.mark.parametrize("workers", [0, 2])
def test_a_run_that_is_killed_leaves_what_it_saw(suite: Path, workers: int) -> None:
    (suite / "b/test_z.py").write_text("import time\ndef test_hangs(): time.sleep(600)\n")
    recording = suite / "killed.jsonl"
    command = [sys.executable, "-m", "pytest", "--test-categories-enforcement=strict", f"--network-report={recording}"]
    extra = ["-p", "xdist", "-n", str(workers)] if workers else []
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    plugin = ["-p", "pytest_test_categories.pytest_plugin", "-p", "no:cacheprovider"]
    process = subprocess.Popen(
        [*command, *plugin, *extra],
        cwd=suite,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        until(lambda: recording.exists() and "b/test_b.py::test_unsized" in recording.read_text(), seconds=120)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    done = combine(suite, "killed.jsonl", "--network-report=killed.json")
    assert done.returncode == 1
    assert "killed.jsonl ends early" in done.stdout
    assert "  b/test_z.py::test_hangs" in done.stdout
    report = read(suite / "killed.json")
    assert not report["complete"]
    assert "b/test_b.py::test_unsized" in {access["test"] for access in report["accesses"]}


def test_a_worker_that_is_killed_loses_no_other_test(suite: Path, run_pytest: Run) -> None:
    (suite / "b/test_z.py").write_text("import os\ndef test_dies(): os._exit(1)\n")
    run_pytest("--network-report=r.jsonl", "--network-report=r.json", workers=2)
    found = lines(suite / "r.jsonl")
    assert found[-1]["reasons"] == ["a worker crashed"]
    assert combine(suite, "r.jsonl", "--network-report=c.json").returncode == 0
    assert read(suite / "c.json") == read(suite / "r.json")


def test_a_missing_shard_and_its_tests_are_named(suite: Path, run_pytest: Run) -> None:
    pytest.importorskip("pytest_split")
    for n in "13":
        run_pytest("--splits=3", f"--group={n}", f"--network-report=parts/{n}.jsonl", plugins=("pytest_split.plugin",))
    done = combine(suite, "parts", "--network-report=c.md")
    assert done.returncode == 1
    assert "shard 2 of 3 is missing" in done.stdout
    assert "no recording has these tests: " in done.stdout
    assert "Incomplete run" in (suite / "c.md").read_text()


def test_what_an_option_leaves_out_is_not_missing(suite: Path, run_pytest: Run) -> None:
    pytest.importorskip("pytest_split")
    run_pytest("--network-report=whole.json", "-k", "not param", "-m", "not large")
    for n in "12":
        options = ("--splits=2", f"--group={n}", "-k", "not param", "-m", "not large")
        run_pytest(*options, f"--network-report=parts/{n}.jsonl", plugins=("pytest_split.plugin",))
    done = combine(suite, "parts", "--network-report=c.json")
    assert done.returncode == 0, done.stdout
    assert read(suite / "c.json") == read(suite / "whole.json")


def test_recordings_of_other_settings_are_refused_unless_forced(suite: Path, run_pytest: Run) -> None:
    run_pytest("a", "--network-report=parts/a.jsonl")
    run_pytest("b", "--network-report=parts/b.jsonl", "--network-allow=db.example")
    refused = combine(suite, "parts", "--network-report=c.json")
    assert refused.returncode == 4
    assert "other settings: test_categories_network_allow in parts/b.jsonl" in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert not (suite / "c.json").exists()
    forced = combine(suite, "parts", "--network-report=c.json", "--force")
    assert forced.returncode == 0
    assert "other settings: test_categories_network_allow" in forced.stdout


@pytest.mark.parametrize(
    ("args", "said"),
    [
        pytest.param(["none.jsonl"], "none.jsonl can't be read: ", id="no such file"),
        pytest.param(["known.json"], "known.json is no recording", id="another file"),
        pytest.param(["empty"], "no recording in empty", id="a directory without any"),
        pytest.param(["empty", "--network-report=x.txt"], "'x.txt' has no suffix", id="no format"),
        pytest.param(["empty", "--network-report=x.jsonl"], "x.jsonl is a recording", id="a recording"),
        pytest.param(["empty", "--network-baseline-strict"], "needs a file", id="no baseline"),
        pytest.param(["empty", "--network-baseline=x"], "--network-baseline: x does not exist", id="baseline"),
        pytest.param(["empty", "--network-suggest-sizes=all"], "invalid choice: 'all'", id="sizes"),
        pytest.param(["empty", "--expect=-1"], "--expect: -1", id="expect"),
        pytest.param(["empty", "--expect=x"], "invalid int value: 'x'", id="no number"),
    ],
)
def test_a_wrong_argument_gets_one_line_and_status_4(args: list[str], said: str, suite: Path) -> None:
    (suite / "empty").mkdir()
    (suite / "empty/other.jsonl").write_text('{"a": 1}\n')
    done = combine(suite, *args)
    assert done.returncode == 4
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_combine_elsewhere_touches_no_baseline(suite: Path, run_pytest: Run, tmp_path: Path) -> None:
    run_pytest("--network-report=r.jsonl")
    (tmp_path / "known.json").write_text(BASELINE)
    options = ("--network-baseline=known.json", "--network-baseline-update")
    done = combine(tmp_path, str(suite / "r.jsonl"), *options)
    assert done.returncode == 4
    assert "start combine in the root directory" in done.stderr
    assert (tmp_path / "known.json").read_text() == BASELINE


@pytest.mark.parametrize("workers", [0, 2])
def test_a_recording_that_cannot_be_written_fails_no_run(
    workers: int, pytester: pytest.Pytester, run_pytest: Run
) -> None:
    pytester.makepyfile("def test_a(): pass")
    (pytester.path / "file").write_text("")
    result = run_pytest("--network-report=file/r.jsonl", workers=workers)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["network recording: file/r.jsonl could not be written in full: *"])


def test_combine_imports_no_pytest(suite: Path, run_pytest: Run) -> None:
    run_pytest("a", "--network-report=r.jsonl")
    code = (
        "import sys\nfrom pytest_test_categories._commands import main\n"
        "main(['combine', 'r.jsonl', '--network-report=c.json'])\nassert 'pytest' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=suite, check=True, capture_output=True)
