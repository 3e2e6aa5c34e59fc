"""Colour under transparency: taken from the visible neighbourhood, and never from what was hidden."""

import torch
from torch import Tensor

from luxscaler.upscaling.alpha_fill import fill_transparent

RED = torch.tensor([0.8, 0.1, 0.05])


def disc(side: int, radius: float) -> Tensor:
    """Coverage of a disc in the middle, with an edge of one pixel."""
    axis = torch.arange(side) + 0.5 - side / 2
    distance = (axis[:, None] ** 2 + axis[None, :] ** 2).sqrt()
    return (radius + 0.5 - distance).clamp(0.0, 1.0)


def painted(alpha: Tensor, hidden: Tensor) -> Tensor:
    """Red where anything is visible, the hidden colour elsewhere."""
    return torch.where((alpha > 0)[..., None], RED, hidden)


def test_opaque_comes_back_itself() -> None:
    rgb = torch.rand(6, 5, 3)
    assert fill_transparent(rgb, torch.ones(6, 5)) is rgb


def test_transparent_everywhere_comes_back_itself() -> None:
    rgb = torch.rand(6, 5, 3)
    assert fill_transparent(rgb, torch.zeros(6, 5)) is rgb


def test_the_hidden_colour_does_not_matter() -> None:
    alpha = disc(48, 15)
    on_black = fill_transparent(painted(alpha, torch.zeros(3)), alpha)
    on_green = fill_transparent(painted(alpha, torch.tensor([0.0, 9.0, 0.0])), alpha)
    torch.testing.assert_close(on_black, on_green, rtol=0, atol=1e-5)


def test_a_red_disc_is_surrounded_by_red() -> None:
    alpha = disc(48, 15)
    filled = fill_transparent(painted(alpha, torch.tensor([0.0, 1.0, 0.0])), alpha)
    near = disc(48, 19) > 0
    torch.testing.assert_close(filled[near], RED.expand(int(near.sum()), 3), rtol=0, atol=1e-4)
    torch.testing.assert_close(filled, RED.expand(48, 48, 3), rtol=0, atol=1e-3)


def test_opaque_pixels_stay_bit_for_bit() -> None:
    alpha = disc(33, 10)
    rgb = torch.rand(33, 33, 3, generator=torch.Generator().manual_seed(1)) * 4 - 1
    before = rgb.clone()
    filled = fill_transparent(rgb, alpha)
    assert torch.equal(filled[alpha == 1], before[alpha == 1])
    assert torch.equal(rgb, before)


def test_each_side_takes_the_colour_that_is_nearer() -> None:
    alpha = torch.zeros(32, 64)
    alpha[:, :8] = alpha[:, -8:] = 1.0
    rgb = torch.zeros(32, 64, 3)
    rgb[:, :8, 0] = 1.0
    rgb[:, -8:, 2] = 1.0
    filled = fill_transparent(rgb, alpha)
    assert bool((filled[:, 8:16, 0] > filled[:, 8:16, 2]).all())
    assert bool((filled[:, -16:-8, 2] > filled[:, -16:-8, 0]).all())
    assert float(filled[..., 1].abs().max()) == 0.0


def test_one_visible_pixel_colours_everything() -> None:
    for height, width in ((1, 9), (7, 1), (13, 40)):
        alpha = torch.zeros(height, width)
        alpha[0, 0] = 1.0
        filled = fill_transparent(painted(alpha, torch.zeros(3)), alpha)
        torch.testing.assert_close(filled, RED.expand(height, width, 3), rtol=0, atol=1e-3)


def test_far_away_comes_the_average_of_what_is_visible() -> None:
    alpha = torch.zeros(64, 64)
    alpha[0, :] = 1.0
    rgb = torch.zeros(64, 64, 3)
    rgb[0, ::2, 0] = 1.0  # red and black in turns: their average is half red
    filled = fill_transparent(rgb, alpha)
    torch.testing.assert_close(filled[32:, :, 0], torch.full((32, 64), 0.5), rtol=0, atol=0.02)


def test_filled_colour_stays_within_the_visible_one() -> None:
    generator = torch.Generator().manual_seed(3)
    alpha = (torch.rand(37, 53, generator=generator) - 0.6).clamp(0, 0.3) / 0.3
    rgb = torch.rand(37, 53, 3, generator=generator) * 20 - 2
    rgb[alpha == 0] = 1000.0
    filled = fill_transparent(rgb, alpha)
    visible = rgb[alpha > 0]
    assert bool(torch.isfinite(filled).all())
    assert float(filled.min()) >= float(visible.min()) - 1e-4
    assert float(filled.max()) <= float(visible.max()) + 1e-4


def test_nearly_invisible_pixels_make_no_bright_colour() -> None:
    for faint in (1e-3, 1e-6, 1e-8, 1e-30):
        alpha = torch.full((8, 8), faint)
        filled = fill_transparent(RED.expand(8, 8, 3).contiguous(), alpha)
        assert bool(torch.isfinite(filled).all())
        torch.testing.assert_close(filled, RED.expand(8, 8, 3), rtol=0, atol=1e-3)
