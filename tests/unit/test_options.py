"""Settings: what the ini file and the command line say, parsed once into one frozen object."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_test_categories._rules.address import ALLOW_FORMS, parse_allow_entry
from pytest_test_categories._rules.policy import EnforcementMode, TestSize
from pytest_test_categories.pytest_plugin import _options
from pytest_test_categories.pytest_plugin._options import MARKERS, Settings, header

if TYPE_CHECKING:
    from collections.abc import Callable

    Parse = Callable[..., Settings]


class Options:
    """The plugin's options, and nothing else of it."""

    def pytest_addoption(self, parser: pytest.Parser) -> None:
        _options.add(parser)


@pytest.fixture
def config(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Callable[..., pytest.Config]:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.plugins.append(Options())

    def make(ini: str = "", *args: str) -> pytest.Config:
        pytester.makeini(f"[pytest]\n{ini}")
        return pytester.parseconfig(*args)

    return make


@pytest.fixture
def parse(config: Callable[..., pytest.Config]) -> Parse:
    return lambda *args: _options.of(config(*args))


def test_without_a_word_from_the_project_nothing_is_watched(parse: Parse) -> None:
    settings = parse()
    assert settings == Settings()
    assert not settings.active


@pytest.mark.parametrize(
    ("ini", "args", "mode"),
    [
        pytest.param("test_categories_enforcement = strict", (), EnforcementMode.STRICT, id="ini"),
        pytest.param("test_categories_enforcement = Warn", (), EnforcementMode.WARN, id="capitals"),
        pytest.param("", ("--test-categories-enforcement=warn",), EnforcementMode.WARN, id="option"),
        pytest.param(
            "test_categories_enforcement = strict",
            ("--test-categories-enforcement=warn",),
            EnforcementMode.WARN,
            id="both",
        ),
        pytest.param("test_categories_enforcement = strict", ("--test-categories-enforcement=off",), None, id="off"),
        pytest.param("test_categories_enforcement = OFF", (), None, id="off-in-capitals"),
    ],
)
def test_the_command_line_beats_the_ini_file_on_the_mode(
    parse: Parse, ini: str, args: tuple[str, ...], mode: EnforcementMode | None
) -> None:
    settings = parse(ini, *args)
    assert settings.mode is mode
    assert settings.active is (mode is not None)


@pytest.mark.parametrize(
    ("ini", "args", "size"),
    [
        pytest.param("", (), None, id="none"),
        pytest.param("test_categories_default_size = small", (), TestSize.SMALL, id="ini"),
        pytest.param("", ("--test-categories-default-size=medium",), TestSize.MEDIUM, id="option"),
        pytest.param(
            "test_categories_default_size = small", ("--test-categories-default-size=large",), TestSize.LARGE, id="both"
        ),
        pytest.param(
            "test_categories_default_size = small", ("--test-categories-default-size=",), None, id="taken-back"
        ),
    ],
)
def test_the_command_line_beats_the_ini_file_on_the_default_size(
    parse: Parse, ini: str, args: tuple[str, ...], size: TestSize | None
) -> None:
    assert parse(f"test_categories_enforcement = strict\n{ini}", *args).default_size is size


@pytest.mark.parametrize(
    ("ini", "args", "kernel"),
    [
        pytest.param("", (), "off", id="none"),
        pytest.param("test_categories_network_kernel_guard = Auto", (), "auto", id="ini"),
        pytest.param("test_categories_kernel_guard = auto", (), "auto", id="former name"),
        pytest.param(
            "test_categories_network_kernel_guard = auto", ("--network-kernel-guard=require",), "require", id="both"
        ),
        pytest.param(
            "test_categories_network_kernel_guard = auto", ("--network-kernel-guard=off",), "off", id="taken-back"
        ),
    ],
)
def test_the_command_line_beats_the_ini_file_on_the_kernel_layer(
    parse: Parse, ini: str, args: tuple[str, ...], kernel: str
) -> None:
    assert parse(f"test_categories_enforcement = strict\n{ini}", *args).kernel == kernel


@pytest.mark.parametrize(
    ("ini", "variable", "args", "mode", "given"),
    [
        ("", "warn", (), EnforcementMode.WARN, "TEST_CATEGORIES_ENFORCEMENT"),
        ("test_categories_enforcement = strict", "Warn", (), EnforcementMode.WARN, "TEST_CATEGORIES_ENFORCEMENT"),
        ("test_categories_enforcement = strict", "", (), EnforcementMode.STRICT, "test_categories_enforcement"),
        ("test_categories_enforcement = strict", "off", (), None, "TEST_CATEGORIES_ENFORCEMENT"),
        ("", "off", ("--test-categories-enforcement=warn",), EnforcementMode.WARN, "--test-categories-enforcement"),
        ("", "", (), None, ""),
    ],
)
def test_the_command_line_beats_the_environment_and_that_the_ini_file(
    parse: Parse,
    monkeypatch: pytest.MonkeyPatch,
    ini: str,
    variable: str,
    args: tuple[str, ...],
    mode: EnforcementMode | None,
    given: str,
) -> None:
    monkeypatch.setenv("TEST_CATEGORIES_ENFORCEMENT", variable)
    settings = parse(ini, *args)
    assert settings.mode is mode
    assert settings.mode_from == given


def test_the_environment_and_the_command_line_add_to_the_allow_list(
    parse: Parse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_CATEGORIES_NETWORK_ALLOW", "redis:6379,\n small: 127.0.0.1 ,")
    settings = parse("test_categories_network_allow = postgres:5432", "--network-allow=10.0.0.0/8")
    names = ("test_categories_network_allow", *["TEST_CATEGORIES_NETWORK_ALLOW"] * 2, "--network-allow")
    assert settings.allow == tuple(
        parse_allow_entry(text) for text in ("postgres:5432", "redis:6379", "small: 127.0.0.1", "10.0.0.0/8")
    )
    assert settings.allow_from == names


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("TEST_CATEGORIES_ENFORCEMENT", "strickt", "'strickt' is not an enforcement mode; choose one of "),
        ("TEST_CATEGORIES_NETWORK_ALLOW", "postgres:port", "'postgres:port' is not a network allow entry; write one "),
    ],
)
def test_a_wrong_value_in_the_environment_names_the_variable(
    parse: Parse, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, message: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(pytest.UsageError, match=f"^{variable}: {message}"):
        parse()


def test_a_rule_of_the_command_line_adds_to_the_ini_files_and_beats_that_of_the_same_name(parse: Parse) -> None:
    settings = parse(
        "test_categories_marker_sizes = unit = small\n"
        "test_categories_path_sizes =\n    tests = medium\n    tests/unit = small\n"
        "test_categories_fixture_sizes = db = medium\n",
        "--test-categories-marker-sizes=unit=medium",
        "--test-categories-marker-sizes=e2e=large",
        "--test-categories-path-sizes=./tests/unit/ = large",
        "--test-categories-fixture-sizes=db = large",
    )
    assert settings.marker_sizes == (("unit", TestSize.MEDIUM), ("e2e", TestSize.LARGE))
    assert settings.path_sizes == (("tests/unit", TestSize.LARGE), ("tests", TestSize.MEDIUM))
    assert settings.fixture_sizes == (("db", TestSize.LARGE),)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--test-categories-marker-sizes=unit", "'unit' is not a rule; write NAME = SIZE, such as 'unit = small'"),
        ("--test-categories-marker-sizes=large=small", "'large = small' can't be: "),
        ("--test-categories-path-sizes=tests=tiny", "'tiny' is not a test size; choose one of "),
        ("--test-categories-fixture-sizes==small", "'=small' is not a rule; write NAME = SIZE"),
        ("--network-available=some", "'some' is not one of none, machine, all"),
        ("--network-baseline=a\0b", r"'a\x00b' is not a valid file name"),
    ],
)
def test_a_wrong_value_of_an_option_names_the_option(parse: Parse, option: str, message: str) -> None:
    with pytest.raises(pytest.UsageError) as refused:
        parse("", option)
    assert str(refused.value).startswith(f"{option.partition('=')[0]}: {message}")


def test_the_name_of_a_rule_may_hold_an_equals_sign(parse: Parse) -> None:
    settings = parse("test_categories_path_sizes = tests/a=b = small\n")
    assert settings.path_sizes == (("tests/a=b", TestSize.SMALL),)


def test_a_baseline_of_the_command_line_is_in_the_directory_that_pytest_was_started_in(
    config: Callable[..., pytest.Config], pytester: pytest.Pytester
) -> None:
    (pytester.path / "below").mkdir()
    pytester.makeini("[pytest]\n")
    pytester.chdir()
    made = config("", "--network-baseline=below/new.json", "--network-baseline-update")
    files = _options.of(made).baseline_files
    assert files is not None
    assert files.paths == (str(pytester.path / "below/new.json"),)


def test_each_ini_key_has_an_option_named_alike(config: Callable[..., pytest.Config]) -> None:
    made = config()
    for key in _options.KEYS:
        assert made.getini(key.ini) == ([] if key.many else None)
        assert hasattr(made.option, key.field)
        stem = key.option.removeprefix("--").replace("-", "_")
        assert key.ini in {stem, f"test_categories_{stem}"}


def test_former_names_of_ini_keys_are_understood_and_told(config: Callable[..., pytest.Config]) -> None:
    made = config("test_categories_enforcement = strict\ntest_categories_kernel_guard = auto")
    assert _options.of(made).kernel == "auto"
    assert _options.notes(made) == [
        "test categories: test_categories_kernel_guard in the ini file is now called test_categories_network_kernel_guard"
    ]
    both = config("test_categories_kernel_guard = auto\ntest_categories_network_kernel_guard = off")
    assert _options.of(both).kernel == "off"


@pytest.mark.parametrize(
    ("ini", "args", "text"),
    [
        ("", (), "the enforcement mode is the default"),
        ("test_categories_enforcement = warn", (), "is from test_categories_enforcement in tox.ini"),
        ("", ("--test-categories-enforcement=warn",), "is from --test-categories-enforcement"),
    ],
)
def test_a_verbose_header_says_what_has_given_the_mode(
    config: Callable[..., pytest.Config], ini: str, args: tuple[str, ...], text: str
) -> None:
    assert _options.notes(config(ini, *args)) == []
    [line] = _options.notes(config(ini, "-v", *args))
    assert line.startswith("test categories: the enforcement mode is ")
    assert line.endswith(text)


def test_rules_give_sizes_to_markers_paths_and_fixtures(parse: Parse) -> None:
    settings = parse(
        "test_categories_marker_sizes =\n"
        "    unit = small\n"
        "    e2e=XLARGE\n"
        "test_categories_path_sizes =\n"
        "    tests/unit = small\n"
        "    ./tests/integration/slow/ = large\n"
        "    tests = medium\n"
        "test_categories_fixture_sizes =\n"
        "    docker_services = medium\n"
    )
    assert settings.marker_sizes == (("unit", TestSize.SMALL), ("e2e", TestSize.XLARGE))
    assert settings.path_sizes == (
        ("tests/integration/slow", TestSize.LARGE),
        ("tests/unit", TestSize.SMALL),
        ("tests", TestSize.MEDIUM),
    )
    assert settings.fixture_sizes == (("docker_services", TestSize.MEDIUM),)


@pytest.mark.parametrize("path", [".", "./", "/", "./."])
def test_a_path_rule_may_name_the_root_directory(path: str, parse: Parse) -> None:
    assert parse(f"test_categories_path_sizes = {path} = small\n").path_sizes == (("", TestSize.SMALL),)


def test_the_command_line_adds_to_the_allow_list(parse: Parse) -> None:
    settings = parse(
        "test_categories_network_allow =\n    postgres:5432\n    small: 127.0.0.1:8126\n",
        "--network-allow=redis:6379",
        "--network-allow=10.0.0.0/8",
    )
    texts = ("postgres:5432", "small: 127.0.0.1:8126", "redis:6379", "10.0.0.0/8")
    assert settings.allow == tuple(parse_allow_entry(text) for text in texts)


@pytest.mark.parametrize(
    ("ini", "args", "message"),
    [
        pytest.param(
            "test_categories_enforcement = hard",
            (),
            "test_categories_enforcement: 'hard' is not an enforcement mode; choose one of strict, warn, off",
            id="mode",
        ),
        pytest.param(
            "test_categories_enforcement = hard",
            ("--test-categories-enforcement=soft",),
            "--test-categories-enforcement: 'soft' is not an enforcement mode; choose one of strict, warn, off",
            id="mode-option",
        ),
        pytest.param(
            "test_categories_default_size = tiny",
            (),
            "test_categories_default_size: 'tiny' is not a test size; choose one of small, medium, large, xlarge",
            id="size",
        ),
        pytest.param(
            "",
            ("--test-categories-default-size=tiny",),
            "--test-categories-default-size: 'tiny' is not a test size; choose one of small, medium, large, xlarge",
            id="size-option",
        ),
        pytest.param(
            "test_categories_marker_sizes = unit small",
            (),
            "test_categories_marker_sizes: 'unit small' is not a rule; write NAME = SIZE, such as 'unit = small'",
            id="rule-without-a-size",
        ),
        pytest.param(
            "test_categories_path_sizes = tests/unit = tiny",
            (),
            "test_categories_path_sizes: 'tiny' is not a test size; choose one of small, medium, large, xlarge",
            id="rule-of-another-size",
        ),
        pytest.param(
            "test_categories_network_allow = http://example.com",
            (),
            "test_categories_network_allow: 'http://example.com' is not a network allow entry; "
            f"write one like {ALLOW_FORMS}",
            id="entry",
        ),
        pytest.param(
            "",
            ("--network-allow=db:port",),
            f"--network-allow: 'db:port' is not a network allow entry; write one like {ALLOW_FORMS}",
            id="entry-option",
        ),
        pytest.param(
            "test_categories_network_kernel_guard = on",
            (),
            "test_categories_network_kernel_guard: 'on' is not one of off, auto, require",
            id="kernel",
        ),
        pytest.param(
            "test_categories_network_kernel_guard = auto",
            ("--network-kernel-guard=always",),
            "--network-kernel-guard: 'always' is not one of off, auto, require",
            id="kernel-option",
        ),
    ],
)
def test_a_setting_that_is_none_of_its_choices_says_which_it_is_and_what_there_is(
    parse: Parse, ini: str, args: tuple[str, ...], message: str
) -> None:
    with pytest.raises(pytest.UsageError) as refused:
        parse(ini, *args)
    assert str(refused.value) == message


def test_a_rule_for_nothing_is_none() -> None:
    with pytest.raises(pytest.UsageError, match=r"where: ' = small' is not a rule"):
        _options._rule("where", " = small")


def test_settings_are_parsed_once(config: Callable[..., pytest.Config]) -> None:
    made = config("test_categories_enforcement = strict")
    assert _options.of(made) is _options.of(made)


def test_the_markers_of_all_sizes_are_registered(config: Callable[..., pytest.Config]) -> None:
    made = config()
    _options.register_markers(made)
    registered = {line.partition(":")[0] for line in made.getini("markers")}
    assert set(MARKERS) == {size.value for size in TestSize}
    assert set(MARKERS) <= registered


def test_the_header_names_no_layer_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_options, "_WATCHES_CHILDREN", False)  # PyPy
    assert _options.layers() == ("socket wrappers", "audit hook")
    line = _options.header(Settings(EnforcementMode.WARN), verbose=True)
    assert line.endswith("; not watched: native clients that are not on the list, child processes")


def test_the_header_says_the_mode_and_what_is_and_is_not_watched() -> None:
    assert header(Settings()) == "test categories: enforcement off"
    text = header(Settings(EnforcementMode.WARN), verbose=True)
    assert text.startswith("test categories: enforcement warn; network layers: ")
    assert "not watched: " in text
    assert "\n" not in text
    text = header(Settings(EnforcementMode.WARN), "kernel", verbose=True)
    assert text.endswith(", kernel")
    assert "not watched" not in text


@pytest.mark.parametrize("kernel", ["", "kernel"])
def test_the_header_is_one_short_line(kernel: str) -> None:
    text = header(Settings(EnforcementMode.STRICT), kernel)
    assert len(text) <= 80
    assert text.startswith("test categories: enforcement strict; network layers: Python")
    assert text.endswith(", kernel" if kernel else " (-v: what they miss)")
