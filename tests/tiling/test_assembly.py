"""Tiles to rows: no seam, the same bytes in whatever order tiles come, and errors that surface."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from luxscaler.errors import ExportError, InputError, StoppedError
from luxscaler.geometry import WHOLE, TileBox
from luxscaler.hdr.expand import ToneStatistics, expand
from luxscaler.masters.writer import Writer
from luxscaler.picture import FloatArray, Picture
from luxscaler.tiling import blending, expansion
from luxscaler.tiling.assembly import Assembler
from luxscaler.tiling.expansion import Expansion, expand_whole
from luxscaler.tiling.plan import Plan, plan
from luxscaler.tiling.strips import HostTile, Strip
from tests.support.examples import examples

SCALE = 2
AS_IT_IS = Expansion(1.0, ToneStatistics(1.0), WHOLE)


def scene(height: int, width: int, *, alpha: bool = False, seed: int = 0) -> Picture:
    random = np.random.default_rng(seed)
    mask = random.random((height, width), np.float32) if alpha else None
    return Picture(random.random((height, width, 3), np.float32) * 1.5, mask)


def repeated(array: FloatArray) -> FloatArray:
    return array.repeat(SCALE, 0).repeat(SCALE, 1)


def upscaled(picture: Picture, cuts: Plan) -> list[HostTile]:
    """Every tile of the plan, its pixels repeated."""
    tiles = []
    for index in range(len(cuts)):
        cut = cuts.cut(index)
        inside = (
            slice(cut.source_rows.start, cut.source_rows.stop),
            slice(cut.source_columns.start, cut.source_columns.stop),
        )
        alpha = None if picture.alpha is None else repeated(picture.alpha[inside])
        tiles.append(HostTile(Picture(repeated(picture.rgb[inside]), alpha)))
    return tiles


@dataclass
class Rows:
    """Keeps the strips that it gets, and fails at a row if told to."""

    fails_at: int = 10**9
    rgb: list[FloatArray] = field(default_factory=list)
    alpha: list[FloatArray] = field(default_factory=list)
    sdr: list[FloatArray] = field(default_factory=list)
    tops: list[int] = field(default_factory=list)

    def take(self, strip: Strip) -> None:
        if sum(map(len, self.rgb)) + len(strip.rgb) > self.fails_at:
            raise ExportError("the disk is full")
        self.rgb.append(strip.rgb.copy())  # the arrays are used again
        if strip.sdr is not None:
            self.sdr.append(strip.sdr.copy())
        self.tops.append(strip.top)
        if strip.alpha is not None:
            self.alpha.append(strip.alpha.copy())


def assembler(picture: Picture, cuts: Plan, sink: Rows, expansion: Expansion = AS_IT_IS) -> Assembler:
    tiles = upscaled(picture, cuts)
    has_alpha = picture.alpha is not None
    return Assembler(cuts, tiles.__getitem__, expansion, sink.take, has_alpha=has_alpha, shows_both=True)


def assembled(
    picture: Picture, cuts: Plan, order: Sequence[int] | None = None, expansion: Expansion = AS_IT_IS
) -> Rows:
    """The rows, of tiles that come in that order."""
    sink, done = Rows(), set[int]()
    rows = assembler(picture, cuts, sink, expansion)
    for number in range(len(cuts)) if order is None else order:
        done.add(number)
        rows.advance(done.__contains__)
    assert rows.rows_done == cuts.output_height
    return sink


@st.composite
def cases(draw: st.DrawFn, most: int = 260) -> tuple[Picture, Plan]:
    height, width = draw(st.integers(1, most)), draw(st.integers(1, most))
    tile = draw(st.integers(64, 130))
    overlap = draw(st.none() | st.integers(0, tile // 4))
    picture = scene(height, width, alpha=draw(st.booleans()), seed=draw(st.integers(0, 99)))
    return picture, plan(width, height, scale=SCALE, tile=tile, overlap=overlap)


@settings(max_examples=examples(20))
@given(cases())
def test_tiles_of_any_plan_make_the_whole_picture(case: tuple[Picture, Plan]) -> None:
    picture, cuts = case
    sink = assembled(picture, cuts)
    np.testing.assert_allclose(np.concatenate(sink.rgb), repeated(picture.rgb), atol=1e-6)
    if picture.alpha is not None:
        alpha = np.concatenate(sink.alpha)
        np.testing.assert_allclose(alpha, repeated(picture.alpha), atol=1e-6)
        assert alpha.min() >= 0.0
        assert alpha.max() <= 1.0


@settings(max_examples=examples(20))
@given(cases(most=140))
def test_pytorch_and_numpy_blend_to_the_same_bytes(case: tuple[Picture, Plan]) -> None:
    picture, cuts = case
    by_numpy = assembled(picture, cuts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blending, "library_of", lambda _device: torch)
        by_pytorch = assembled(picture, cuts)
    for one, other in ((by_numpy.rgb, by_pytorch.rgb), (by_numpy.alpha, by_pytorch.alpha)):
        assert [rows.tobytes() for rows in one] == [rows.tobytes() for rows in other]


@pytest.mark.slow
@settings(max_examples=5)
@given(cases(most=140), st.randoms(use_true_random=False), st.integers(1, 40_000))
def test_the_order_in_which_tiles_come_changes_no_bit(
    case: tuple[Picture, Plan],
    random: Random,
    strip_bytes: int,
) -> None:
    picture, cuts = case
    order = list(range(len(cuts)))
    random.shuffle(order)
    boosted = Expansion(6.0, ToneStatistics.of(torch.from_numpy(picture.rgb)), WHOLE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(expansion, "STRIP_BYTES", max(strip_bytes, cuts.output_width * 16 * 8))
        one, other = (assembled(picture, cuts, way, boosted) for way in (None, order))
    assert other.tops == one.tops
    assert np.concatenate(other.rgb).tobytes() == np.concatenate(one.rgb).tobytes()


def test_rows_are_written_as_soon_as_their_tiles_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = scene(200, 100)
    cuts = plan(100, 200, scale=SCALE, tile=64, overlap=16)
    monkeypatch.setattr(expansion, "STRIP_BYTES", cuts.output_width * 16)  # one row
    sink, columns = Rows(), len(cuts.columns)
    rows = assembler(picture, cuts, sink)
    rows.advance(set(range(columns - 1)).__contains__)
    assert rows.rows_done == 0
    rows.advance(set(range(columns)).__contains__)
    assert cuts.rows[1].start - 8 <= rows.rows_done <= cuts.rows[1].start  # some look at rows below
    rows.advance(lambda _: True, halted=lambda: rows.rows_done > 200)
    assert rows.rows_done == 201
    rows.advance(lambda _: True)
    assert rows.rows_done == 400
    assert sink.tops == list(range(400))


@pytest.mark.sample(2)
@pytest.mark.parametrize("box", [WHOLE, None])
@pytest.mark.parametrize("boost", [1.0, 4.0, 49.0])
def test_the_range_is_expanded_as_in_the_whole_picture(
    boost: float, box: TileBox | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = scene(150, 170)
    picture.rgb[20:90, 30:120] = 1.5  # a clipped area, over which there is a dome
    statistics = ToneStatistics.of(torch.from_numpy(picture.rgb))
    cuts = plan(170, 150, scale=SCALE, tile=80)
    monkeypatch.setattr(expansion, "STRIP_BYTES", cuts.output_width * 16 * 23)
    sink, whole = Rows(), torch.from_numpy(repeated(picture.rgb))
    rows = assembler(picture, cuts, sink, Expansion(boost, statistics, box))
    rows.advance(lambda _: True)
    expected = expand(whole, boost, statistics, box).numpy()
    np.testing.assert_allclose(np.concatenate(sink.rgb), expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(np.concatenate(sink.sdr), whole.numpy(), atol=1e-6)
    assert rows.peak == pytest.approx(float(expected.max()), rel=1e-5)


# The thread that writes


def test_the_writer_writes_what_is_there_and_all_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = scene(200, 100)
    cuts = plan(100, 200, scale=SCALE, tile=64, overlap=16)
    monkeypatch.setattr(expansion, "STRIP_BYTES", cuts.output_width * 16 * 10)
    sink, done = Rows(), set[int]()
    rows = assembler(picture, cuts, sink)
    with Writer(rows, done.__contains__, threading.Event()) as writer:
        for number in range(len(cuts)):
            done.add(number)
            writer.wake()
        writer.finish()
        assert rows.rows_done == 400
    np.testing.assert_allclose(np.concatenate(sink.rgb), repeated(picture.rgb), atol=1e-6)


def failing_writer(stop: threading.Event) -> Writer:
    picture = scene(100, 100)
    cuts = plan(100, 100, scale=SCALE, tile=64, overlap=16)
    return Writer(assembler(picture, cuts, Rows(fails_at=0)), lambda _: True, stop)


def test_an_error_of_the_sink_stops_the_work_and_surfaces() -> None:
    def work() -> None:
        with failing_writer(stop) as writer:
            writer.wake()
            assert stop.wait(10)
            raise StoppedError("what followed from it")

    stop = threading.Event()
    with pytest.raises(ExportError, match="the disk is full"):
        work()


def test_an_error_at_the_very_end_surfaces_too() -> None:
    with pytest.raises(ExportError, match="the disk is full"), failing_writer(threading.Event()) as writer:
        writer.finish()


def test_an_error_of_the_work_ends_the_thread_and_is_the_one_that_is_raised() -> None:
    rows = assembler(scene(9, 9), plan(9, 9, scale=SCALE, tile=64), Rows())
    with pytest.raises(ZeroDivisionError), Writer(rows, lambda _: False, threading.Event()):
        raise ZeroDivisionError
    assert "rows" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize("mask_size", [(5, 9), (900, 700)], ids=["coarse", "fine"])
def test_a_mask_is_the_same_over_tiles_and_the_whole(mask_size: tuple[int, int]) -> None:
    picture = scene(200, 150)
    one, several = (plan(150, 200, scale=SCALE, tile=tile) for tile in (256, 64))
    mask = torch.rand(mask_size, generator=torch.Generator().manual_seed(6))
    light = torch.from_numpy(repeated(picture.rgb))
    expansion = Expansion(4.0, ToneStatistics.of(light), WHOLE, mask)
    whole = expand_whole(light, expansion, in_place=False).numpy()
    np.testing.assert_array_equal(np.concatenate(assembled(picture, one, expansion=expansion).rgb), whole)
    tiles = np.concatenate(assembled(picture, several, expansion=expansion).rgb)
    np.testing.assert_allclose(tiles, whole, rtol=1e-4)
    assert (whole != expand(light, 4.0, expansion.statistics).numpy()).any()


def test_masks_of_ones_and_zeros_change_no_bit() -> None:
    light = torch.from_numpy(scene(90, 70).rgb)
    statistics = ToneStatistics.of(light)
    full = expand_whole(light, Expansion(4.0, statistics), in_place=False)
    for value, wanted in ((1.0, full), (0.0, light)):
        expansion = Expansion(4.0, statistics, WHOLE, torch.full((3, 3), value))
        for in_place in (False, True):
            made = expand_whole(light.clone(), expansion, in_place=in_place)
            assert torch.equal(made, wanted)


def test_a_mask_without_a_place_is_an_error() -> None:
    with pytest.raises(InputError, match="give tile_box"):
        Expansion(2.0, ToneStatistics(1.0), None, torch.ones(2, 2))
