"""Ways to show progress: a bar, lines for a pipe or a log, JSON for programs, or nothing.

A thread looks at the work four times a second, so that progress shows however long a single step takes.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TextIO

from rich.cells import cell_len, set_cell_size
from rich.console import Console

from luxscaler.cli.meter import View
from luxscaler.cli.terminal import event_line
from luxscaler.words import printable

WAYS = ("auto", "bar", "lines", "none")

_GLANCE_SECONDS = 0.25
_FIRST_LINE, _NEXT_STAGE, _NEXT_LINE = 1.0, 2.0, 10.0
"""Seconds until the first line, between lines of two stages, and between any two lines."""
_LEAST_BAR, _LEAST_NAME = 10, 8
"""Cells of a terminal that a bar with its spaces, and a shortened name, need at least to be of use."""
_WORDS = len("100 %, 59 min 59 s left")


@dataclass(frozen=True)
class Moment:
    """What is shown: how far one picture is, and its place among all."""

    name: str
    number: int
    """From 1; 0 before the first."""
    count: int
    view: View

    @property
    def title(self) -> str:
        """E.g. "[2/7] upscaling photos/a.png"."""
        return f"{self._beginning} {self.name}".rstrip()

    def short_title(self, cells: int) -> str:
        """`title` within `cells` of a terminal: without the folder, the name shortened or left out."""
        name = printable(Path(self.name).name)
        room = cells - cell_len(self._beginning) - 1
        if room < _LEAST_NAME or not name:
            return self._beginning
        return f"{self._beginning} {_shortened(name, room)}"

    @property
    def _beginning(self) -> str:
        place = f"[{self.number}/{self.count}] " if self.count > 1 and self.number else ""
        return f"{place}{self.view.words}"


def _shortened(name: str, cells: int) -> str:
    """A name that fits, its middle left out: pictures of a camera differ at the end of their names."""
    if cell_len(name) <= cells:
        return name
    end = ""
    while cell_len(end) < cells // 2:
        end = name[len(name) - len(end) - 1 :]
    return f"{set_cell_size(name, cells - 1 - cell_len(end)).rstrip()}…{end}"


class Display(Protocol):
    """A way to show progress."""

    def show(self, moment: Moment) -> None:
        """Show this moment. Called four times a second, from one thread at a time."""

    def pause(self) -> None:
        """Clear the display, because something else is about to be printed; `show` brings it back."""

    def close(self) -> None:
        """Clear the display; `show` is not called again."""


class NoDisplay:
    """Shows nothing."""

    def show(self, moment: Moment) -> None:
        """Do nothing."""

    def pause(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class Bar:
    """Rich's progress bars: one for the picture, and where there are several, one for all of them."""

    def __init__(self, console: Console) -> None:
        from rich.progress import BarColumn, Progress, TextColumn  # noqa: PLC0415

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[words]}", markup=False),
        )
        self._console = console
        self._progress = Progress(*columns, console=console, transient=True, redirect_stdout=False)
        self._all: Any = None
        self._one: Any = None
        self._is_on = False

    def show(self, moment: Moment) -> None:
        """Move the bars."""
        view = moment.view
        share, words = view.fraction, _words(view)
        # Words have a fixed width, so that nothing jumps; the bar takes the rest.
        title = moment.short_title(self._console.width - _LEAST_BAR - max(len(words), _WORDS))
        if moment.count > 1 and self._all is None:
            self._all = self._progress.add_task("all", total=moment.count, words="")
        if self._one is None:
            self._one = self._progress.add_task(title, total=None, words=words)
        self._progress.update(
            self._one,
            description=title,
            total=None if share is None else 1.0,
            completed=share or 0.0,
            words=words,
        )
        if not self._is_on:
            self._progress.start()
            self._is_on = True
        if self._all is not None:
            done = max(moment.number - 1, 0)
            self._progress.update(
                self._all, completed=done + (share or 0.0), words=f"{done} of {moment.count}"
            )

    def pause(self) -> None:
        """Take the bars away; the next moment brings them back."""
        if self._is_on:
            self._progress.stop()
            self._is_on = False

    def close(self) -> None:
        """Take the bars away."""
        self.pause()


def _words(view: View) -> str:
    if view.fraction is None:
        return _time(view.seconds)
    return f"{100 * view.fraction:.0f} %" + ("" if view.left is None else f", {_time(view.left)} left")


def _time(seconds: float) -> str:
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    return (
        f"{whole // 60} min {whole % 60:02d} s"
        if whole < 3600
        else f"{whole // 3600} h {whole % 3600 // 60} min"
    )


class Lines:
    """A line when a stage begins, and every ten seconds: for pipes, logs and terminals without a cursor."""

    def __init__(self, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._say = say
        self._clock = clock
        self._began = clock()
        self._last = float("-inf")
        self._title = ""

    def show(self, moment: Moment) -> None:
        """Print a line, if it is time for one."""
        now = self._clock()
        if now - self._began < _FIRST_LINE:
            return
        since = now - self._last
        stage = f"{moment.number} {moment.view.stage}"
        if since < (_NEXT_LINE if stage == self._title else _NEXT_STAGE):
            return
        self._last, self._title = now, stage
        view = moment.view
        self._say(f"{moment.title}: {_words(view)}")

    def pause(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class JsonLines:
    """One JSON object a line: when a stage begins, and once a second."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._last = float("-inf")
        self._stage = ""

    def show(self, moment: Moment) -> None:
        """Write an object, if it is time for one."""
        now, view = time.monotonic(), moment.view
        stage = f"{moment.number} {view.stage}"
        if stage == self._stage and now - self._last < 1.0:
            return
        self._stage, self._last = stage, now
        self.write(
            "progress",
            input=moment.name,
            number=moment.number,
            count=moment.count,
            stage=view.stage,
            fraction=None if view.fraction is None else round(view.fraction, 4),
            seconds=round(view.seconds, 2),
            seconds_left=None if view.left is None else round(view.left, 1),
            tiles_done=view.tiles_done,
            tiles=view.tiles,
            dollars=view.dollars,
        )

    def write(self, event: str, **values: object) -> None:
        """Write an event as a line; see `terminal.event_line`. Any thread may call it."""
        line = event_line(event, **values)
        with self._lock:
            self._stream.write(line + "\n")
            self._stream.flush()

    def pause(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class Watch:
    """The thread that shows progress while its `with` block runs."""

    def __init__(self, display: Display, moment: Callable[[], Moment]) -> None:
        self._display = display
        self._moment = moment
        self._lock = threading.Lock()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look, name="progress", daemon=True)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        with self._lock:
            self._display.close()

    @contextmanager
    def out_of_the_way(self) -> Iterator[None]:
        """Clear the display while the block prints something else."""
        with self._lock:
            self._display.pause()
            yield

    def _look(self) -> None:
        while not self._end.wait(_GLANCE_SECONDS):
            with self._lock:
                if self._end.is_set():
                    return
                try:
                    moment = self._moment()
                    if moment.view.stage != "done":
                        self._display.show(moment)
                except (OSError, ValueError):  # the reader has closed the stream
                    return
