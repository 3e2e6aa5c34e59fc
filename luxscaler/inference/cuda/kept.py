"""A cache on disk of passed trials and compiled kernels, for the next start.

Keys contain everything that an entry depends on: the card, its driver, PyTorch, and the text of every file of
this package. An entry that is absent, damaged or cannot be written is simply computed again.
"""

import contextlib
import os
import secrets
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path

import platformdirs
import torch

from luxscaler.inference.cuda.kernel_source import FOLDER

FOLDER_VARIABLE = "LUXSCALER_CACHE"
"""Environment variable: the folder; by default the user's cache folder."""
_DRIVER = Path("/proc/driver/nvidia/version")
_DIGEST_BYTES = 32


def folder(environ: Mapping[str, str] = os.environ) -> Path:
    """The folder of the cache."""
    chosen = environ.get(FOLDER_VARIABLE)
    return Path(chosen) if chosen else platformdirs.user_cache_path("luxscaler", appauthor=False)


def identity(device: torch.device) -> str | None:
    """A hash of everything that a trial's result depends on; None if there is no such card."""
    try:
        card = torch.cuda.get_device_name(device)
        capability = torch.cuda.get_device_capability(device)
    except (RuntimeError, AssertionError):  # AssertionError: PyTorch was built without CUDA
        return None
    try:
        driver = _DRIVER.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    about = (card, capability, driver, torch.__version__, torch.version.cuda, package_digest())
    return sha256(repr(about).encode()).hexdigest()


def package_digest() -> str:
    """SHA-256 of the kernels and the code that launches them."""
    found = sha256()
    for path in sorted(FOLDER.glob("*")):
        if path.suffix in (".py", ".cuh"):
            data = path.read_bytes()
            found.update(f"{path.name} {len(data)}\n".encode() + data)
    return found.hexdigest()


def recall(name: str) -> bytes | None:
    """The entry of that name; None if it is absent or damaged."""
    try:
        content = (folder() / name).read_bytes()
    except OSError:
        return None
    digest, data = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
    return data if sha256(data).digest() == digest else None


def keep(name: str, data: bytes) -> None:
    """Store an entry, accessible to its owner only. A folder that cannot be written to is no error."""
    place = folder()
    partial = place / f".{name}.{secrets.token_hex(8)}.partial"
    with contextlib.suppress(OSError):
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(sha256(data).digest() + data)
            partial.replace(place / name)
        finally:
            partial.unlink(missing_ok=True)


def remembered(name: str, make: Callable[[], bytes]) -> bytes:
    """The entry of that name, or the result of `make`, which is then stored."""
    data = recall(name)
    if data is None:
        data = make()
        keep(name, data)
    return data
