"""The network that estimates how much light each part of an SDR picture stood for.

It sees the whole picture through `analysis`, 64 × 64 cells and statistics, and gives two curves for each of
16 × 16 regions: the share of the stops up to 1000 cd/m² that a pixel of some brightness gets there, and the
share of the stops above. A curve starts at 0, at the knee, and never falls: it is the sum of positive steps.
What would tear smooth areas is lowered afterwards (steepness.py). The boost itself is no input, so a higher
boost never lowers anything. Between regions and brightnesses the shares are interpolated (gain_map.py), so
what the network gives is a bilateral grid (Chen, Paris and Durand, SIGGRAPH 2007; Gharbi et al., "Deep
bilateral learning for real-time image enhancement", SIGGRAPH 2017, predict such a grid).

It has 94,000 numbers in gain.safetensors, fitted by `python -m evaluation.training` (docs/hdr.md).
"""

import math
from functools import cache
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from luxscaler.geometry import NO_WRAP, Wrap
from luxscaler.hdr.analysis import MAP_PLANES, STATISTICS, Analysis
from luxscaler.hdr.steepness import limited

KNOT_CODES = (64, 80, 96, 112, 128, 144, 160, 176, 192, 207, 221, 234, 245, 255)
"""8-bit codes of the guide at which the shares are given; at the first, the knee, and below they are 0."""
REGIONS = 16
"""Regions in each direction."""
WEIGHTS = Path(__file__).with_name("gain.safetensors")
USUAL_LOG_BOOST = 1.6
"""Natural logarithm of a boost to 1000 cd/m², where a second curve takes over. A lower boost takes the same
shares of fewer stops, as ISO 21496-1 adapts a gain map to a display of less headroom."""
USUAL_CODE = 0.4
WIDTH, DEEP_WIDTH, WHOLE_WIDTH = 32, 48, 64
START = -3.0
"""Before training, every step is softplus(START): a small, smooth lift."""


class GainNetwork(nn.Module):
    """(B, MAP_PLANES, CELLS, CELLS), (B, STATISTICS), (B,) → (B, knots, REGIONS, REGIONS) shares in [0, 1).

    The third are natural logarithms of boosts above 1; a pixel's gain is boost^share.

    dropout: the probability of each part of the whole's description to be left out in training; planes of the
    map are left out half as often.
    """

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = dropout
        steps = 2 * (len(KNOT_CODES) - 1)
        self.down1 = nn.Conv2d(MAP_PLANES, 24, 3, 2, 1)
        self.down2 = nn.Conv2d(24, WIDTH, 3, 2, 1)
        self.down3 = nn.Conv2d(WIDTH, DEEP_WIDTH, 3, 2, 1)
        self.down4 = nn.Conv2d(DEEP_WIDTH, DEEP_WIDTH, 3, 2, 1)
        self.whole1 = nn.Linear(STATISTICS + 2 * DEEP_WIDTH, WHOLE_WIDTH)
        self.whole2 = nn.Linear(WHOLE_WIDTH, WHOLE_WIDTH)
        self.whole_to_steps = nn.Linear(WHOLE_WIDTH, steps)
        self.whole_to_regions = nn.Linear(WHOLE_WIDTH, WIDTH)
        self.up = nn.Conv2d(DEEP_WIDTH, WIDTH, 1)
        self.mix1 = nn.Conv2d(WIDTH, WIDTH, 3, 1, 1)
        self.mix2 = nn.Conv2d(WIDTH, WIDTH, 3, 1, 1)
        self.to_steps = nn.Conv2d(WIDTH, steps, 3, 1, 1)
        self.brightest_part = nn.Parameter(torch.zeros(()))
        """The guide's share of the strongest channel, before a sigmoid; the rest is luminance."""
        nn.init.zeros_(self.to_steps.weight)
        nn.init.constant_(bias_of(self.to_steps), 0.0)
        nn.init.constant_(bias_of(self.whole_to_steps), START)
        with torch.no_grad():
            self.whole_to_steps.weight.mul_(0.1)

    def forward(self, cells: Tensor, statistics: Tensor, log_boost: Tensor, wrap: Wrap = NO_WRAP) -> Tensor:
        """Shares at the knots: 0 at the first, not falling along dim 1. wrap: where opposite edges meet."""
        usual, further = self.curves(cells, statistics, wrap)
        above = (1.0 - USUAL_LOG_BOOST / log_boost).clamp(min=0.0)[:, None, None, None]
        return usual + above * (further - usual)

    def curves(self, cells: Tensor, statistics: Tensor, wrap: Wrap = NO_WRAP) -> tuple[Tensor, Tensor]:
        """Shares at the knots, each (B, knots, REGIONS, REGIONS): of the stops up to 1000 cd/m², and of those
        above. The second is at most the square of the first: what hardly rises below is not due above."""
        near = self._map(self.down1, cells - USUAL_CODE, wrap)
        near = self._map(self.down2, near, wrap)
        wide = self._map(self.down3, near, wrap)
        widest = F.silu(_convolved(self.down4, wide, wrap))
        seen = torch.cat([statistics, widest.mean((2, 3)), widest.amax((2, 3))], 1)
        whole = F.silu(self.whole1(F.dropout(seen, self.dropout, self.training)))
        whole = F.dropout(F.silu(self.whole2(whole)), self.dropout, self.training)
        wide_up = _doubled(self.up(wide), wrap)
        regions = near + wide_up + self.whole_to_regions(whole)[..., None, None]
        regions = regions + F.silu(_convolved(self.mix1, F.silu(regions), wrap))
        regions = regions + F.silu(_convolved(self.mix2, regions, wrap))
        steps = _convolved(self.to_steps, regions, wrap) + self.whole_to_steps(whole)[..., None, None]
        usual, part = (_rising(curve) for curve in F.softplus(steps).chunk(2, 1))
        return usual, usual**2 * part

    def _map(self, layer: nn.Conv2d, planes: Tensor, wrap: Wrap) -> Tensor:
        return F.dropout2d(F.silu(_convolved(layer, planes, wrap)), self.dropout / 2, self.training)

    @torch.inference_mode()
    def shares_of(self, analysis: Analysis, boost: float, wrap: Wrap = NO_WRAP) -> Tensor:
        """Of one picture, for a boost above 1, no curve too steep (steepness.py): (knots, REGIONS, REGIONS).

        A boost below the usual one is limited as that is, so that it takes the same shares of fewer stops.
        """
        log_boost = math.log(boost)
        shares: Tensor = self(
            analysis.cells[None], analysis.statistics[None], torch.tensor([log_boost]), wrap
        )
        return limited(shares[0], max(log_boost, USUAL_LOG_BOOST), KNOT_CODES)


def _rising(steps: Tensor) -> Tensor:
    """Shares from positive steps: 0 first, below 1, not falling along dim 1."""
    shares = 1.0 - torch.exp(-steps.cumsum(1))
    return torch.cat([torch.zeros_like(shares[:, :1]), shares], 1)


def _bordered(planes: Tensor, wrap: Wrap) -> Tensor:
    """With one more on every side: of the other side along axes that wrap, and 0 along the others."""
    planes = F.pad(planes, (1, 1, 0, 0), mode="circular" if wrap.x else "constant")
    return F.pad(planes, (0, 0, 1, 1), mode="circular" if wrap.y else "constant")


def _convolved(layer: nn.Conv2d, planes: Tensor, wrap: Wrap) -> Tensor:
    """A layer of 3 × 3, which sees across the edges where they meet."""
    if wrap:
        return F.conv2d(_bordered(planes, wrap), layer.weight, layer.bias, layer.stride)
    out: Tensor = layer(planes)
    return out


def _doubled(planes: Tensor, wrap: Wrap) -> Tensor:
    """Twice the size, bilinear."""
    if not wrap:
        return F.interpolate(planes, scale_factor=2, mode="bilinear", align_corners=False)
    sides = (
        ((1, 1, 0, 0), "circular" if wrap.x else "replicate"),
        ((0, 0, 1, 1), "circular" if wrap.y else "replicate"),
    )
    for pad, mode in sides:
        planes = F.pad(planes, pad, mode=mode)
    return F.interpolate(planes, scale_factor=2, mode="bilinear", align_corners=False)[..., 2:-2, 2:-2]


def bias_of(layer: nn.Conv2d | nn.Linear) -> Tensor:
    """The bias of a layer that has one."""
    if layer.bias is None:
        raise ValueError("the layer has no bias")
    return layer.bias


@cache
def gain_network() -> GainNetwork:
    """The fitted network, on the CPU; read once."""
    network = GainNetwork()
    network.load_state_dict({name: value.float() for name, value in load_file(WEIGHTS).items()})
    return network.requires_grad_(False).eval()


def write_weights(network: GainNetwork, path: Path) -> None:
    """Write the numbers of a network as float16 safetensors."""
    save_file({name: value.half().contiguous() for name, value in network.state_dict().items()}, path)
