"""De-quantised light: nearer to a ramp than its 8-bit steps, never far from them, edges as they are."""

import pytest
import torch
from torch import Tensor

from luxscaler.hdr.dequantize import RADIUS, STEP, dequantized
from luxscaler.hdr.expand import ToneStatistics, expand


def light_of(code: Tensor) -> Tensor:
    return ((code + 0.055) / 1.055) ** 2.4


def ramp() -> tuple[Tensor, Tensor]:
    """A smooth ramp near white and what 8 bits make of it, (20, 900)."""
    code = torch.linspace(0.8, 0.99, 900).expand(20, -1)
    return light_of(code), light_of((code * 255).round() / 255).contiguous()


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
    light = 0.5 + 0.5 * torch.rand(shape, generator=torch.Generator().manual_seed(2))
    light[0, 0] = 0.0
    moved = (dequantized(light) / light.clamp(min=1e-6) - 1).abs()
    moved[0, 0] = 0.0
    assert float(moved.max()) < 0.58 * STEP


def test_an_edge_and_a_lamp_stay() -> None:
    light = torch.full((32, 32), 0.3)
    light[:, 16:] = 0.9
    light[8, 8] = 1.0
    torch.testing.assert_close(dequantized(light), light, rtol=1e-3, atol=0)


def test_rows_do_not_depend_on_where_they_are_cut() -> None:
    _, stepped = ramp()
    whole = dequantized(stepped.T.contiguous())
    part = dequantized(stepped.T[100 - RADIUS : 200 + RADIUS].contiguous())
    torch.testing.assert_close(part[RADIUS:-RADIUS], whole[100:200])


def test_an_expanded_ramp_has_no_steeper_steps_than_its_curve_and_its_codes() -> None:
    """The gain goes on smoothly: what is left of a step is the one that the SDR picture has."""
    _, stepped = ramp()
    rgb = stepped[..., None].expand(-1, -1, 3).contiguous()
    result = expand(rgb, 4.93, ToneStatistics(1.0))[10, :, 0]
    steps = (result[1:] / result[:-1]).log()[RADIUS:-RADIUS]
    alone = (stepped[10, 1:] / stepped[10, :-1]).log().max()
    assert float(steps.max()) < float(alone) + 0.012
