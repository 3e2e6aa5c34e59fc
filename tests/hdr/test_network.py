"""The network: shares start at 0 and never fall; its numbers are small on disk and come back from it."""

from pathlib import Path

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from luxscaler.hdr.analysis import analyse
from luxscaler.hdr.network import KNOT_CODES, REGIONS, WEIGHTS, GainNetwork, gain_network, write_weights
from tests.support.examples import examples

seeded = settings(derandomize=True, deadline=None, max_examples=examples(15))


def some_picture(seed: int) -> torch.Tensor:
    return torch.rand(50, 70, 3, generator=torch.Generator().manual_seed(seed))


@seeded
@given(st.integers(0, 1000), st.floats(1.001, 49))
def test_shares_start_at_zero_and_never_fall(seed: int, boost: float) -> None:
    torch.manual_seed(seed)
    for network in (gain_network(), GainNetwork().eval()):
        shares = network.shares_of(analyse(some_picture(seed), 1.0), boost)
        assert shares.shape == (len(KNOT_CODES), REGIONS, REGIONS)
        assert float(shares[0].abs().max()) == 0.0
        assert bool((shares.diff(dim=0) >= 0).all())
        assert float(shares.max()) <= 1.0


def test_the_weights_are_small() -> None:
    assert WEIGHTS.stat().st_size < 1_000_000


def test_written_weights_come_back(tmp_path: Path) -> None:
    write_weights(gain_network(), tmp_path / "gain.safetensors")
    assert (tmp_path / "gain.safetensors").read_bytes() == WEIGHTS.read_bytes()


def test_dropout_is_for_training_only() -> None:
    torch.manual_seed(0)
    network = GainNetwork(dropout=0.5).eval()
    analysis = analyse(some_picture(1), 1.0)
    assert torch.equal(network.shares_of(analysis, 4.0), network.shares_of(analysis, 4.0))
