"""What the container installs: every wheel by its hash, nothing with a known hole, no registry named."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from tests.conftest import ROOT

LOCK = ROOT / "requirements.lock"
FILES = [*sorted(ROOT.glob("requirements*.txt")), LOCK]


def _script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("pins", ROOT / ".ci" / "pins.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PINS = _script()


def _lines(path: Path) -> list[str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def test_the_container_takes_every_wheel_by_its_hash() -> None:
    for line in _lines(LOCK):
        assert re.fullmatch(r"[A-Za-z0-9_.-]+==[A-Za-z0-9.+]+( --hash=sha256:[0-9a-f]{64})+", line), line


def test_the_lock_has_every_pin_of_the_container() -> None:
    assert set(PINS.pins(ROOT / "requirements.txt")) <= set(PINS.pins(LOCK))
    assert len(dict(PINS.pins(LOCK))) == len(_lines(LOCK))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_file_names_a_registry(path: Path) -> None:
    for line in _lines(path):
        assert "://" not in line
        assert "index" not in line
        assert "find-links" not in line


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_pin_has_a_known_hole(path: Path) -> None:
    assert PINS.holes(path) == []


def test_a_pin_with_a_known_hole_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = tmp_path / "requirements.txt"
    bad.write_text("# x\nPillow==10.2.0\ntorch==2.5.1 --hash=sha256:00\nnumpy==2.4.6\n")
    assert PINS.main([str(bad)]) == 1
    said = capsys.readouterr().err.splitlines()
    assert said == [
        "requirements.txt: pillow==10.2.0 is affected by CVE-2024-28219 (<10.3.0)",
        "requirements.txt: torch==2.5.1 is affected by CVE-2025-32434 (<2.6.0)",
    ]


def test_the_check_runs_it() -> None:
    assert ".ci/pins.py" in (ROOT / "scripts" / "check").read_text(encoding="utf-8")
