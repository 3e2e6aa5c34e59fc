"""The messages of `luxscaler upscale`: text for people, or JSON lines for programs.

Results go to standard output, notes and errors to standard error; as JSON all of it goes to standard output.
Where the picture itself goes to standard output, everything else goes to standard error.
"""

import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from luxscaler.cli.displays import Bar, Display, JsonLines, Lines, NoDisplay
from luxscaler.cli.terminal import err, out, tell
from luxscaler.errors import LuxScalerError
from luxscaler.words import counted

if TYPE_CHECKING:
    from luxscaler.masters.batch import Outcome
    from luxscaler.masters.pairs import Pair
    from luxscaler.pipeline.result import Result
    from luxscaler.replicate.prices import Estimate


@dataclass(frozen=True)
class Manner:
    """How a command reports: the options --json, --quiet, --verbose, --progress."""

    json: bool = False
    quiet: bool = False
    """Only errors."""
    verbose: bool = False
    progress: str = "auto"
    """One of displays.WAYS."""
    to_stderr: bool = False
    """Whether standard output holds the picture."""


class Voice:
    """Prints the messages. All calls come from the main thread; progress has a thread of its own."""

    def __init__(self, manner: Manner) -> None:
        self.manner = manner
        self._json = JsonLines(sys.stderr if manner.to_stderr else sys.stdout) if manner.json else None

    def display(self) -> Display:
        """A new display of progress, as the options and the terminal allow."""
        way = self.manner.progress
        if self._json is not None:
            return NoDisplay() if way == "none" else self._json
        if way == "none" or (way == "auto" and self.manner.quiet):
            return NoDisplay()
        can_move = err.is_terminal and not err.is_dumb_terminal
        if way == "bar" or (way == "auto" and can_move):
            return Bar(err)
        return Lines(lambda line: tell(line, err))

    def note(self, text: str, pair: "Pair | None" = None, count: int = 1) -> None:
        """Print a notice: what was decided on the user's behalf. count: of the pictures of the run."""
        if self._json is not None:
            self._json.write("note", input=None if pair is None else pair.source.name, message=text)
        elif not self.manner.quiet:
            about = f"{pair.source.name}: " if pair is not None and count > 1 else ""
            tell(f"note: {about}{text}", err)

    def _tell_result(self, text: str) -> None:
        tell(text, err if self.manner.to_stderr else out)

    def detail(self, text: str) -> None:
        """Print a line that only --verbose shows."""
        if self.manner.verbose:
            if self._json is not None:
                self._json.write("detail", message=text)
            else:
                tell(text, err)

    def line(self, text: str, **facts: object) -> None:
        """Print the line of a preview. facts: of its JSON event."""
        if self._json is not None:
            self._json.write("preview", **facts)
        elif not self.manner.quiet:
            self._tell_result(text)

    def ended(self, outcome: "Outcome", count: int, seconds: float) -> None:
        """Print how a picture ended: written, skipped or failed. count: of the pictures of the run."""
        if outcome.error is not None:
            self.failed(outcome.error, outcome.pair, count)
        elif outcome.result is None:
            if self._json is not None:
                self._json.write("skipped", input=outcome.pair.source.name, output=_name(outcome.pair))
            else:
                self.detail(f"skipped: {_name(outcome.pair)} is there already")
        else:
            self._written(outcome.pair, outcome.result, count, seconds)

    def _written(self, pair: "Pair", result: "Result", count: int, seconds: float) -> None:
        for notice in result.notices:
            self.note(notice, pair, count)
        if self._json is not None:
            self._json.write("result", input=pair.source.name, output=_name(pair), **_facts(result, seconds))
        elif not self.manner.quiet:
            self._tell_result(_summary(result, _name(pair)))
        if self.manner.verbose and result.timings:
            stages = ", ".join(f"{name} {value:.2f} s" for name, value in result.timings.items())
            self.detail(f"{_name(pair)}: {stages}; {seconds:.2f} s in all")

    def planned(self, pair: "Pair", width: int, height: int, tiles: int, cost: "Estimate | None") -> None:
        """Print what would be done with a picture (--dry-run). cost: None where it costs nothing."""
        name, words = _name(pair), counted(tiles, "tile") if cost is None else cost.words
        if self._json is not None:
            facts = {"width": width, "height": height, "tiles": tiles, "cost": words}
            guess = {
                "seconds": None if cost is None else cost.seconds,
                "dollars": 0.0 if cost is None else cost.dollars,
                "dollars_at_most": 0.0 if cost is None else cost.at_most,
            }
            self._json.write("plan", input=pair.source.name, output=name, **facts, **guess)
        else:
            self._tell_result(f"{name}: {width} × {height}, {words}")

    def failed(self, error: BaseException, pair: "Pair | None" = None, count: int = 1) -> None:
        """Print an error as one line; with its traceback if it is not a LuxScalerError, or with --verbose."""
        is_meant = isinstance(error, LuxScalerError)
        text = str(error) if is_meant else f"unexpected {type(error).__name__}: {error}"
        if self._json is not None:
            name = None if pair is None else pair.source.name
            target = None if pair is None else _name(pair)
            self._json.write("error", input=name, output=target, kind=type(error).__name__, message=text)
        else:
            if count > 1 and pair is not None:
                text = _with_path(text, pair)
            tell(f"error: {text}", err, style="red")
        if not is_meant or self.manner.verbose:
            for line in "".join(traceback.format_exception(error)).splitlines():
                tell(line, err)

    def stopped(self, text: str) -> None:
        """Print that the user stopped the work."""
        if self._json is not None:
            self._json.write("stopped", message=text)
        else:
            tell(text, err)

    def summary(self, outcomes: "Sequence[Outcome]", count: int, seconds: float) -> None:
        """Print how many pictures were written, skipped, failed or not reached."""
        failed = sum(outcome.error is not None for outcome in outcomes)
        skipped = sum(outcome.is_skipped for outcome in outcomes)
        written = len(outcomes) - failed - skipped
        left = count - len(outcomes)
        if self._json is not None:
            self._json.write(
                "summary",
                pictures=count,
                written=written,
                skipped=skipped,
                failed=failed,
                left=left,
                seconds=round(seconds, 2),
            )
        elif count > 1 and not self.manner.quiet:
            others = "".join(
                f", {number} {word}"
                for number, word in ((skipped, "skipped"), (failed, "failed"), (left, "left"))
                if number
            )
            tell(f"{counted(count, 'picture')}: {written} written{others} ({seconds:.1f} s)", err)


def _name(pair: "Pair") -> str:
    return "standard output" if pair.target is None else str(pair.target)


def _with_path(text: str, pair: "Pair") -> str:
    """The message with the picture's whole path: two folders may hold files of the same name."""
    path, name = pair.source.path, pair.source.name
    if name in text:
        return text
    return name + text[len(path.name) :] if path and text.startswith(path.name) else f"{name}: {text}"


def _facts(result: "Result", seconds: float) -> dict[str, object]:
    progress = result.progress
    return {
        "width": result.width,
        "height": result.height,
        "peak": result.peak,
        "seconds": round(seconds, 3),
        "timings": {name: round(value, 3) for name, value in result.timings.items()},
        "tiles": progress.total,
        "retries": progress.retries,
        "dollars": progress.dollars,
        "extra_pixels": round(result.extra - 1.0, 4),
        "seams": None if result.seams is None else round(result.seams.ratio, 4),
        "notices": list(result.notices),
    }


def _summary(result: "Result", name: str) -> str:
    """The line about a written result: its size, its peak, and how long the stages took."""
    progress = result.progress
    if result.timings:
        work = ", ".join(f"{name} {value:.1f} s" for name, value in result.timings.items() if value >= 0.05)
    else:
        work = f"{progress.seconds:.1f} s"
    if progress.total > 1:
        work = f"{counted(progress.total, 'tile')}, {100 * (result.extra - 1):.0f} % extra pixels, {work}"
    if progress.retries:
        work += f", {counted(progress.retries, 'retry')}"
    if progress.dollars:
        work += f", ${progress.dollars:.4f}"
    if result.seams is not None:
        work += f", seams {result.seams.ratio:.2f} of the picture's own changes"
    made = f"{name}: {result.width} × {result.height}, peak {result.peak:.3g}"
    return f"{made} ({work})" if work else made
