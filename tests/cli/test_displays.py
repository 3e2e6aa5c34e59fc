"""How progress is shown: lines for a pipe, JSON for programs, a bar, and from the first second on."""

import io
import json
import re
import threading

import pytest
from rich.cells import cell_len
from rich.console import Console

from luxscaler.cli.displays import Bar, JsonLines, Lines, Moment, NoDisplay, Watch
from luxscaler.cli.meter import View


def _moment(stage: str = "upscaling", fraction: float | None = 0.5, number: int = 2) -> Moment:
    return Moment("a [b].png", number, 7, View(stage, 12.0, fraction, None if fraction is None else 75.0))


def test_lines_come_after_a_second_at_each_stage_and_every_ten_seconds() -> None:
    now = [0.0]
    said: list[tuple[float, str]] = []
    lines = Lines(lambda text: said.append((now[0], text)), clock=lambda: now[0])
    for tick in range(200):
        now[0] = tick / 4
        lines.show(_moment("reading", None) if tick < 60 else _moment())
    assert said[0] == (1.0, "[2/7] reading a [b].png: 12 s")
    assert [time for time, _ in said] == [1.0, 11.0, 15.0, 25.0, 35.0, 45.0]
    assert said[2][1] == "[2/7] upscaling a [b].png: 50 %, 1 min 15 s left"


def test_json_is_one_object_a_line_in_ascii() -> None:
    stream = io.StringIO()
    display = JsonLines(stream)
    for _ in range(5):
        display.show(_moment())
    display.show(_moment("writing", 0.75))
    display.write("note", message="größe \udcff")
    events = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert stream.getvalue().isascii()
    assert [(event["event"], event.get("stage"), event.get("fraction")) for event in events] == [
        ("progress", "upscaling", 0.5),
        ("progress", "writing", 0.75),
        ("note", None, None),
    ]
    assert events[0] | {"input": "a [b].png", "number": 2, "count": 7, "seconds": 12.0} == events[0]


def test_the_bar_shows_names_as_they_are_and_goes_away() -> None:
    stream = io.StringIO()
    bar = Bar(Console(file=stream, force_terminal=True, width=120, color_system=None))
    bar.show(_moment(fraction=None))
    bar.show(_moment())
    bar.pause()
    assert "[2/7] upscaling a [b].png" in stream.getvalue()
    assert "50 %, 1 min 15 s left" in stream.getvalue()
    bar.show(_moment())
    bar.close()


@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_bar_fits_with_its_times_however_long_the_name_is(width: int) -> None:
    name = "holiday in Норвегия 2024/写真 IMG_20240713_184233 (edited, for the large print).jpg"
    stream = io.StringIO()
    bar = Bar(Console(file=stream, force_terminal=True, width=width, color_system=None))
    bar.show(Moment(name, 2, 7, View("upscaling", 12.0, 0.5, 3599.0)))
    bar.pause()
    shown = [line for line in re.split(r"\x1b\[[0-9;?]*[A-Za-z]|[\r\n]+", stream.getvalue()) if "2/7" in line]
    assert all(cell_len(line) <= width for line in shown)
    assert "50 %, 59 min 59 s left" in shown[-1]
    assert "[2/7] upscaling" in shown[-1]
    if width >= 80:
        assert "print).jpg" in shown[-1]
        assert "━" in shown[-1]


class _Counted(NoDisplay):
    def __init__(self) -> None:
        self.shown = threading.Event()
        self.said: list[str] = []

    def show(self, moment: Moment) -> None:
        self.said.append("show")
        self.shown.set()

    def pause(self) -> None:
        self.said.append("pause")

    def close(self) -> None:
        self.said.append("close")


def test_a_watch_looks_by_itself_and_ends() -> None:
    display = _Counted()
    with Watch(display, _moment) as watch:
        assert display.shown.wait(10)
        with watch.out_of_the_way():
            before = list(display.said)
    assert before[-1] == "pause"
    assert display.said[-1] == "close"


def test_a_reader_that_has_gone_ends_the_watch_without_a_word() -> None:
    gone = threading.Event()

    class Gone(NoDisplay):
        def show(self, moment: Moment) -> None:
            gone.set()
            raise BrokenPipeError

    with Watch(Gone(), _moment) as watch:
        assert gone.wait(10)
        watch._thread.join(10)
        assert not watch._thread.is_alive()
