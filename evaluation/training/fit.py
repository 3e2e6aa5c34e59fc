"""Fits the network to samples: AdamW, one cycle, the mean of the last half of the steps' weights.

The loss of a sample adds, on about the scale of decibels: its PU21 error, as a power of the mean square
between the logarithm, which PSNR averages, and the root, which weighs single bad pictures more; ten minus JOD
(visible.py); tearing (tearing.py's rule, a little stricter); and unevenness of the map.
"""

import math
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor, nn
from torch.nn import functional as F

from evaluation.metrics import PU21_MAX_CD_M2, PU21_MIN_CD_M2, pu21
from evaluation.pictures import PAIRS, PANORAMAS, PHOTOGRAPHS
from evaluation.tearing import VISIBLE
from evaluation.training.samples import Sample
from evaluation.training.visible import Visible
from luxscaler.color import LUMINANCE_WEIGHTS
from luxscaler.color_torch import encode_srgb
from luxscaler.hdr.network import KNOT_CODES, GainNetwork
from luxscaler.picture import REFERENCE_WHITE_CD_M2

KIND_WEIGHT = {
    "exact": 0.10, "standard": 0.15, "curve": 0.10, "phone": 0.20, "fusion": 0.20,
    "edited": 0.06, "dim": 0.05, "pair": 0.11, "exact pair": 0.03,
}  # fmt: skip
"""How much each kind of shot counts, however many there are."""
GROUP_SHARE = {PANORAMAS: 0.25, PHOTOGRAPHS: 0.48, PAIRS: 0.27}
"""How much each group counts within a kind, however many pictures it has. Users bring photographs."""


@dataclass(frozen=True)
class FitOptions:
    """How a fit goes."""

    steps: int = 3000
    batch: int = 12
    seen: int = 4
    """Samples of a batch that ColorVideoVDP looks at: it costs more than all the rest."""
    rate: float = 3e-3
    dropout: float = 0.15
    noise: float = 0.05
    """Of the network's inputs, against overfitting to single pictures."""
    power: float = 0.15
    """Of the mean square PU21 error: near 0 it is PSNR, 0.5 is the root of the mean square."""
    jod: float = 10.0
    tear: float = 125.0
    uneven: float = 0.5
    steepest: float = 1.5
    """How many times a difference of neighbours may grow; tearing.STEEPEST is what counts as torn."""
    seed: int = 0


@dataclass
class Batch:
    """Samples of one shape, float32, stacked."""

    cells: Tensor
    statistics: Tensor
    log_boost: Tensor
    sdr: Tensor
    hdr: Tensor

    @staticmethod
    def of(samples: Sequence[Sample]) -> "Batch":
        """Stack them."""
        return Batch(
            torch.stack([s.cells for s in samples]).float(),
            torch.stack([s.statistics for s in samples]),
            torch.tensor([s.log_boost for s in samples]),
            torch.stack([s.sdr for s in samples]).float(),
            torch.stack([s.hdr for s in samples]).float(),
        )

    def varied(self, noise: float, rng: Generator) -> "Batch":
        """Mirrored half of the time, and the network's inputs disturbed."""
        count = len(self.cells)
        scale = torch.exp(torch.randn(count, self.cells.shape[1], 1, 1) * noise)
        cells = self.cells * scale + torch.randn(count, self.cells.shape[1], 1, 1) * noise * 0.4
        made = replace(self, cells=cells)
        made.statistics = self.statistics + torch.randn_like(self.statistics) * noise
        if rng.random() < 0.5:
            made = replace(made, cells=cells.flip(-1), sdr=self.sdr.flip(-1), hdr=self.hdr.flip(-1))
        return made


def fit(
    samples: Sequence[Sample], left_out: Collection[str] = (), options: FitOptions | None = None
) -> GainNetwork:
    """A network fitted to the samples of all sources that are not left out."""
    how = options or FitOptions()
    torch.manual_seed(how.seed)
    rng = np.random.default_rng(how.seed)
    used = [sample for sample in samples if sample.source not in left_out]
    chances = chances_of(used)
    shapes = sorted({sample.shape for sample in used})
    by_shape = {shape: [i for i, s in enumerate(used) if s.shape == shape] for shape in shapes}
    shape_chances = np.array([chances[by_shape[shape]].sum() for shape in shapes])
    visible = {shape: Visible(*shape) if how.seen else None for shape in shapes}
    network = GainNetwork(how.dropout).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=how.rate, weight_decay=1e-3, betas=(0.9, 0.99))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, how.rate, how.steps, pct_start=0.1)
    mean: dict[str, Tensor] = {}
    for step in range(how.steps):
        shape = shapes[rng.choice(len(shapes), p=shape_chances)]
        inside = chances[by_shape[shape]]
        chosen = rng.choice(by_shape[shape], how.batch, p=inside / inside.sum())
        batch = Batch.of([used[i] for i in chosen]).varied(how.noise, rng)
        optimizer.zero_grad()
        loss_of(network, batch, visible[shape], how).backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimizer.step()
        schedule.step()
        if step >= how.steps // 2:
            _average(mean, network)
    network.load_state_dict(mean or network.state_dict())
    return network.eval()


def loss_of(network: GainNetwork, batch: Batch, visible: Visible | None, how: FitOptions) -> Tensor:
    """The loss, a number; without what ColorVideoVDP sees where `visible` is None."""
    shares: Tensor = network(batch.cells, batch.statistics, batch.log_boost)
    expanded = expanded_by(network, shares, batch)
    own, wanted = seen(_luminance(expanded)), seen(_luminance(batch.hdr))
    square = ((own - wanted) ** 2).mean((1, 2)) + 0.3
    # Scaled to have the slope of decibels where the mean square is 100, about 28 dB.
    scale: float = 10 / math.log(10) / how.power * 100.0**-how.power
    loss: Tensor = scale * (square**how.power).mean()
    if visible is not None:
        part = slice(0, how.seen)
        reference = visible.reference(batch.hdr[part] * REFERENCE_WHITE_CD_M2)
        loss = loss + how.jod * visible.loss(expanded[part] * REFERENCE_WHITE_CD_M2, reference).mean()
    loss = loss + how.tear * torn(seen(batch.sdr), own, how.steepest)
    steps = [shares.diff(dim=dim).abs().mean() for dim in (-1, -2)]
    return loss + how.uneven * (steps[0] + steps[1])


def expanded_by(network: GainNetwork, shares: Tensor, batch: Batch) -> Tensor:
    """The samples' SDR pictures expanded, as luxscaler.hdr does it but for the fine sampling of the
    curves."""
    part = torch.sigmoid(network.brightest_part)
    strongest = encode_srgb(batch.sdr.amax(1, keepdim=True))
    guide = part * strongest + (1 - part) * encode_srgb(_luminance(batch.sdr)[:, None])
    knots = torch.tensor(KNOT_CODES) / 255
    at_pixels = F.interpolate(shares, guide.shape[-2:], mode="bilinear", align_corners=False)
    guide = guide.clamp(float(knots[0]), float(knots[-1]))
    cell = torch.bucketize(guide.detach(), knots[1:-1].contiguous())
    low, high = torch.gather(at_pixels, 1, cell), torch.gather(at_pixels, 1, cell + 1)
    share = low + (high - low) * (guide - knots[cell]) / (knots[cell + 1] - knots[cell])
    return batch.sdr * torch.exp(batch.log_boost[:, None, None, None] * share)


def torn(sdr: Tensor, own: Tensor, steepest: float) -> Tensor:
    """How much neighbours are driven apart, about a share: (B, 3, H, W) and (B, H, W) in PU21 units."""
    total = own.new_zeros(())
    for dim in (1, 2):
        grown = own.diff(dim=dim).abs()
        edge = sdr.diff(dim=dim + 1).abs().amax(1).clamp(min=VISIBLE)
        total = total + (F.relu(grown - steepest * edge) / (grown.detach() + 4.0)).mean()
    return total


_LOW, _HIGH, _CELLS = math.log(PU21_MIN_CD_M2), math.log(PU21_MAX_CD_M2), 4000
_TABLE = torch.from_numpy(pu21(np.exp(np.linspace(_LOW, _HIGH, _CELLS + 1)))).float()


def seen(light: Tensor) -> Tensor:
    """PU21 units of linear light, 1.0 = 203 cd/m²: metrics.pu21, differentiable, read from a table."""
    cd_m2 = (light * REFERENCE_WHITE_CD_M2).clamp(PU21_MIN_CD_M2, PU21_MAX_CD_M2)
    position = (cd_m2.log() - _LOW) * (_CELLS / (_HIGH - _LOW))
    cell = position.detach().floor().clamp(0, _CELLS - 1).long()
    return _TABLE[cell] + (position - cell) * (_TABLE[cell + 1] - _TABLE[cell])


def _luminance(rgb: Tensor) -> Tensor:
    return (rgb * torch.tensor(LUMINANCE_WEIGHTS).view(1, 3, 1, 1)).sum(1)


def chances_of(samples: Sequence[Sample]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Of each sample: kinds weigh as KIND_WEIGHT says, groups within a kind as GROUP_SHARE, the sources of a
    group alike, samples of a source too."""
    of_source = Counter((s.kind, s.source) for s in samples)
    sources = Counter((kind, group) for kind, group, _ in {(s.kind, s.group, s.source) for s in samples})
    shares: dict[str, float] = {}
    for kind, group in sources:
        shares[kind] = shares.get(kind, 0.0) + GROUP_SHARE[group]
    raw = [
        KIND_WEIGHT[s.kind]
        * GROUP_SHARE[s.group]
        / (shares[s.kind] * sources[s.kind, s.group] * of_source[s.kind, s.source])
        for s in samples
    ]
    return np.asarray(raw) / sum(raw)


@torch.no_grad()
def _average(mean: dict[str, Tensor], network: GainNetwork) -> None:
    """An exponential mean of the weights; the first call sets it."""
    for name, value in network.state_dict().items():
        if name in mean:
            mean[name].lerp_(value, 0.01)
        else:
            mean[name] = value.clone()
