"""The wheel holds the code with what it reads beside itself, and neither weights nor tests."""

import shutil
import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.slow
NEEDED = {
    "hdr_exporter.py",
    "luxscaler/py.typed",
    "luxscaler/weights/catalogue.json",
    "luxscaler/hdr/gain.safetensors",
    "luxscaler/report/report.html",
    "luxscaler/report/report.css",
    "luxscaler/report/report.js",
    "luxscaler/console/page/index.html",
    "luxscaler/console/page/console.css",
    "luxscaler/console/page/main.js",
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """Built from a copy, since setuptools leaves a build folder behind."""
    folder = tmp_path_factory.mktemp("package")
    source = folder / "source"
    for name in ("luxscaler", "tests", "evaluation"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "hdr_exporter.py", "predict.py"):
        shutil.copy(ROOT / name, source / name)
    (source / "weights").mkdir()
    (source / "weights" / "photo.safetensors").write_bytes(b"as it lies in a checkout")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--wheel-dir", folder, source], check=True)
    return zipfile.ZipFile(next(folder.glob("luxscaler-*.whl")))


def test_it_holds_every_module_and_all_that_they_read(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "luxscaler").rglob("*.py")}
    kernels = {str(path.relative_to(ROOT)) for path in (ROOT / "luxscaler").rglob("*.cuh")}
    assert kernels
    assert modules | kernels | NEEDED <= names


def test_it_holds_nothing_else(wheel: zipfile.ZipFile) -> None:
    tops = {name.split("/")[0] for name in wheel.namelist() if ".dist-info/" not in name}
    assert tops == {"luxscaler", "hdr_exporter.py"}
    binaries = {name for name in wheel.namelist() if name.endswith((".safetensors", ".pth", ".pyc"))}
    assert binaries == {"luxscaler/hdr/gain.safetensors"}  # 181 kB that hdr_boost needs


def test_it_says_what_it_needs_and_how_it_is_called(wheel: zipfile.ZipFile) -> None:
    information = next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    said = Parser().parsestr(wheel.read(information).decode())
    needed = [line for line in said.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert any(line.startswith("torch>=") or line.startswith("torch<") for line in needed)
    entry_points = wheel.read(str(Path(information).parent / "entry_points.txt")).decode()
    assert "luxscaler = luxscaler.cli.entry:main" in entry_points
