"""Measures and losses: known values, symmetry, gradients."""

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from luxscaler.training.losses import faithful
from luxscaler.training.similarity import colour_shift, ms_ssim, psnr, ssim


def _two(side: int = 96) -> tuple[torch.Tensor, torch.Tensor]:
    source = torch.Generator().manual_seed(5)
    true = torch.rand((1, 3, side, side), generator=source)
    return (true + 0.1 * torch.randn(true.shape, generator=source)).clamp(0, 1), true


def test_psnr_of_known_errors() -> None:
    true = torch.full((1, 3, 20, 20), 0.5)
    assert psnr(true + 0.1, true) == pytest.approx(20.0, abs=1e-4)
    assert psnr(true, true) == 100.0


def _blurred(values: NDArray[np.float64]) -> NDArray[np.float64]:
    line = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    rows = np.apply_along_axis(np.convolve, 0, values, line / line.sum(), "same")
    return np.asarray(np.apply_along_axis(np.convolve, 1, rows, line / line.sum(), "same"))


def test_ssim_as_wang_defines_it() -> None:
    made, true = _two(40)
    x, y = made[0, 0].double().numpy(), true[0, 0].double().numpy()

    a, b = _blurred(x), _blurred(y)
    va, vb, cov = _blurred(x * x) - a * a, _blurred(y * y) - b * b, _blurred(x * y) - a * b
    c1, c2 = 0.01**2, 0.03**2
    whole = (2 * a * b + c1) * (2 * cov + c2) / ((a * a + b * b + c1) * (va + vb + c2))
    assert ssim(made[:, :1], true[:, :1]) == pytest.approx(whole[5:-5, 5:-5].mean(), abs=1e-4)


def test_equal_pictures_are_one_and_others_less() -> None:
    made, true = _two()
    assert float(ms_ssim(true, true)) == pytest.approx(1.0, abs=1e-5)
    assert 0 < float(ms_ssim(made, true)) < 0.999


def test_colour_shift_is_in_codes_and_blind_to_detail() -> None:
    _, true = _two()
    assert colour_shift(true + 2 / 255, true) == pytest.approx(2.0, abs=1e-3)
    checks = torch.ones_like(true)
    checks[:, :, ::2, ::2] = checks[:, :, 1::2, 1::2] = -1
    assert colour_shift(true + 0.1 * checks, true) == pytest.approx(0.0, abs=1e-3)


def test_the_loss_has_finite_gradients_that_point_to_the_truth() -> None:
    made, true = _two(64)
    made.requires_grad_(True)
    loss = faithful(made, true)
    loss.backward()  # type: ignore[no-untyped-call]
    assert made.grad is not None
    assert torch.isfinite(made.grad).all()
    assert float(((made - true).detach() * made.grad).sum()) > 0
    assert faithful(true, true).item() == pytest.approx(0.0, abs=1e-5)
    assert math.isfinite(float(faithful(torch.zeros_like(true), torch.ones_like(true))))
