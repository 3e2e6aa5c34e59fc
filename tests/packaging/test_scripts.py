"""The scripts are whole, and ask for extras and files that there are. They are not run: they install."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import tomllib

from tests.conftest import ROOT

SCRIPTS = sorted(path for path in (ROOT / "scripts").iterdir() if path.is_file())
EXTRAS = set(tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"])


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize("script", [*SCRIPTS, ROOT / ".ci" / "run"], ids=lambda path: path.name)
def test_bash_can_read_it(script: Path) -> None:
    subprocess.run(["bash", "-n", script], check=True)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_it_asks_for_what_there_is(script: Path) -> None:
    for extras, files in re.findall(r"^ensure_env \w+ (\S+)(.*)$", script.read_text("utf-8"), re.MULTILINE):
        assert set(filter(None, extras.strip('"').split(","))) <= EXTRAS
        assert all((ROOT / name).is_file() for name in files.split())


def test_what_is_installed_is_pinned() -> None:
    text = (ROOT / "scripts" / "env.sh").read_text("utf-8")
    constraints = re.findall(r'--constraint "\$ROOT/(\S+)"', text)
    assert constraints == ["requirements.txt", "requirements-dev.txt"]
    stamp = next(line for line in text.splitlines() if "cksum" in line)
    assert all(name in stamp for name in ("pyproject.toml", *constraints))
