"""What an observer sees of an error, differentiable: ColorVideoVDP for still pictures in batches.

The model and its numbers are the authors' (Mantiuk et al., "ColorVideoVDP: A visual difference predictor
for image, video and display distortions", SIGGRAPH 2024; package cvvdp): contrasts of a Laplacian pyramid
in an opponent colour space, weighted by a contrast sensitivity, masked by contrast that both pictures
share, pooled to JOD. The package differentiates at 90 ms a picture of 128 × 128; this takes 40, for it
does the reference once and pads borders in a simpler way. Its JOD are up to 0.8 too good (0.2 too bad)
and rank pictures alike (correlation 0.97 over 24). Figures in documents come from the package itself.
"""

import json
from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from evaluation.metrics import DISPLAY, make_torchvision_importable

KERNEL = (0.05, 0.25, 0.4, 0.25, 0.05)
"""Burt and Adelson's, a = 0.4."""
DARKEST_CD_M2, BRIGHTEST_CD_M2 = 0.005, 10000.0
DARKEST_BACKGROUND_CD_M2 = 0.01
MOST_CONTRAST = 1000.0
LOG_LOW, LOG_HIGH, LOG_SAMPLES = -2.0, 4.2, 125
"""Table of sensitivities over log10 of the background's cd/m²."""
CHANNEL_GAIN = (1.0, 1.45, 1.0)
BLUR_FROM = 12
"""Bands with a smaller side are not blurred for masking."""
TINY = 1e-8

Reference = list[tuple[Tensor, Tensor]]
"""Per band: contrasts (B, 3, h, w) and sensitivities of the same shape."""


class Visible:
    """The measure for pictures of one size."""

    def __init__(self, height: int, width: int) -> None:
        metric, numbers = _package()
        pyramid = _pyramid_of(metric, height, width)
        self._bands: int = pyramid.get_band_count()
        frequencies = list(pyramid.get_freqs())
        frequencies[-1] = 0.1  # the base band's, as the package has it
        self._sensitivity = [_sensitivities(metric, float(rho)) for rho in frequencies]
        self._matrix, self._offset = _opponent_matrix(metric)
        self._p, self._mask_scale = float(numbers["mask_p"]), 10.0 ** float(numbers["mask_c"])
        self._q = torch.tensor(numbers["mask_q"][:3]).view(1, 3, 1, 1)
        self._across = (2.0 ** torch.tensor(numbers["xcm_weights"])).view(4, 4)[:3, :3]
        self._limit: float = 10.0 ** float(numbers["d_max"])
        self._base_weight = torch.tensor(numbers["baseband_weight"][:3])
        self._still, self._scale = float(numbers["image_int"]), float(numbers["jod_a"])
        self._exponent = float(numbers["jod_exp"])

    @torch.no_grad()
    def reference(self, cd_m2: Tensor) -> Reference:
        """What comparisons need of (B, 3, H, W) references, linear Rec.709 in cd/m²."""
        return [
            (contrast, self._sensitivity_at(band, background))
            for band, (contrast, background) in enumerate(self._contrasts(cd_m2))
        ]

    def loss(self, cd_m2: Tensor, reference: Reference) -> Tensor:
        """10 − JOD of (B, 3, H, W) pictures: (B,), 0 for identical ones."""
        pooled = []
        for band, (test, (wanted, sensitivity)) in enumerate(
            zip(self._contrasts(cd_m2), reference, strict=True)
        ):
            is_base = band == self._bands - 1
            if is_base:
                seen = (test[0] - wanted).abs() * sensitivity
            else:
                seen = self._masked(test[0] * sensitivity, wanted * sensitivity)
            norm = (seen**2).mean((-1, -2)).add(TINY).sqrt()
            pooled.append(norm * self._base_weight if is_base else norm)
        bands = (torch.stack(pooled, 2) ** 4).sum(2)
        quality = bands.add(1e-12).sum(1) ** 0.25 * self._still
        jod: Tensor = self._scale * (quality + 1e-6) ** self._exponent
        return jod

    def _contrasts(self, cd_m2: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Per band: contrasts, and log10 of the background."""
        light = cd_m2.clamp(DARKEST_CD_M2, BRIGHTEST_CD_M2)
        levels = [torch.einsum("ij,bjhw->bihw", self._matrix, light) + self._offset.view(1, 3, 1, 1)]
        for _ in range(self._bands - 1):
            levels.append(_halved(levels[-1]))
        found = []
        for fine, coarse in pairwise(levels):
            around = _doubled(coarse, fine.shape[-2], fine.shape[-1])
            background = around[:, :1].clamp(min=DARKEST_BACKGROUND_CD_M2)
            contrast = ((fine - around) / background).clamp(max=MOST_CONTRAST)
            found.append((contrast, background.log10()))
        background = levels[-1][:, :1].clamp(min=DARKEST_BACKGROUND_CD_M2).mean((-1, -2), keepdim=True)
        found.append(((levels[-1] / background).clamp(max=MOST_CONTRAST), background.log10()))
        return found

    def _masked(self, test: Tensor, reference: Tensor) -> Tensor:
        gain = torch.tensor(CHANNEL_GAIN).view(1, 3, 1, 1)
        test, reference = test * gain, reference * gain
        shared = torch.minimum(test.abs(), reference.abs())
        if min(shared.shape[-2:]) > BLUR_FROM:
            shared = _blurred(shared)
        power = (shared * self._mask_scale + 1e-5) ** self._q - 1e-5**self._q
        mask = torch.einsum("bchw,cd->bdhw", power, self._across)
        seen = ((test - reference) ** 2 + TINY) ** (self._p / 2) / (1 + mask)
        return self._limit * seen / (self._limit + seen)

    def _sensitivity_at(self, band: int, log_background: Tensor) -> Tensor:
        at = (log_background - LOG_LOW) / (LOG_HIGH - LOG_LOW) * (LOG_SAMPLES - 1)
        at = at.clamp(0, LOG_SAMPLES - 1.001)
        cell = at.long()
        share, table = at - cell, self._sensitivity[band]
        channels = [row[cell] + (row[cell + 1] - row[cell]) * share for row in table]
        return 10.0 ** torch.cat(channels, 1)


def _halved(planes: Tensor) -> Tensor:
    """Burt's reduce step of (B, 3, H, W)."""
    kernel, channels = torch.tensor(KERNEL), planes.shape[1]
    planes = F.pad(planes, (2, 2, 2, 2), mode="replicate")
    rows = kernel.view(1, 1, 1, 5).expand(channels, 1, 1, 5)
    columns = kernel.view(1, 1, 5, 1).expand(channels, 1, 5, 1)
    return F.conv2d(
        F.conv2d(planes, rows, stride=(1, 2), groups=channels), columns, stride=(2, 1), groups=channels
    )


def _doubled(planes: Tensor, height: int, width: int) -> Tensor:
    """Burt's expand step: even samples weigh 0.1, 0.8, 0.1, odd ones 0.5, 0.5."""
    tall = F.pad(planes, (0, 0, 1, 1), mode="replicate")
    middle = tall[:, :, 1:-1]
    even, odd = 0.1 * (tall[:, :, :-2] + tall[:, :, 2:]) + 0.8 * middle, 0.5 * (middle + tall[:, :, 2:])
    planes = torch.stack((even, odd), 3).flatten(2, 3)[:, :, :height]
    broad = F.pad(planes, (1, 1, 0, 0), mode="replicate")
    middle = broad[..., 1:-1]
    even, odd = 0.1 * (broad[..., :-2] + broad[..., 2:]) + 0.8 * middle, 0.5 * (middle + broad[..., 2:])
    return torch.stack((even, odd), 4).flatten(3, 4)[..., :width]


def _blurred(planes: Tensor) -> Tensor:
    """A Gaussian of σ = 3 pixels."""
    kernel = torch.exp(-0.5 * (torch.arange(-6, 7) / 3.0) ** 2)
    kernel = kernel / kernel.sum()
    planes = F.pad(planes, (6, 6, 6, 6), mode="reflect")
    planes = F.conv2d(planes, kernel.view(1, 1, 1, 13).expand(3, 1, 1, 13), groups=3)
    return F.conv2d(planes, kernel.view(1, 1, 13, 1).expand(3, 1, 13, 1), groups=3)


@cache
def _package() -> tuple[Any, dict[str, Any]]:
    """The package's metric for the display of the evaluation, and its numbers."""
    make_torchvision_importable()
    from pycvvdp import cvvdp  # noqa: PLC0415 (heavy, and an extra)

    numbers = json.loads((files("pycvvdp") / "vvdp_data" / "cvvdp_parameters.json").read_text("utf-8"))
    return cvvdp(display_name=DISPLAY), numbers


def _pyramid_of(metric: Any, height: int, width: int) -> Any:
    from pycvvdp.lpyr_dec import weber_contrast_pyr  # noqa: PLC0415 (as above)

    return weber_contrast_pyr(width, height, metric.pix_per_deg, torch.device("cpu"), metric.contrast)


def _sensitivities(metric: Any, cycles_per_degree: float) -> Tensor:
    """log10 of the sensitivity at one frequency: (3 channels, LOG_SAMPLES)."""
    grid = torch.linspace(LOG_LOW, LOG_HIGH, LOG_SAMPLES)
    rows = [
        torch.log10(metric.csf.sensitivity(cycles_per_degree, 0, grid, c, metric.csf_sigma)) for c in range(3)
    ]
    correction: float = float(metric.sensitivity_correction) / 20.0
    return torch.stack(rows) + correction


def _opponent_matrix(metric: Any) -> tuple[Tensor, Tensor]:
    """Rec.709 in cd/m² → the package's opponent colours: a matrix and what its display adds, asked of it."""
    from pycvvdp.video_source import video_source_array  # noqa: PLC0415 (as above)

    seen = []
    for channel in range(4):
        flat = torch.ones(1, 3, 1, 8, 8)
        if channel < 3:
            flat[:, channel] += 100.0
        source = video_source_array(
            flat, flat, 0, dim_order="BCFHW", display_photometry=metric.display_photometry
        )
        frame = source.get_reference_frame(0, torch.device("cpu"), colorspace="DKLd65")
        seen.append(frame[0, :, 0, 0, 0])
    matrix = torch.stack([(seen[channel] - seen[3]) / 100.0 for channel in range(3)], 1)
    return matrix, seen[3] - matrix.sum(1)
