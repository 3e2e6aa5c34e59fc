"""Packages from npm for tests, installed once into a cache folder; without npm tests are skipped."""

import fcntl
import os
import shutil
import subprocess
from hashlib import sha256
from pathlib import Path

import pytest

INSTALL_SECONDS = 240
MIN_NODE = 20
"""The oldest that has File as a global; miniflare needs 20 too."""


def npm_packages(*packages: str) -> Path:
    """The node_modules folder that holds them, each given as name@version."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("node and npm are not installed")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    if int(version.removeprefix("v").split(".")[0]) < MIN_NODE:
        pytest.skip(f"node is {version.strip()}; at least {MIN_NODE} is needed")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "luxscaler-tests"
    folder = cache / sha256(" ".join(sorted(packages)).encode()).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests may run in several processes
        _install(npm, folder, packages)
    return folder / "node_modules"


def _install(npm: str, folder: Path, packages: tuple[str, ...]) -> None:
    """Once; skips the test where that does not work."""
    done = folder / "complete"
    if not done.exists():
        command = [npm, "install", "--prefix", str(folder), "--no-audit", "--no-fund", *packages]
        try:
            ran = subprocess.run(
                command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            pytest.skip(f"npm did not install {' '.join(packages)} in {INSTALL_SECONDS} s")
        if ran.returncode != 0:
            pytest.skip(f"npm cannot install {' '.join(packages)}: {ran.stderr.strip()[-300:]}")
        done.touch()
