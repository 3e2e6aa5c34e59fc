"""The networks: equal to basicsr's and realesrgan's, state dicts included, and as far-sighted as they say."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from luxscaler.io.read import read_picture
from luxscaler.networks.build import NetworkConfig, build_network
from luxscaler.networks.convolution import Convolution
from luxscaler.networks.rrdb import RRDBNet, RRDBNetConfig
from luxscaler.networks.srvgg import SRVGGConfig, SRVGGNetCompact
from luxscaler.upscaling.code_values import encode
from luxscaler.weights.store import load_network
from tests.conftest import SAMPLE
from tests.support.reference_shim import make_importable

PARITY = 1e-5
"""Largest difference to the reference implementation, in code values, fp32."""

TINY_RRDB = [RRDBNetConfig(scale=scale, features=8, blocks=1, growth=4) for scale in (4, 2, 1)]
TINY_SRVGG = [SRVGGConfig(features=6, convs=3, activation=name) for name in ("prelu", "relu", "leakyrelu")]
TINY = [*TINY_RRDB, *TINY_SRVGG, SRVGGConfig(features=6, convs=2, scale=2)]


def ours(config: NetworkConfig) -> RRDBNet | SRVGGNetCompact:
    torch.manual_seed(3)
    network = build_network(config).eval()
    for parameter in network.parameters():  # PReLU starts as a constant, which would hide a mix-up
        parameter.data.add_(torch.randn_like(parameter) * 0.02)
    return network.requires_grad_(False)


def reference(config: NetworkConfig) -> nn.Module:
    """The same network as the reference implementation builds it, with weights of its own."""
    make_importable()
    module: nn.Module
    if isinstance(config, RRDBNetConfig):
        from basicsr.archs.rrdbnet_arch import RRDBNet as TheirRRDBNet

        module = TheirRRDBNet(3, 3, config.scale, config.features, config.blocks, config.growth)
    else:
        from realesrgan.archs.srvgg_arch import SRVGGNetCompact as TheirSRVGG

        module = TheirSRVGG(3, 3, config.features, config.convs, config.scale, config.activation)
    return module.eval().requires_grad_(False)


def picture(side: int) -> Tensor:
    """A square of the sample tile as the networks see it, 1×3×side×side."""
    rgb = read_picture(SAMPLE / "tile.png").rgb[60 : 60 + side, 100 : 100 + side]
    return encode(torch.from_numpy(rgb.copy())).permute(2, 0, 1)[None]


def difference(one: nn.Module, other: nn.Module, x: Tensor) -> float:
    return float((one(x.clone()) - other(x.clone())).abs().max())


@pytest.mark.slow
@pytest.mark.parametrize("config", TINY, ids=str)
def test_equals_the_reference_with_the_same_weights(config: NetworkConfig) -> None:
    network, their = ours(config), reference(config)
    their.load_state_dict(network.state_dict(), strict=True)
    noise = torch.randn(2, 3, 20, 12, generator=torch.Generator().manual_seed(1))
    for x in (noise, picture(24)):
        assert float(network(x).abs().max()) > 1e-2
        assert difference(network, their, x) <= PARITY


@pytest.mark.slow
@pytest.mark.parametrize("config", TINY, ids=str)
def test_loads_the_state_dict_of_the_reference(config: NetworkConfig) -> None:
    network, their = ours(config), reference(config)
    x = picture(16)
    assert difference(network, their, x) > 1e-3
    network.load_state_dict(their.state_dict(), strict=True)
    assert difference(network, their, x) <= PARITY


@pytest.mark.slow
@pytest.mark.parametrize("name", ["photo", "fast"])
def test_real_weights_give_what_the_reference_gives(name: str, real_weights: Path) -> None:
    loaded = load_network(name, real_weights)
    their = reference(loaded.own.config)
    their.load_state_dict(loaded.module.state_dict(), strict=True)
    side = 48
    with torch.inference_mode():
        noise = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(2))
        for x in (noise, picture(side)):
            assert difference(loaded.module, their, x) <= PARITY


def test_default_sizes_are_those_of_the_published_networks() -> None:
    with torch.device("meta"):
        photo, fast = RRDBNet(RRDBNetConfig()), SRVGGNetCompact(SRVGGConfig())
    assert sum(p.numel() for p in photo.parameters()) == 16_697_987
    assert sum(p.numel() for p in fast.parameters()) == 621_424
    assert sum(isinstance(module, nn.Conv2d) for module in photo.modules()) == 351


@pytest.mark.parametrize("config", TINY, ids=str)
def test_output_is_scale_times_the_input(config: NetworkConfig) -> None:
    out = ours(config)(torch.rand(1, 3, 8, 12))
    assert out.shape == (1, 3, 8 * config.scale, 12 * config.scale)
    assert out.dtype == torch.float32


@pytest.mark.parametrize("config", TINY, ids=str)
def test_forward_leaves_its_input_as_it_was(config: NetworkConfig) -> None:
    x = torch.randn(1, 3, 8, 8)
    before = x.clone()
    ours(config)(x)
    assert torch.equal(x, before)


@pytest.mark.parametrize("config", [*TINY_RRDB[:2], *TINY_SRVGG], ids=str)
def test_a_pixel_beyond_the_receptive_radius_changes_nothing(config: NetworkConfig) -> None:
    network, radius = ours(config), config.receptive_radius
    length = 2 * (radius + 4)
    x = torch.rand(1, 3, 4, length)
    changed = x.clone()
    changed[..., -1] = 100.0
    far = (length - 1 - radius) * config.scale
    before, after = network(x), network(changed)
    assert torch.equal(before[..., :far], after[..., :far])
    assert not torch.equal(before, after)


@pytest.mark.parametrize(
    "config",
    [
        *(RRDBNetConfig(scale=scale, features=2, blocks=1, growth=2) for scale in (4, 2, 1)),
        *(SRVGGConfig(features=2, convs=3, scale=scale) for scale in (4, 2)),
    ],
    ids=str,
)
def test_receptive_radius_is_the_longest_path(config: NetworkConfig) -> None:
    # All weights positive: no path is cancelled, so the gradient's support is the whole receptive field.
    network = build_network(config)
    for parameter in network.parameters():
        parameter.data.fill_(0.2)
    radius, cell = config.receptive_radius, 4 * config.scale
    width = 2 * radius + 24 - 2 * radius % 4
    reached = 0
    for phase in {0, 1, cell - 2, cell - 1}:
        x = torch.rand(1, 3, 4, width, requires_grad=True)
        column = width // 8 * cell + phase
        network(x)[0, 0, 0, column].backward()
        assert x.grad is not None
        seen = x.grad.abs().sum(dim=(0, 1, 2)).nonzero().flatten()
        pixel = column // config.scale
        reached = max(reached, pixel - int(seen[0]), int(seen[-1]) - pixel)
    assert reached == radius


def test_initial_values_are_pytorchs_and_none_are_drawn_on_the_meta_device(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch.manual_seed(5)
    drawn = Convolution(3, 4, 3, padding=1)
    torch.manual_seed(5)
    assert torch.equal(drawn.weight, nn.Conv2d(3, 4, 3, padding=1).weight)
    monkeypatch.setattr(nn.init, "kaiming_uniform_", lambda *_, **__: pytest.fail("values were drawn"))
    with torch.device("meta"):
        assert all(value.is_meta for value in build_network(TINY_RRDB[0]).parameters())
    with pytest.raises(pytest.fail.Exception):
        build_network(TINY_RRDB[0])
