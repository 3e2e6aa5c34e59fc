"""A configuration file and variables of the environment: they reach the options; misspelt ones are named."""

from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from luxscaler.cli.defaults import OTHER_VARIABLES, config_path, default_map
from luxscaler.cli.main import app
from luxscaler.errors import InputError
from tests.conftest import ROOT

GROUP = get_command(app)


def _of(folder: Path, text: str, **environ: str) -> dict[str, object]:
    path = folder / "config.toml"
    path.write_text(text, "utf-8")
    return default_map(GROUP, {"LUXSCALER_CONFIG": str(path), **environ})


def test_values_of_the_file_and_of_the_environment(tmp_path: Path) -> None:
    text = """
    [upscale]
    model = "fast"
    hdr-boost = 4
    cog = ["http://a", "http://b"]
    json = true
    [weights.fetch]
    quiet = true
    """
    found = _of(tmp_path, text, LUXSCALER_UPSCALE_MODEL="anime", LUXSCALER_INFO_JSON="1", HOME="/")
    assert found == {
        "upscale": {"model": "anime", "hdr_boost": 4, "cog": ["http://a", "http://b"], "json_lines": True},
        "weights": {"fetch": {"quiet": True}},
        "info": {"as_json": "1"},
    }


def test_one_value_in_the_file_needs_no_list(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text('[gateway]\ncog = "http://a"\n', "utf-8")
    found = default_map(get_command(app), {"LUXSCALER_CONFIG": str(path)})
    assert found == {"gateway": {"cog": ["http://a"]}}


@pytest.mark.parametrize(
    ("key", "given", "kept"),
    [
        ("overwrite = true", ["--skip-existing"], {"overwrite": False, "skip_existing": True}),
        ("width = 100", ["--print", "6x4cm@300"], {"width": None, "print_size": "6x4cm@300"}),
        ("quiet = true", ["-v"], {"quiet": False, "verbose": True}),
        ("dry-run = true", ["--preview", "a.jpg"], {"dry_run": False, "preview": Path("a.jpg")}),
        ("quiet = true", ["--json"], {"quiet": True, "json_lines": True}),
        ("overwrite = true", ["--overwrite"], {"overwrite": True, "skip_existing": False}),
    ],
)
def test_the_command_line_wins_over_rivals_in_the_file(
    tmp_path: Path, key: str, given: list[str], kept: dict[str, object]
) -> None:
    path = tmp_path / "config.toml"
    path.write_text(f"[upscale]\n{key}\n", "utf-8")
    command: Any = get_command(app)
    defaults = default_map(command, {"LUXSCALER_CONFIG": str(path)})["upscale"]
    context = command.commands["upscale"].make_context(
        "upscale", ["a.png", "b.png", *given], default_map=defaults
    )
    assert {name: context.params[name] for name in kept} == kept


def test_several_values_of_a_variable_are_apart_by_blanks(tmp_path: Path) -> None:
    found = _of(tmp_path, "", LUXSCALER_UPSCALE_COG="http://a http://b")
    assert found == {"upscale": {"cog": ["http://a", "http://b"]}}


@pytest.mark.parametrize(
    ("text", "environ", "words"),
    [
        ("[upscale]\nhdr-bost = 3", {}, r"a key 'upscale.hdr-bost', which .*; did you mean 'hdr-boost'\?"),
        ("[upscale]\nhdr_boost = 3", {}, r"a key 'upscale.hdr_boost', which .* did you mean 'hdr-boost'\?"),
        ("[upscael]\n", {}, r"a table 'upscael', which stands for no command; did you mean 'upscale'\?"),
        ("[weights.fetsch]\n", {}, r"a table 'weights.fetsch', which .* did you mean 'fetch'\?"),
        ("upscale = 3", {}, r"a key 'upscale' outside of \[upscale\]"),
        ("hdr-boost = 3", {}, r"a key 'hdr-boost' outside of the table of its command, such as \[upscale\]"),
        ('[upscale]\nhdr-boost = "x"', {}, "a key 'upscale.hdr-boost' = 'x': 'x' is not a number"),
        ("[upscale]\njobs = [1]", {}, r"a key 'upscale.jobs' = \[1\]: "),
        ("[upscale\n", {}, r"config.toml' is no TOML: "),
        ("", {"LUXSCALER_UPSCALE_HDRBOOST": "2"}, "HDRBOOST, which .* mean 'LUXSCALER_UPSCALE_HDR_BOOST'"),
        ("", {"LUXSCALER_UPSCALE_HDR_BOOST": "x"}, "the environment has LUXSCALER_UPSCALE_HDR_BOOST=x: "),
        (
            "",
            {"LUXSCALER_MODEL": "fast"},
            "LUXSCALER_MODEL, which names no command: .*LUXSCALER_UPSCALE_MODEL",
        ),
        (
            "",
            {"LUXSCALER_STEPS": "9"},
            "LUXSCALER_STEPS, which names no command: write LUXSCALER_TRAIN_STEPS",
        ),
    ],
)
def test_what_stands_for_nothing_is_named(
    tmp_path: Path, text: str, environ: dict[str, str], words: str
) -> None:
    with pytest.raises(InputError, match=words) as raised:
        _of(tmp_path, text, **environ)
    assert "\n" not in str(raised.value)


def test_the_file_need_not_be_there_unless_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    path = config_path({})
    assert path is not None
    assert path.name == "config.toml"
    assert default_map(GROUP, {}) == {}
    assert config_path({"LUXSCALER_CONFIG": ""}) is None
    assert default_map(GROUP, {"LUXSCALER_CONFIG": ""}) == {}
    with pytest.raises(InputError, match=r"LUXSCALER_CONFIG is '/absent.toml', which does not exist"):
        default_map(GROUP, {"LUXSCALER_CONFIG": "/absent.toml"})
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        default_map(GROUP, {"LUXSCALER_CONFIG": str(tmp_path)})


def test_other_variables_of_ours_are_left_alone() -> None:
    texts = [path.read_text("utf-8") for path in (ROOT / "luxscaler").rglob("*.py")]
    for name in OTHER_VARIABLES:
        assert any(f'"{name}"' in text for text in texts), name
    environ = dict.fromkeys(OTHER_VARIABLES, "x") | {"LUXSCALER_CONFIG": ""}
    assert default_map(GROUP, environ) == {}
