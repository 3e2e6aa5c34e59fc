"""Completion scripts, tried in the shells themselves where they are installed."""

import shutil
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from luxscaler.cli.completion import SHELLS
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
            "compdef() { :; }; _files() { print files; }; compadd() { shift; print -l -- $@; };"
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


def test_an_unknown_shell_is_one_line() -> None:
    result = CliRunner().invoke(app, ["completion", "csh"])
    assert result.exit_code == 1
    assert result.stderr == "error: shell is 'csh'; it must be one of bash, zsh, fish\n"
