"""Publishing to a folder on this machine: DIR/NAME/…, each file whole or not at all."""

import os
import shutil
from pathlib import Path

from luxscaler.errors import ExportError, PublishError
from luxscaler.io.atomic import replacing
from luxscaler.publishing.destinations import FolderDestination, Network
from luxscaler.publishing.package import Package


def check(destination: FolderDestination, _network: Network) -> None:
    """Make the folder, or find that files can be written there. Raises PublishError."""
    folder = destination.folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PublishError(f"cannot make the folder {str(folder)!r}: {error.strerror}") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PublishError(f"cannot write into the folder {str(folder)!r}: Permission denied")


def send(package: Package, destination: FolderDestination, network: Network) -> str:
    """Copy all files; the folder that holds them. Raises PublishError."""
    check(destination, network)
    folder = destination.folder / package.name
    for name, source in package.files.items():
        _copy(source, folder / name)
    return str(folder)


def _copy(source: Path, target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists() and target.samefile(source):
            return
        with replacing(target) as partial, source.open("rb") as read, partial.open("wb") as file:
            shutil.copyfileobj(read, file)
            file.flush()
            os.fsync(file.fileno())
    except (ExportError, OSError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise PublishError(f"{target.name} is not published: {reason}") from error
