"""Plans: tiles cover the picture, meet in pairs, begin on whole pixels, and cost what was agreed."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from luxscaler.errors import InputError
from luxscaler.geometry import Span, output_size
from luxscaler.tiling.plan import EXTRA_PIXELS, MAX_OVERLAP, MIN_OVERLAP, Plan, plan
from luxscaler.upscaling.tiled import weights
from tests.support.examples import examples

SCALES = (1.0, 1.1, 1.25, 4 / 3, 1.5, 1.7, 2.0, 2.25, 2.3, 3.0, 3.2, 4.0, 7.9, 8.0)
seldom = settings(max_examples=examples(60))


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Plans of up to a few hundred tiles, as the options allow them."""
    tile = draw(st.integers(64, 1100))
    scale = draw(st.sampled_from(SCALES))
    width, height = draw(st.integers(1, 12 * tile)), draw(st.integers(1, 3 * tile))
    overlap = draw(st.none() | st.integers(0, tile // 4))
    try:
        return plan(width, height, scale=scale, tile=tile, overlap=overlap)
    except InputError:
        assume(False)
        raise


def axes(cuts: Plan) -> list[tuple[int, tuple[Span, ...], int, tuple[Span, ...]]]:
    """(length, source spans, length of the result, spans of the result), across and down."""
    return [
        (cuts.width, cuts.source_columns, cuts.output_width, cuts.columns),
        (cuts.height, cuts.source_rows, cuts.output_height, cuts.rows),
    ]


def lengths(spans: tuple[Span, ...]) -> list[int]:
    return [span.stop - span.start for span in spans]


@seldom
@given(plans())
def test_tiles_cover_the_picture_and_share_the_overlap(cuts: Plan) -> None:
    for length, source, _, _ in axes(cuts):
        assert source[0].start == 0
        assert source[-1].stop == length
        assert all(0 < side <= cuts.tile for side in lengths(source))
        for before, after in pairwise(source):
            assert before.start < after.start
            assert before.stop < after.stop
            assert before.stop - after.start >= cuts.overlap


@seldom
@given(plans())
def test_at_most_two_tiles_meet_along_an_axis(cuts: Plan) -> None:
    for _, source, _, _ in axes(cuts):
        assert all(one.stop <= third.start for one, third in zip(source, source[2:], strict=False))


@seldom
@given(plans())
def test_several_tiles_begin_where_networks_and_results_have_whole_pixels(cuts: Plan) -> None:
    for _, source, _, result in axes(cuts):
        for span, becomes in zip(source[1:], result[1:], strict=True):
            assert span.start % 4 == 0
            assert math.isclose(span.start * cuts.scale, becomes.start, abs_tol=1e-6)
            assert becomes.start % 2 == 0


def assert_fits(cuts: Plan) -> None:
    assert (cuts.output_width, cuts.output_height) == output_size(cuts.width, cuts.height, cuts.scale)
    for index in range(len(cuts)):
        cut = cuts.cut(index)
        (height,), (width,) = lengths((cut.source_rows,)), lengths((cut.source_columns,))
        assert cut.output_size == output_size(width, height, cuts.scale)[::-1]


@seldom
@given(plans())
def test_a_tile_becomes_what_the_upscaler_makes_of_its_size(cuts: Plan) -> None:
    assert_fits(cuts)


@pytest.mark.parametrize("length", range(4005, 4100, 10))
def test_half_a_pixel_at_the_end_is_rounded_the_same_in_the_tile_and_the_whole(length: int) -> None:
    assert_fits(plan(length, 100, scale=1.1, tile=1024))  # 4015 × 1.1 is 4416.5, in floats a little more


@seldom
@given(plans())
def test_weights_add_up_to_one(cuts: Plan) -> None:
    for _, _, length, result in axes(cuts):
        total = np.zeros(length)
        for index, span in enumerate(result):
            total[span.start : span.stop] += weights(index, list(result), 1).numpy()
        np.testing.assert_allclose(total, 1.0, atol=1e-6)


@seldom
@given(plans())
def test_extra_is_the_measured_area(cuts: Plan) -> None:
    sizes = (cuts.cut(index) for index in range(len(cuts)))
    area = sum(
        (cut.source_rows.stop - cut.source_rows.start) * (cut.source_columns.stop - cut.source_columns.start)
        for cut in sizes
    )
    assert math.isclose(cuts.extra, area / (cuts.width * cuts.height))


@pytest.mark.parametrize("scale", [1.1, 2.0, 4.0])
@pytest.mark.parametrize("size", [(6000, 4000), (31623, 31623), (1025, 700), (9000, 120)])
def test_by_default_the_overlap_costs_a_quarter_at_most(size: tuple[int, int], scale: float) -> None:
    cuts = plan(*size, scale=scale, tile=1024)
    assert cuts.extra <= EXTRA_PIXELS
    assert MIN_OVERLAP <= cuts.overlap <= MAX_OVERLAP
    richer = plan(*size, scale=scale, tile=1024, overlap=min(cuts.overlap + 40, 256))
    assert cuts.overlap > MAX_OVERLAP - 40 or richer.extra > EXTRA_PIXELS


def test_small_tiles_have_the_least_overlap_whatever_it_costs() -> None:
    cuts = plan(640, 640, scale=4.0, tile=64)
    assert cuts.overlap == MIN_OVERLAP
    assert cuts.extra > EXTRA_PIXELS


@given(plans())
@seldom
def test_cuts_are_numbered_row_by_row_and_know_their_place(cuts: Plan) -> None:
    assert len(cuts) == len(cuts.rows) * len(cuts.columns)
    for index in {0, len(cuts) // 2, len(cuts) - 1}:
        cut = cuts.cut(index)
        assert (cut.index, cut.row * len(cuts.columns) + cut.column) == (index, index)
        assert cut.box.x * cuts.width == pytest.approx(cut.source_columns.start)
        assert cut.box.height * cuts.height == pytest.approx(lengths((cut.source_rows,))[0])


@pytest.mark.parametrize("scale", [1.0, 2.71828, 8.0])
def test_a_picture_of_one_tile_takes_any_scale(scale: float) -> None:
    cuts = plan(1024, 7, scale=scale, tile=1024)
    assert len(cuts) == 1
    assert cuts.extra == 1.0


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"scale": 2.71828}, r"scale is 2\.71828; .* denominator up to 16"),
        ({"scale": 1.3, "tile": 128}, r"scale is 1\.3; .* tiles of 128 .* denominator up to 6"),
        ({"scale": 0.5}, "scale is 0.5; it must be from 1 to 8"),
        ({"scale": math.nan}, "scale is nan; it must be from 1 to 8"),
        ({"tile": 63}, "tile is 63; it must be from 64 to 8192 pixels"),
        ({"tile": 8193}, "tile is 8193; it must be from 64 to 8192 pixels"),
        ({"overlap": -1}, "overlap is -1; it must be from 0 to a quarter of the tile, 256"),
        ({"overlap": 257}, "overlap is 257; it must be from 0 to a quarter of the tile, 256"),
    ],
)
def test_bad_values_are_told_in_one_line(options: dict[str, float], text: str) -> None:
    with pytest.raises(InputError, match=f"^{text}[^\n]*$"):
        plan(5000, 3000, **{"scale": 2.0, "tile": 1024, **options})  # type: ignore[arg-type]
