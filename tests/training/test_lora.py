"""LoRA: begins as the base, and becomes plain weights with the base's names."""

import copy

import pytest
import torch

from luxscaler.networks.build import Network, build_network
from luxscaler.networks.rrdb import RRDBNetConfig
from luxscaler.training.learner import Learner, Means
from luxscaler.training.lora import adapted_layers
from luxscaler.training.similarity import psnr
from luxscaler.weights.adapter import adapter_bytes, merge, parse_adapter
from luxscaler.weights.checkpoint import build_loaded
from tests.support.training_files import RRDB, SRVGG

CPU = torch.device("cpu")
PICTURE = torch.rand((1, 3, 20, 24), generator=torch.Generator().manual_seed(1))


@pytest.fixture(params=[RRDB, SRVGG, RRDBNetConfig(scale=2, features=8, blocks=1, growth=4)], ids=str)
def network(request: pytest.FixtureRequest) -> Network:
    torch.manual_seed(3)
    return build_network(request.param).eval().requires_grad_(False)


def _shaken(network: Network) -> Learner:
    """A LoRA whose B are no longer zero."""
    learner = Learner(network, "lora", 4, 0, CPU)
    with torch.no_grad():
        for name, value in learner.parameters.items():
            value.add_(0.1 * torch.randn(value.shape, generator=torch.Generator().manual_seed(len(name))))
            learner.average[name].copy_(value)
    return learner


def test_all_convolutions_but_the_first_and_the_last(network: Network) -> None:
    layers = adapted_layers(network)
    convs = [name for name, layer in network.named_modules() if isinstance(layer, torch.nn.Conv2d)]
    assert layers == convs[1:-1]


@pytest.mark.sample(1)
def test_step_zero_equals_the_base_exactly(network: Network) -> None:
    learner = Learner(network, "lora", 4, 0, CPU)
    with torch.no_grad():
        assert torch.equal(learner.forward(PICTURE, Means()), network(PICTURE))
    base = network.state_dict()
    merged = learner.whole(learner.averaged())
    assert merged.keys() == base.keys()
    assert all(torch.equal(merged[name], base[name]) for name in base)


def test_merged_equals_unmerged(network: Network) -> None:
    learner = _shaken(network)
    merged = build_loaded(network.config, learner.whole(learner.averaged()))
    with torch.no_grad():
        apart, together = learner.forward(PICTURE, Means()), merged(PICTURE)
        assert psnr(together, apart) >= 100
        assert psnr(network(PICTURE), apart) < 60


def test_the_base_is_left_as_it_is(network: Network) -> None:
    before = copy.deepcopy(network.state_dict())
    learner = _shaken(network)
    learner.gradients(PICTURE, torch.zeros_like(network(PICTURE)), Means())
    learner.update(0.1, 0.5)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_the_adapters_file_makes_the_same_network(network: Network) -> None:
    learner = _shaken(network)
    values = learner.averaged()
    read = parse_adapter(adapter_bytes(learner.adapter(values, "ab" * 32)))
    assert (read.base_sha256, read.rank, read.alpha) == ("ab" * 32, 4, 4.0)
    merged, whole = merge(network.state_dict(), read), learner.whole(values)
    assert all(torch.equal(merged[name], whole[name]) for name in whole)
