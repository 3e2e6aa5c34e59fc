"""De-quantised codes: nearer to a ramp than its 8-bit steps, never far from them, edges as they are."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from luxscaler.color_torch import decode_srgb
from luxscaler.hdr.dequantize import RADIUS, STEP, dequantized
from luxscaler.hdr.expand import ToneStatistics, expand


def ramp() -> tuple[Tensor, Tensor]:
    """A smooth ramp of codes near white and what 8 bits make of it, (20, 900)."""
    code = torch.linspace(0.8, 0.99, 900).expand(20, -1)
    return code.contiguous(), ((code * 255).round() / 255).contiguous()


def test_a_ramp_loses_its_steps() -> None:
    true, stepped = ramp()
    result = dequantized(stepped)
    assert float((result - true).abs().mean()) < 0.6 * float((stepped - true).abs().mean())
    assert float(result.diff(dim=1).max()) < 0.25 * float(stepped.diff(dim=1).max())
    assert bool((result.diff(dim=1) > -1e-6).all())


def test_a_true_ramp_stays_up_to_its_ends() -> None:
    true, _ = ramp()
    torch.testing.assert_close(dequantized(true), true, rtol=2e-5, atol=0)


@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (3, 2), (40, 50)])
def test_nothing_moves_further_than_about_half_a_code(shape: tuple[int, int]) -> None:
    codes = torch.rand(shape, generator=torch.Generator().manual_seed(2))
    assert float((dequantized(codes) - codes).abs().max()) < 0.58 * STEP


@pytest.mark.parametrize("shape", [(9, 9), (12, 31), (40, 50)])
def test_the_window_is_the_mean_of_nine_by_nine(shape: tuple[int, int]) -> None:
    """Where the window lies inside; PyTorch's pooling is the oracle."""
    codes = 0.5 + 0.2 * STEP * torch.rand(
        shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64
    )
    mean = F.avg_pool2d(codes[None], 2 * RADIUS + 1, stride=1)[0]
    inner = codes[RADIUS : shape[0] - RADIUS, RADIUS : shape[1] - RADIUS]
    distance = mean - inner
    expected = inner + distance / (1 + (distance / STEP) ** 4)
    inside = dequantized(codes)[RADIUS : shape[0] - RADIUS, RADIUS : shape[1] - RADIUS]
    torch.testing.assert_close(inside, expected, rtol=0, atol=1e-14)


def test_an_edge_and_a_lamp_stay() -> None:
    codes = torch.full((32, 32), 0.3)
    codes[:, 16:] = 0.9
    codes[8, 8] = 1.0
    torch.testing.assert_close(dequantized(codes), codes, rtol=0, atol=5e-4)


def test_rows_do_not_depend_on_where_they_are_cut() -> None:
    _, stepped = ramp()
    whole = dequantized(stepped.T.contiguous())
    part = dequantized(stepped.T[100 - RADIUS : 200 + RADIUS].contiguous())
    torch.testing.assert_close(part[RADIUS:-RADIUS], whole[100:200])


def test_an_expanded_ramp_has_no_steeper_steps_than_its_map_and_its_codes() -> None:
    """The gain goes on smoothly: what is left of a step is the one that the SDR picture has."""
    true, stepped = (decode_srgb(codes)[..., None].expand(-1, -1, 3).contiguous() for codes in ramp())
    statistics = ToneStatistics.of(stepped)
    result = expand(stepped, 4.93, statistics)[10, :, 0]
    smooth = expand(true, 4.93, statistics)[10, :, 0]
    steps, slope = (x.log().diff()[RADIUS:-RADIUS] for x in (result, smooth))
    alone = stepped[10, :, 0].log().diff().max()
    assert float(steps.max()) < float(alone) + 3.0 * float(slope.max())
