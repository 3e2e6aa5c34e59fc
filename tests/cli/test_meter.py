"""The one number of progress: it moves, it never falls, and what follows the network counts."""

import pytest

from luxscaler.cli.meter import AFTER, Meter, Pace
from luxscaler.pipeline.result import STAGES


class _Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> _Clock:
    return _Clock()


def test_the_stages_are_those_of_a_run() -> None:
    assert STAGES[STAGES.index("upscaling") + 1 :] == AFTER
    assert set(Pace().seconds) == set(AFTER)


def test_nothing_is_claimed_before_the_network_runs(clock: _Clock) -> None:
    meter = Meter(Pace(), clock=clock)
    for stage in ("starting", "loading", "reading"):
        if stage != "starting":
            meter.stage(stage)
        clock.now += 5
        view = meter.view()
        assert (view.stage, view.fraction, view.left) == (stage, None, None)


def test_one_tile_never_falls_and_ends_below_all(clock: _Clock) -> None:
    pace = Pace()
    meter = Meter(pace, with_report=True, clock=clock)
    meter.plan(1, 16.0)
    seen: list[float] = []

    def look() -> None:
        clock.now += 1
        fraction = meter.view().fraction
        seen.append(0.0 if fraction is None else fraction)

    meter.stage("reading")
    look()
    meter.stage("upscaling")
    for share in (0.1, 0.5, 0.83, 0.0, 0.2, 1.0):  # the last tile's share is told again from the beginning
        meter.share(0, share)
        look()
    at_the_end_of_the_network = seen[-1]
    meter.tiles(1, 0, 0.0)
    for stage in AFTER:
        meter.stage(stage)
        for _ in range(20):  # much later than expected
            look()
    assert seen == sorted(seen)
    assert at_the_end_of_the_network < 0.8
    assert 0.95 < seen[-1] < 1.0
    assert len(set(seen)) > 80  # it moves, however late a stage is
    assert meter.view().left is None


def test_tiles_side_by_side_count_by_their_shares(clock: _Clock) -> None:
    meter = Meter(Pace(), clock=clock)
    meter.plan(10, 0.0)
    meter.stage("upscaling")
    meter.tiles(4, 4, 0.0)  # of an earlier run
    clock.now += 30
    meter.tiles(6, 4, 0.25)
    meter.share(4, 1.0)
    meter.share(5, 1.0)
    meter.share(6, 0.5)
    view = meter.view()
    assert (view.tiles_done, view.tiles, view.dollars) == (6, 10, 0.25)
    assert view.words == "tile 6 of 10, $0.250"
    assert view.left == pytest.approx(30 * 3.5 / 2.5)


def test_tiles_that_are_done_count_once_though_their_last_share_is_below_1(clock: _Clock) -> None:
    meter = Meter(Pace(), clock=clock)
    meter.plan(20, 0.0)
    meter.stage("upscaling")
    for number in range(10):
        for share in (0.45, 0.9):  # of a tile, the network is 0.9
            meter.share(number, share)
        meter.tiles(number + 1, 0, 0.0)
    meter.share(10, 0.5)
    clock.now += 105
    view = meter.view()
    assert view.fraction == pytest.approx(10.5 / 20)
    assert view.left == pytest.approx(95)


def test_a_run_learns_how_long_the_rest_takes(clock: _Clock) -> None:
    pace = Pace()
    first = Meter(pace, clock=clock)
    first.plan(1, 10.0)
    first.stage("upscaling")
    for stage in ("matching", "expanding", "writing"):
        first.stage(stage)
        clock.now += 20
    first.stage("done")
    assert pace.seconds["writing"] == pytest.approx(2.0)
    second = Meter(pace, clock=clock)
    second.plan(1, 5.0)
    second.stage("upscaling")
    second.share(0, 0.5)
    clock.now += 10
    left = second.view().left
    assert left == pytest.approx(10 + 3 * 10, rel=0.01)
