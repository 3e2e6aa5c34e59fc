"""Completion scripts, tried in the shells themselves where they are installed."""

import shutil
import subprocess
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from luxscaler.cli.completion import SHELLS, _choices, _nodes
from luxscaler.cli.main import app


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("completion")
    for shell in SHELLS:
        result = CliRunner().invoke(app, ["completion", shell], prog_name="luxscaler")
        assert result.exit_code == 0, result.output
        (folder / shell).write_text(result.stdout, "utf-8")
    return folder


def _completed(shell: str, script: Path, line: str) -> set[str]:
    if shutil.which(shell) is None:
        pytest.skip(f"needs {shell}")
    if shell == "bash":
        code = (
            f"source {script}; COMP_WORDS=({line}); [[ '{line}' == *' ' ]] && COMP_WORDS+=('');"
            'COMP_CWORD=$((${#COMP_WORDS[@]}-1)); _luxscaler; printf "%s\\n" "${COMPREPLY[@]}"'
        )
    elif shell == "fish":
        code = f"source {script}; complete -C '{line}'"
    else:
        code = (
            "compdef() { :; }; compset() { :; }; _files() { print files; };"
            "compadd() { shift; print -l -- $@; };"
            "_describe() { for one in $found; do print -- ${one%%:*}; done; };"
            f"source {script}; words=({line}); [[ '{line}' == *' ' ]] && words+=('');"
            "CURRENT=${#words}; _luxscaler"
        )
    done = subprocess.run([shell, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stderr == ""
    return {word.split("\t")[0] for word in done.stdout.split("\n") if word}


@pytest.mark.sample(2)
@pytest.mark.parametrize("shell", SHELLS)
def test_commands_options_and_values(scripts: Path, shell: str) -> None:
    script = scripts / shell
    assert {"upscale", "weights", "doctor"} <= _completed(shell, script, "luxscaler ")
    assert {"list", "fetch", "verify", "convert"} <= _completed(shell, script, "luxscaler weights ")
    options = _completed(shell, script, "luxscaler upscale --")
    assert {"--hdr-boost", "--no-self-reference", "--skip-existing", "--help"} <= options
    assert "--force" not in options
    assert "--force" in _completed(shell, script, "luxscaler weights fetch --")
    devices = _completed(shell, script, "luxscaler upscale a.png --device ")
    assert devices == {"auto", "cpu", "cuda", "mps"}
    assert _completed(shell, script, "luxscaler upscale --overscan ") == {"crop", "keep"}
    assert {"srgb", "ap0"} <= _completed(shell, script, "luxscaler upscale --profile ")
    assert {"fast"} <= _completed(shell, script, "luxscaler upscale --model ")
    assert "fast" not in _completed(shell, script, "luxscaler gateway --model ")
    assert _completed(shell, script, "luxscaler completion ") >= {"bash", "zsh", "fish"}
    assert {"photo", "judge"} <= _completed(shell, script, "luxscaler weights fetch ")
    parted = "luxscaler upscale --exr-type = " if shell == "bash" else "luxscaler upscale --exr-type="
    assert {one.split("=")[-1] for one in _completed(shell, script, parted)} == {"float", "half"}


def test_values_are_those_of_options_that_exist(scripts: Path) -> None:
    nodes = {node.path: node for node in _nodes(get_command(app))}
    for path, name in _choices():
        assert not name or name in {option for option, _, _ in nodes[path].options}, (path, name)
    assert "e.g'" not in (scripts / "zsh").read_text("utf-8")


def test_an_unknown_shell_is_one_line() -> None:
    result = CliRunner().invoke(app, ["completion", "csh"])
    assert result.exit_code == 1
    assert result.stderr == "error: shell is 'csh'; it must be one of bash, zsh, fish\n"
