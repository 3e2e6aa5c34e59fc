"""A file appears whole or not at all: written beside its target, renamed when it is complete.

A file that replaces another one has its mode, and its owner as far as this process may give files away. What
encoders and the operating system raise becomes ExportError here.
"""

import fcntl
import hashlib
import os
import secrets
import stat
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from luxscaler.errors import ExportError

_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
}
_OWNERS = stat.S_IRUSR | stat.S_IWUSR
_ANYBODY = 0o666
"""Less what the process's umask takes away."""
_PERMISSIONS = stat.S_IRWXU | stat.S_IRWXG | stat.S_IRWXO
LONGEST_NAME = 255
"""Bytes of a file's name on ext4, XFS and APFS."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield the path of a new, empty file beside `path`; rename it to `path` if the block succeeds.

    Any number of writers may do so at once: each has a file of its own. Raises ExportError.
    """
    name = f".{secrets.token_hex(8)}.partial"
    with translated(path, name):
        target = target_of(path)
        temporary = target.with_name(name)
        os.close(_new_file(temporary, target))  # before any work: a folder that is missing or not writable
        try:
            with _handle_of(temporary) as handle:
                _keep_access(handle, target, _OWNERS)
            yield temporary
            with _handle_of(temporary) as handle:
                _keep_access(handle, target)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)


class Partial:
    """The unfinished file of one long-running writer: `.NAME.partial` beside the target, always that name.

    The next writer removes what a killed process left, so unfinished files do not pile up. A lock of the
    operating system, which ends with its process, keeps two writers of one target apart. All methods raise
    ExportError.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with translated(path):
            self._target = target_of(path)
            self.path = self._target.with_name(_partial_name(self._target.name))
            self._handle = self._opened()
        self._open = True

    def keep(self) -> None:
        """Rename the file to its target."""
        with translated(self._path, self.path.name):
            _keep_access(self._handle, self._target)
            self.path.replace(self._target)
            self._close()

    def discard(self) -> None:
        """Remove the file, unless it was kept."""
        if self._open:
            with translated(self._path, self.path.name):
                try:
                    self.path.unlink(missing_ok=True)
                finally:
                    self._close()

    def _close(self) -> None:
        self._open = False
        fcntl.flock(self._handle, fcntl.LOCK_UN)  # a fork may hold the handle still
        os.close(self._handle)

    def _opened(self) -> int:
        """A new, locked file of that name. One that a killed process left may be another user's, or open to
        others, so it is removed."""
        while True:
            with suppress(FileExistsError):
                handle = _new_file(self.path, self._target)
                with _closed_on_error(handle):
                    if self._is_locked(handle):
                        _keep_access(handle, self._target, _OWNERS)
                        return handle
                os.close(handle)
            with suppress(FileNotFoundError), _handle_of(self.path, os.O_RDWR) as left:
                if self._is_locked(left):
                    self.path.unlink()

    def _is_locked(self, handle: int) -> bool:
        """Lock an open file. False if another process took its name away before that.

        Raises ExportError where another process has the lock, and OSError for what is no file.
        """
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ExportError(f"cannot write {str(self._path)!r}: another process is writing it") from None
        held = os.fstat(handle)
        if not stat.S_ISREG(held.st_mode):
            raise OSError(f"{self.path.name} is not a regular file")
        return _same_file(self.path, held)


@contextmanager
def translated(path: Path, name: str = "") -> Iterator[None]:
    """Make ExportError of what encoders raise: one line that names `path`, not the temporary `name`."""
    try:
        yield
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: OpenEXR, imagecodecs
        reason = getattr(error, "strerror", None) or str(error)
        reason = reason.replace(name, path.name) if name else reason
        # The traceback holds the library's generators (tifffile's has a pool of threads): they end here, not
        # whenever and in whichever thread garbage is collected.
        traceback.clear_frames(error.__traceback__)
        raise ExportError(f"cannot write {str(path)!r}: {' '.join(reason.split())}") from error


def target_of(path: Path) -> Path:
    """Where a file for `path` is put: a link stays a link, and what it points to is replaced.

    Raises OSError for anything there that is not a regular file, such as a device or a link to one: replacing
    /dev/null by a file would break every program that uses it. Also for a file that is write-protected: that
    its folder would let it be replaced is not what its owner meant.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return Path(os.path.realpath(path))
    if not stat.S_ISREG(mode):
        raise OSError(f"it is {_KINDS.get(stat.S_IFMT(mode), 'no regular file')}")
    if not os.access(path, os.W_OK):
        raise OSError("it is there already, and write-protected")
    return Path(os.path.realpath(path))


def _new_file(path: Path, target: Path) -> int:
    """Create a file; one that is to replace another is nobody else's until it has the access of that."""
    mode = _OWNERS if target.exists() else _ANYBODY
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)


@contextmanager
def _handle_of(path: Path, how: int = os.O_RDONLY) -> Iterator[int]:
    handle = os.open(path, how | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield handle
    finally:
        os.close(handle)


@contextmanager
def _closed_on_error(handle: int) -> Iterator[None]:
    try:
        yield
    except BaseException:
        os.close(handle)
        raise


def _keep_access(handle: int, target: Path, more: int = 0) -> None:
    """Give an open file the owner, group and permissions of the one that it is to replace, if there is one.

    more: further permissions, while it is being written. Where the group cannot be kept, its new members get
    no more than everybody had.
    """
    try:
        before = target.stat()
    except FileNotFoundError:
        return
    permissions = before.st_mode & _PERMISSIONS
    for owner in (before.st_uid, -1):  # only root gives files away; a group of one's own anybody may keep
        with suppress(OSError):
            os.fchown(handle, owner, before.st_gid)
            break
    now = os.fstat(handle)
    if now.st_gid != before.st_gid:
        everybody = permissions & stat.S_IRWXO
        permissions = permissions & ~stat.S_IRWXG | everybody << 3
    permissions |= more
    if now.st_mode & _PERMISSIONS != permissions:
        with suppress(OSError):  # a file system without permissions refuses it; the picture is more than them
            os.fchmod(handle, permissions)


def is_same(path: Path, other: Path) -> bool:
    """Whether two paths lead to the same file, also through symbolic or hard links. Raises OSError."""
    try:
        return path.samefile(other)
    except FileNotFoundError:
        return os.path.realpath(path) == os.path.realpath(other)


def _same_file(path: Path, held: os.stat_result) -> bool:
    try:
        return os.path.samestat(path.lstat(), held)
    except FileNotFoundError:
        return False


def _partial_name(name: str) -> str:
    partial = f".{name}.partial"
    if len(os.fsencode(partial)) <= LONGEST_NAME:
        return partial
    return f".{hashlib.sha256(os.fsencode(name)).hexdigest()}.partial"
