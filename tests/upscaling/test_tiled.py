"""Tiles: they cover everything once, join without a trace, and shrink when memory runs out."""

from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from luxscaler.errors import UpscaleError
from luxscaler.geometry import spans
from luxscaler.upscaling.tiled import TiledRun, aligned_spans, is_out_of_memory, ramp, weights
from tests.support.examples import examples

seeded = settings(derandomize=True, deadline=None, max_examples=examples(25))
SCALE = 2


@st.composite
def cuts(draw: st.DrawFn) -> tuple[int, int, int]:
    """(length, tile, overlap) as the options allow them."""
    overlap = draw(st.integers(0, 96))
    tile = draw(st.integers(max(1, 2 * overlap), 2 * overlap + 200))
    return draw(st.integers(1, 1500)), tile, overlap


def nearest(picture: Tensor) -> Tensor:
    """A purely local function: every pixel repeated."""
    return F.interpolate(picture, scale_factor=float(SCALE), mode="nearest")


def blurred(radius: int) -> Callable[[Tensor], Tensor]:
    """A function that sees `radius` pixels around each."""
    kernel = torch.rand(1, 1, 2 * radius + 1, 2 * radius + 1, generator=torch.Generator().manual_seed(5))
    return lambda picture: nearest(F.conv2d(picture, kernel / kernel.sum(), padding=radius))


def coordinates(height: int, width: int) -> Tensor:
    """1×2×H×W that holds where each pixel is, so that a function can tell which piece it was given."""
    down, across = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack((down, across))[None].float()


class Memory:
    """`nearest`, failing where `fails` says so of a piece; remembers the boxes of the pieces it finished."""

    def __init__(self, fails: Callable[[Tensor, int], bool], error: Exception | None = None) -> None:
        self.fails = fails
        self.error = error or torch.OutOfMemoryError("CUDA out of memory")
        self.calls = 0
        self.finished: list[tuple[int, int, int, int]] = []

    def __call__(self, piece: Tensor) -> Tensor:
        self.calls += 1
        if self.fails(piece, self.calls):
            raise self.error
        top, left = piece[0, :, 0, 0].int().tolist()
        self.finished.append((top, left, top + piece.shape[2], left + piece.shape[3]))
        return nearest(piece)


def larger_than(side: int) -> Callable[[Tensor, int], bool]:
    return lambda piece, _: max(piece.shape[2:]) > side


def inside(box: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> bool:
    return other[0] <= box[0] and other[1] <= box[1] and box[2] <= other[2] and box[3] <= other[3]


@seeded
@given(
    length=st.integers(1, 3000),
    tile=st.integers(2, 400),
    overlap=st.integers(0, 200),
    align=st.sampled_from([1, 2, 4, 32, 64]),
)
def test_aligned_spans_cover_all_and_share_no_less(length: int, tile: int, overlap: int, align: int) -> None:
    overlap = min(overlap, tile // 2)
    cuts = aligned_spans(length, tile, overlap, align)
    assert (cuts[0].start, cuts[-1].stop) == (0, length)
    assert all(0 < cut.stop - cut.start <= max(tile, 1) for cut in cuts)
    assert all(one.stop - other.start == overlap for one, other in pairwise(cuts))
    if tile - overlap >= 2 * align:
        assert all(cut.start % align == 0 for cut in cuts)


@given(cuts())
def test_spans_cover_the_length_in_order_and_share_the_overlap(cut: tuple[int, int, int]) -> None:
    length, tile, overlap = cut
    found = spans(length, tile, overlap)
    assert found[0].start == 0
    assert found[-1].stop == length
    assert all(0 < span.stop - span.start <= tile for span in found)
    for before, after in pairwise(found):
        assert before.start < after.start
        assert before.stop < after.stop
        assert before.stop - after.start >= overlap


@seeded
@given(cuts())
def test_spans_are_few_and_equally_long(cut: tuple[int, int, int]) -> None:
    length, tile, overlap = cut
    found = spans(length, tile, overlap)
    sizes = [span.stop - span.start for span in found]
    assert max(sizes) - min(sizes) <= 1
    assert len(found) == 1 or (len(found) - 1) * (tile - overlap) + overlap < length


@seeded
@given(cuts(), st.integers(1, 4))
def test_weights_are_a_partition_of_unity(cut: tuple[int, int, int], scale: int) -> None:
    length, tile, overlap = cut
    found = spans(length, tile, overlap)
    total = torch.zeros(length * scale)
    for index, span in enumerate(found):
        share = weights(index, found, scale)
        assert float(share.min()) >= 0.0
        total[span.start * scale : span.stop * scale] += share
    torch.testing.assert_close(total, torch.ones_like(total), rtol=0, atol=1e-6)


@seeded
@given(st.integers(0, 800))
def test_ramp_rises_from_nothing_to_everything(length: int) -> None:
    rising = ramp(length, dtype=torch.float64)
    assert bool((rising.diff() >= 0).all())
    torch.testing.assert_close(rising + rising.flip(0), torch.ones(length, dtype=torch.float64))
    quarter = length // 4
    assert float(rising[:quarter].abs().sum()) == 0.0, "the outer quarter lacks context"


@pytest.mark.parametrize(("height", "width"), [(70, 90), (17, 200), (1, 65), (33, 1)])
def test_a_local_function_gives_the_same_tiled(height: int, width: int) -> None:
    picture = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(1))
    tiled = TiledRun(nearest, SCALE, tile=32, overlap=8)(picture)
    torch.testing.assert_close(tiled, nearest(picture), rtol=0, atol=2e-7)


def test_a_function_that_sees_less_than_a_quarter_of_the_overlap_gives_the_same_tiled() -> None:
    picture = torch.rand(1, 1, 90, 130, generator=torch.Generator().manual_seed(2))
    function = blurred(radius=4)
    tiled = TiledRun(function, SCALE, tile=48, overlap=16)(picture)
    torch.testing.assert_close(tiled, function(picture), rtol=0, atol=1e-6)


def test_a_function_that_sees_further_does_not() -> None:
    picture = torch.rand(1, 1, 90, 130, generator=torch.Generator().manual_seed(2))
    function = blurred(radius=9)
    tiled = TiledRun(function, SCALE, tile=48, overlap=16)(picture)
    assert float((tiled - function(picture)).abs().max()) > 1e-4


def test_a_picture_that_fits_is_done_at_once() -> None:
    function = Memory(larger_than(64))
    TiledRun(function, SCALE, tile=64, overlap=16)(coordinates(64, 40))
    assert function.finished == [(0, 0, 64, 40)]


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        MemoryError(),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate"),
        RuntimeError("MPS backend out of memory"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_out_of_memory_halves_the_tile_and_the_result_is_right(error: Exception) -> None:
    function = Memory(larger_than(40), error)
    picture = coordinates(100, 150)
    out = TiledRun(function, SCALE, tile=512, overlap=8)(picture)
    torch.testing.assert_close(out, nearest(picture), rtol=0, atol=1e-4)
    assert max(max(box[2] - box[0], box[3] - box[1]) for box in function.finished) <= 40


def test_out_of_memory_is_found_once_not_for_every_tile() -> None:
    function = Memory(larger_than(40))
    TiledRun(function, SCALE, tile=512, overlap=8)(coordinates(150, 150))
    assert function.calls - len(function.finished) == 2  # 150 and 75


@pytest.mark.parametrize("failing", [1, 3, 7])
def test_finished_tiles_are_not_done_again(failing: int) -> None:
    function = Memory(lambda _, call: call == failing)
    picture = coordinates(100, 120)
    out = TiledRun(function, SCALE, tile=48, overlap=8)(picture)
    torch.testing.assert_close(out, nearest(picture), rtol=0, atol=1e-4)
    before, after = function.finished[: failing - 1], function.finished[failing - 1 :]
    assert not [box for box in after if any(inside(box, done) for done in before)]
    assert len(set(function.finished)) == len(function.finished) == function.calls - 1


def test_out_of_memory_below_twice_the_overlap_is_an_error_that_names_sizes() -> None:
    function = Memory(larger_than(0))
    with pytest.raises(UpscaleError, match=r"out of memory .* 14 × 14 .*\(16\)") as caught:
        TiledRun(function, SCALE, tile=512, overlap=8)(coordinates(60, 60))
    assert isinstance(caught.value.__cause__, torch.OutOfMemoryError)


def test_other_errors_pass_through() -> None:
    function = Memory(larger_than(0), RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        TiledRun(function, SCALE, tile=512, overlap=8)(coordinates(60, 60))
    assert function.calls == 1


def test_only_allocation_failures_count_as_out_of_memory() -> None:
    assert not is_out_of_memory(RuntimeError("memory format is not supported"))
    assert not is_out_of_memory(ValueError("out of range"))


@pytest.mark.parametrize("tile", [512, 48, 17])
@pytest.mark.parametrize("limit", [1000, 33])
def test_progress_is_monotone_and_ends_at_the_total(tile: int, limit: int) -> None:
    seen: list[tuple[int, int]] = []
    run = TiledRun(
        Memory(larger_than(limit)), SCALE, tile, overlap=8, progress=lambda *done: seen.append(done)
    )
    for _ in range(2):  # a run may be used again
        seen.clear()
        run(coordinates(90, 70))
        done = [count for count, _ in seen]
        assert done == sorted(done)
        assert done[0] > 0
        assert seen[-1] == (90 * 70, 90 * 70)
        assert {total for _, total in seen} == {90 * 70}
