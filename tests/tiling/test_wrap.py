"""Pictures whose opposite edges meet: the border of the other side, and the fold back into the result."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luxscaler.errors import InputError
from luxscaler.geometry import NO_WRAP, Span, Wrap
from luxscaler.hdr.expand import ToneStatistics
from luxscaler.picture import Picture
from luxscaler.tiling.assembly import Assembler
from luxscaler.tiling.expansion import Expansion
from luxscaler.tiling.overview import part_of
from luxscaler.tiling.plan import plan
from luxscaler.tiling.strips import HostTile, WholeRows
from luxscaler.tiling.wrap import BorderedPicture, Fold, bordered
from tests.support.examples import examples


@pytest.mark.parametrize("text", ["", "x", "y", "xy"])
def test_axes_are_written_as_they_are_read(text: str) -> None:
    assert str(Wrap.parse(text)) == text
    assert bool(Wrap.parse(text)) == bool(text)


@pytest.mark.parametrize("text", ["yx", "X", "both", "1"])
def test_other_axes_are_refused_by_what_they_are(text: str) -> None:
    with pytest.raises(InputError, match=f"wrap is '{text}'"):
        Wrap.parse(text)


def test_the_border_is_the_other_side_even_where_it_is_wider_than_the_picture() -> None:
    rgb = np.random.default_rng(1).random((5, 7, 3), np.float32)
    made = BorderedPicture(Picture(rgb, rgb[..., 0]), 11, 16).whole()
    wanted = np.pad(rgb, ((11, 11), (16, 16), (0, 0)), mode="wrap")
    np.testing.assert_array_equal(made.rgb, wanted)
    np.testing.assert_array_equal(np.asarray(made.alpha), wanted[..., 0])


@given(st.integers(1, 60), st.integers(0, 40))
def test_what_lies_over_a_pixel_weighs_one_in_all(length: int, border: int) -> None:
    fold = Fold(length, border)
    total = np.zeros(length)
    line = fold.weights(Span(0, length + 2 * border))
    for place, at in fold.places(Span(0, len(line))):
        total[place.start : place.stop] += line[at : at + place.stop - place.start]
    np.testing.assert_allclose(total, 1.0, atol=1e-6)
    gathered = np.zeros(length)
    for lines, at in fold.lines(0, length):
        gathered[at : at + lines.stop - lines.start] += line[lines.start : lines.stop]
    np.testing.assert_allclose(gathered, total, atol=1e-6)


@settings(max_examples=examples(15), deadline=None)
@given(
    st.integers(8, 120),
    st.integers(8, 120),
    st.sampled_from([64, 128]),
    st.sampled_from([None, 0, 16]),
    st.sampled_from([1.0, 1.5, 2.0, 4.0]),
    st.sampled_from(["", "x", "y", "xy"]),
)
def test_tiles_that_repeat_pixels_give_the_picture_back(
    width: int, height: int, tile: int, overlap: int | None, scale: float, axes: str
) -> None:
    width, height = (n * Fraction(scale).denominator for n in (width, height))
    picture = Picture(np.random.default_rng(width).random((height, width, 3), np.float32))
    cuts = plan(width, height, scale=scale, tile=tile, overlap=overlap, wrap=Wrap.parse(axes))
    assert (cuts.output_width, cuts.output_height) == (width * scale, height * scale)
    rows = WholeRows(cuts.output_height, cuts.output_width, has_alpha=False, shows_both=False)
    tiles: dict[int, HostTile] = {}
    assembler = Assembler(
        cuts, tiles.__getitem__, Expansion(1.0, ToneStatistics(1.0)), rows.take, has_alpha=False
    )
    done: set[int] = set()
    for number in cuts.order:
        part = part_of(bordered(picture, cuts), cuts.cut(number)).rgb
        down, across = ((np.arange(n) / scale).astype(int) for n in cuts.cut(number).output_size)
        tiles[number] = HostTile(Picture(part[down][:, across]))
        done.add(number)
        assembler.advance(done.__contains__)
        for gone in [n for n in tiles if not assembler.needs(n)]:
            del tiles[gone]
    wanted = picture.rgb[(np.arange(cuts.output_height) / scale).astype(int)]
    wanted = wanted[:, (np.arange(cuts.output_width) / scale).astype(int)]
    np.testing.assert_allclose(rows.rgb, wanted, atol=1e-5)
    assert not tiles


def test_edges_that_meet_within_a_pixel_are_refused() -> None:
    with pytest.raises(InputError, match=r"the width 101 times the scale 1.5 is 151.5"):
        plan(101, 100, scale=1.5, tile=512, wrap=Wrap(x=True))
    plan(101, 100, scale=1.5, tile=512, wrap=Wrap(y=True))
    with pytest.raises(InputError, match="the height is 7; it must be 8 or more"):
        plan(100, 7, scale=2, tile=512, wrap=Wrap(y=True))
    with pytest.raises(InputError, match="a picture that wraps"):
        plan(100, 100, scale=3.37, tile=64, wrap=Wrap(y=True))


def test_a_plan_without_wrap_has_no_border() -> None:
    cuts = plan(300, 200, scale=2, tile=128)
    assert (cuts.wrap, cuts.source_border, cuts.border) == (NO_WRAP, (0, 0), (0, 0))
    assert list(cuts.order) == list(range(len(cuts)))
