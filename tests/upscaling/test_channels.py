"""Networks of other numbers of channels: grey stays grey, colours stay where they can."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from luxscaler.errors import WeightsError
from luxscaler.networks.build import NetworkConfig, build_network
from luxscaler.networks.rrdb import RRDBNet, RRDBNetConfig
from luxscaler.networks.srvgg import SRVGGConfig
from luxscaler.options import UpscalerOptions
from luxscaler.upscaling.channels import check_channels, through
from luxscaler.upscaling.upscaler import Upscaler

PICTURE = torch.rand((1, 3, 6, 9), generator=torch.Generator().manual_seed(1))
GREY = PICTURE[:, :1].expand(-1, 3, -1, -1).contiguous()


class Recorder:
    """A network that gives as many channels as asked, and remembers what it was given."""

    def __init__(self, outputs: int) -> None:
        self.outputs = outputs
        self.seen: list[Tensor] = []

    def __call__(self, x: Tensor, step: Callable[[float], None] | None = None) -> Tensor:
        self.seen.append(x)
        if step is not None:
            step(1.0)
        return torch.cat([x[:, :1] * (n + 1) for n in range(self.outputs)], 1)


def upscaler_of(config: NetworkConfig, tile: int = 1024) -> Upscaler:
    """A random network, its results around middle grey, so that the upscaler cuts nothing off."""
    torch.manual_seed(2)
    network = build_network(config)
    last = network.conv_last if isinstance(network, RRDBNet) else network.body[-1]
    assert isinstance(last, torch.nn.Conv2d)
    assert last.bias is not None
    torch.nn.init.constant_(last.bias, 0.4)
    return Upscaler(network, UpscalerOptions(device="cpu", tile=tile))


def ignore(_share: float) -> None:
    pass


def test_a_grey_network_sees_each_channel_or_one_where_they_are_equal() -> None:
    network = Recorder(1)
    shares: list[float] = []
    assert torch.equal(through(network, 1, 1, PICTURE, shares.append), PICTURE)
    assert shares == [1 / 3, 2 / 3, 1.0]
    assert [x.shape[1] for x in network.seen] == [1, 1, 1]
    network.seen.clear()
    assert torch.equal(through(network, 1, 1, GREY, ignore), GREY)
    assert len(network.seen) == 1


def test_a_colouring_network_sees_the_luma() -> None:
    network = Recorder(3)
    made = through(network, 1, 3, PICTURE, ignore)
    red, green, blue = PICTURE[0]
    torch.testing.assert_close(network.seen[0][0, 0], 0.2126 * red + 0.7152 * green + 0.0722 * blue)
    assert made.shape == PICTURE.shape


def test_one_channel_out_is_grey_and_a_fourth_is_dropped() -> None:
    made = through(Recorder(1), 3, 1, PICTURE, ignore)
    assert torch.equal(made, PICTURE[:, :1].expand(-1, 3, -1, -1))
    network = Recorder(4)
    made = through(network, 4, 4, PICTURE, ignore)
    assert made.shape == PICTURE.shape
    assert torch.equal(network.seen[0][:, :3], PICTURE)
    assert bool((network.seen[0][:, 3] == 1.0).all())


@pytest.mark.parametrize("channels", [(2, 3), (3, 2), (3, 12)])
def test_other_numbers_are_refused(channels: tuple[int, int]) -> None:
    with pytest.raises(WeightsError, match=f"maps {channels[0]} channels to {channels[1]}"):
        check_channels(*channels)


@pytest.mark.parametrize("tile", [1024, 8])
@pytest.mark.parametrize(
    "config",
    [
        RRDBNetConfig(1, 1, features=4, blocks=1, growth=2),
        RRDBNetConfig(3, 1, 2, features=4, blocks=1, growth=2, steps=1),
        SRVGGConfig(1, 1, features=4, convs=1, scale=2),
    ],
    ids=str,
)
def test_grey_in_is_grey_out(config: NetworkConfig, tile: int) -> None:
    upscaler = upscaler_of(config, tile)
    made = upscaler.upscale(GREY[0].permute(1, 2, 0), config.scale)
    assert made.shape == (6 * config.scale, 9 * config.scale, 3)
    torch.testing.assert_close(made, made[..., :1].expand(-1, -1, 3), rtol=0, atol=1e-6)
    assert float(made.std()) > 0.001


def test_alpha_and_colour_survive_a_grey_network() -> None:
    upscaler = upscaler_of(SRVGGConfig(1, 1, features=4, convs=1, scale=2))
    alpha = upscaler.upscale_alpha(PICTURE[0, 0], 2)
    assert alpha.shape == (12, 18)
    made = upscaler.upscale(PICTURE[0].permute(1, 2, 0), 2)
    assert float((made[..., 0] - made[..., 2]).abs().mean()) > 0.05
    assert upscaler.notices(2) == ()
    assert upscaler.notices(3) == ("the model's own scale is 2: its result is resampled to 3",)
