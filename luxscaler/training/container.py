"""A training in the Cog container: an archive of pictures in, a tar of weights out, progress in the logs."""

import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from luxscaler.errors import InputError
from luxscaler.pipeline.remote import DEFAULT_LIMITS, FetchSettings, fetch_file
from luxscaler.training.archive import unpack
from luxscaler.training.folder import CARD, METRICS, REPORT, SAMPLES
from luxscaler.training.prepare import Events, Progress
from luxscaler.training.result import lines
from luxscaler.training.settings import TrainingSettings
from luxscaler.training.train import Delivered, train
from luxscaler.web.reach import PUBLIC, Reach
from luxscaler.weights.bundle import MODEL, write_bundle
from luxscaler.words import counted

ARCHIVE_LIMITS = replace(DEFAULT_LIMITS, bytes=10_000_000_000, seconds=1800.0)
"""The most bytes and seconds of fetching an archive."""
SECONDS_BETWEEN_LINES = 1.0
_BAR = 20


def train_archive(
    url: str, settings: TrainingSettings, reach: Reach = PUBLIC, say: Callable[[str], None] = print
) -> Path:
    """Train on the pictures of an archive. Returns the tar of the result, in a new temporary folder.

    url: http, https or data. reach: the addresses that may be connected to. say: called with each line of the
    log. Raises InputError for the archive, and what `train` raises.
    """
    with tempfile.TemporaryDirectory(prefix="luxscaler-training-") as folder:
        archive, pictures, target = (Path(folder) / name for name in ("archive", "pictures", MODEL))
        try:
            fetch_file(url, archive, FetchSettings(reach, ARCHIVE_LIMITS))
        except InputError as error:
            raise InputError(f"pictures cannot be fetched: {error}") from error
        pictures.mkdir()
        say(f"{counted(unpack(archive, pictures), 'file')} in the archive")
        archive.unlink()
        events = Events(say, ProgressLines(say), threading.Event())
        made = train(pictures, target, settings, events)
        for line in lines(made.trained):
            say(line)
        weights = Path(tempfile.mkdtemp(prefix="luxscaler-trained-")) / "trained.tar"
        write_bundle(weights, _files(made))
        return weights


class ProgressLines:
    """Prints progress in the form that Replicate's clients parse, at most a line a second."""

    def __init__(self, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._say, self._clock = say, clock
        self._last = -SECONDS_BETWEEN_LINES

    def __call__(self, progress: Progress) -> None:
        """Print a line if the last one is a second old, or this is the last step."""
        now = self._clock()
        if now - self._last < SECONDS_BETWEEN_LINES and progress.step < progress.steps:
            return
        self._last = now
        share = progress.step / progress.steps
        bar = ("#" * round(_BAR * share)).ljust(_BAR, "-")
        facts = [f"loss {progress.loss:.4f}"]
        if progress.psnr is not None:
            facts.append(f"{progress.psnr:.2f} dB")
        if progress.seconds_left is not None:
            facts.append(f"{progress.seconds_left:.0f} s left")
        self._say(f"{100 * share:3.0f}%|{bar}| {progress.step}/{progress.steps} [{', '.join(facts)}]")


def _files(made: Delivered) -> dict[str, Path]:
    """The files by their names in the tar, the network first."""
    files = {MODEL: made.model}
    if made.adapter is not None:
        files["adapter.safetensors"] = made.adapter
    files |= {"README.md": made.folder / CARD, REPORT: made.folder / REPORT, METRICS: made.folder / METRICS}
    return files | {f"{SAMPLES}/{path.name}": path for path in sorted((made.folder / SAMPLES).glob("*.png"))}
