"""Adapters: read, checked against their base, merged."""

from pathlib import Path

import pytest
import torch

from luxscaler.errors import WeightsError
from luxscaler.upscaling.model_cache import Models
from luxscaler.weights.adapter import Adapter, adapter_bytes, merge, parse_adapter
from luxscaler.weights.checkpoint import safetensors_bytes
from luxscaler.weights.store import load_network
from tests.support.small_weights import make_small_weights
from tests.support.training_files import write_base

LAYER = "body.0.rdb1.conv2"


def _adapter(base: str = "0" * 64, rank: int = 2, outputs: int = 4, inputs: int = 12) -> Adapter:
    source = torch.Generator().manual_seed(1)
    a = torch.randn((rank, inputs, 3, 3), generator=source)
    b = torch.randn((outputs, rank, 1, 1), generator=source)
    return Adapter(base, rank, 2.0 * rank, {LAYER: (a, b)})


def test_a_merge_adds_the_product() -> None:
    weight = torch.randn((4, 12, 3, 3), generator=torch.Generator().manual_seed(2))
    adapter = _adapter()
    merged = merge({f"{LAYER}.weight": weight, "other.weight": weight}, adapter)
    a, b = adapter.pairs[LAYER]
    expected = weight + 2.0 * (b[:, :, 0, 0] @ a.flatten(1)).reshape(4, 12, 3, 3)
    torch.testing.assert_close(merged[f"{LAYER}.weight"], expected)
    assert torch.equal(merged["other.weight"], weight)


@pytest.mark.parametrize(
    ("adapter", "message"),
    [(_adapter(outputs=5), "of shape \\(5, 12, 3, 3\\)"), (_adapter(inputs=3), "of shape \\(4, 3, 3, 3\\)")],
)
def test_a_merge_that_does_not_fit_is_an_error(adapter: Adapter, message: str) -> None:
    with pytest.raises(WeightsError, match=message):
        merge({f"{LAYER}.weight": torch.zeros((4, 12, 3, 3))}, adapter)
    with pytest.raises(WeightsError, match="which the network does not have"):
        merge({}, adapter)


def test_what_is_no_adapter_is_an_error(tmp_path: Path) -> None:
    model = write_base(tmp_path / "model.safetensors").read_bytes()
    good = _adapter()
    a, b = good.pairs[LAYER]
    name = f"base_model.model.{LAYER}"
    meta = {"base_sha256": "0", "rank": "2", "alpha": "2"}
    one = {f"{name}.lora_A.weight": a.numpy()}
    nan = torch.full_like(b, torch.nan)
    for data, message in (
        (b"", "not a readable safetensors"),
        (model, "metadata needs base_sha256"),
        (safetensors_bytes(one, meta), r"lora_A.weight without"),
        (safetensors_bytes({"x": a.numpy()}, meta), "not pairs"),
        (adapter_bytes(Adapter("0", 3, 3.0, good.pairs)), "rank is 3"),
        (adapter_bytes(Adapter("0", 2, 2.0, {LAYER: (a, nan)})), "not finite"),
        (adapter_bytes(Adapter("0", 2, float("inf"), good.pairs)), "must be usable"),
    ):
        with pytest.raises(WeightsError, match=message):
            parse_adapter(data)


def test_a_network_and_its_adapter_load_by_one_name(tmp_path: Path) -> None:
    path = write_base(tmp_path / "base+1.safetensors")
    base = load_network(path)
    file = tmp_path / "mine.safetensors"
    file.write_bytes(adapter_bytes(_adapter(base.digest)))
    loaded = load_network(f"{path}+{file}")
    assert loaded.config == base.config
    assert loaded.digest not in {base.digest, load_network(path).name}
    weights = loaded.module.state_dict(), base.module.state_dict()
    changed = {name for name in weights[0] if not torch.equal(weights[0][name], weights[1][name])}
    assert changed == {f"{LAYER}.weight"}
    assert Models(own_checkpoints=True)(f"{path}+{file}").native_scale == 4


def test_an_adapter_of_other_weights_or_none_is_refused(tmp_path: Path) -> None:
    small = make_small_weights(tmp_path)
    (tmp_path / "tiny.safetensors").write_bytes(small.converted)
    file = tmp_path / "mine.safetensors"
    file.write_bytes(adapter_bytes(_adapter()))
    with pytest.raises(
        WeightsError, match=r"mine.safetensors: adapter was trained on weights with SHA-256 000"
    ):
        load_network(f"tiny+{file}", tmp_path, [small.entry])
    with pytest.raises(WeightsError, match=r"no adapter 'absent.safetensors': there is no such file"):
        load_network("tiny+absent.safetensors", tmp_path, [small.entry])
    with pytest.raises(WeightsError, match="no weights called 'c'"):
        load_network(f"c+{file}", tmp_path, [small.entry])
