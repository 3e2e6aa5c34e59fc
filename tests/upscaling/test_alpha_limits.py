"""Flat coverage stays flat exactly; edges keep what the network drew."""

import numpy as np
import pytest
import torch

from luxscaler.networks.build import build_network
from luxscaler.networks.rrdb import RRDBNetConfig
from luxscaler.networks.srvgg import SRVGGConfig
from luxscaler.options import UpscalerOptions
from luxscaler.upscaling.alpha_limits import limit_to_source
from luxscaler.upscaling.upscaler import Upscaler


def shapes(height: int = 20, width: int = 24) -> torch.Tensor:
    """Clear, opaque and half-clear areas with soft and hard edges."""
    alpha = torch.zeros(height, width)
    alpha[4:15, 3:12] = 1.0
    alpha[6:14, 13:20] = 0.5
    alpha[2, :] = torch.linspace(0, 1, width)
    return alpha


def is_flat(alpha: torch.Tensor) -> torch.Tensor:
    """Where all of a pixel's 3 × 3 neighbours are equal to it, found by comparing one by one."""
    padded = np.pad(alpha.numpy(), 1, mode="edge")
    height, width = alpha.shape
    shifted = [padded[y : y + height, x : x + width] for y in range(3) for x in range(3)]
    return torch.from_numpy(np.ptp(np.stack(shifted), axis=0) == 0)


@pytest.mark.parametrize("scale", [1, 1.5, 2.7, 4, 6])
@pytest.mark.parametrize(
    "config", [RRDBNetConfig(features=4, blocks=1, growth=3), SRVGGConfig(features=4, convs=2)]
)
def test_flat_areas_are_exact_for_any_network(config: RRDBNetConfig | SRVGGConfig, scale: float) -> None:
    torch.manual_seed(1)
    alpha = shapes()
    result = Upscaler(build_network(config), UpscalerOptions(device="cpu")).upscale_alpha(alpha, scale)
    rows, columns = (
        ((np.arange(size) + 0.5) * side / size).astype(int)
        for size, side in zip(result.shape, alpha.shape, strict=True)
    )
    wanted, flat = alpha[rows][:, columns], is_flat(alpha)[rows][:, columns]
    assert 0.2 < flat.float().mean() < 0.9
    assert {0.0, 0.5, 1.0} <= set(wanted[flat].tolist())
    assert torch.equal(result[flat], wanted[flat])
    assert not torch.equal(result[~flat], wanted[~flat])


def test_what_lies_within_the_neighbourhood_stays() -> None:
    source = torch.tensor([[0.0, 0.25, 1.0, 1.0, 1.0]])
    drawn = torch.tensor([[-0.1, 0.2, 0.5, 0.9, 0.9]])
    assert torch.equal(limit_to_source(drawn, source), torch.tensor([[0.0, 0.2, 0.5, 1.0, 1.0]]))
