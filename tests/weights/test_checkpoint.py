"""Checkpoints: every naming and wrapper is read, sizes are inferred, and anything else is refused."""

import io
import json
import os
import pickle
import re
from argparse import Namespace
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from luxscaler.errors import WeightsError
from luxscaler.networks.build import NetworkConfig, build_network
from luxscaler.networks.rrdb import RRDBNetConfig
from luxscaler.networks.srvgg import SRVGGConfig
from luxscaler.weights.checkpoint import (
    build_loaded,
    layer_names,
    read_state_dict,
    safetensors_bytes,
)
from luxscaler.weights.namings import StateDict, infer_config, normalise_names
from luxscaler.weights.ncnn import Array
from tests.support.examples import examples
from tests.support.slow import slow

SMALL = RRDBNetConfig(features=8, blocks=2, growth=4)
COMPACT = SRVGGConfig(features=6, convs=3, scale=2)

rrdb_configs = st.builds(
    RRDBNetConfig,
    in_channels=st.just(3),
    out_channels=st.just(3),
    scale=st.sampled_from([4, 2, 1]),
    features=st.integers(1, 9),
    blocks=st.integers(1, 3),
    growth=st.integers(1, 6),
)
unusual_configs = st.builds(
    lambda steps, plus, channels: RRDBNetConfig(
        channels[0], channels[1], 2**steps, 4, 1, 2, steps=steps, plus=plus
    ),
    st.integers(0, 4),
    st.booleans(),
    st.sampled_from([(3, 3), (1, 1), (1, 3), (3, 1), (4, 4)]),
)
srvgg_configs = st.builds(
    SRVGGConfig,
    in_channels=st.just(3),
    out_channels=st.just(3),
    features=st.integers(1, 9),
    convs=st.integers(0, 4),
    scale=st.integers(1, 4),
)


def tiny_state(config: NetworkConfig) -> StateDict:
    torch.manual_seed(3)
    return dict(build_network(config).state_dict())


def saved(content: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def assert_same(one: StateDict, other: StateDict) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name])


def to_first_esrgan(name: str, blocks: int, steps: int = 2) -> str:
    """Names of the first ESRGAN release."""
    name = re.sub(r"^body\.(\d+)\.rdb(\d)\.conv(\d)\.(?!x)", r"model.1.sub.\1.RDB\2.conv\3.0.", name)
    name = re.sub(r"^body\.(\d+)\.rdb(\d)\.conv1x1\.", r"model.1.sub.\1.RDB\2.conv1x1.", name)
    ups = {f"up{step}": f"{3 * step}" for step in range(1, steps + 1)}
    ends = {"hr": f"{3 * steps + 2}", "last": f"{3 * steps + 4}"}
    places = {"first": "0", "body": f"1.sub.{blocks}", **ups, **ends}
    return re.sub(r"^conv_(\w+)", lambda match: f"model.{places[match[1]]}", name)


def to_second_esrgan(name: str, blocks: int, steps: int = 2) -> str:
    """Names of the revised ESRGAN code."""
    name = re.sub(r"^body\.(\d+)\.rdb(\d)\.", r"RRDB_trunk.\1.RDB\2.", name)
    for ours, theirs in (("conv_body", "trunk_conv"), ("conv_up", "upconv"), ("conv_hr", "HRconv")):
        name = name.replace(ours, theirs)
    return name


@given(rrdb_configs | srvgg_configs | unusual_configs)
@settings(deadline=None, max_examples=examples(25))
def test_the_size_is_inferred(config: NetworkConfig) -> None:
    assert infer_config(tiny_state(config)) == config


@pytest.mark.parametrize("rename", [to_first_esrgan, to_second_esrgan])
@given(config=rrdb_configs | unusual_configs)
@settings(deadline=None, max_examples=examples(12))
def test_older_namings_load(rename: Callable[[str, int, int], str], config: RRDBNetConfig) -> None:
    state = tiny_state(config)
    renamed = {rename(name, config.blocks, config.steps): value for name, value in state.items()}
    assert not renamed.keys() & {"conv_body.weight", "body.0.rdb1.conv1.weight"}
    assert_same(normalise_names(renamed), state)


def test_the_first_naming_is_as_published() -> None:
    names = {to_first_esrgan(name, 23) for name in tiny_state(RRDBNetConfig(features=1, growth=1))}
    assert {"model.1.sub.0.RDB1.conv1.0.weight", "model.1.sub.23.weight", "model.10.bias"} <= names


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod."])
@pytest.mark.parametrize("config", [SMALL, COMPACT])
def test_prefixes_are_taken_off(prefix: str, config: NetworkConfig) -> None:
    state = tiny_state(config)
    assert_same(normalise_names({prefix + name: value for name, value in state.items()}), state)


def test_two_names_for_one_parameter_are_refused() -> None:
    with pytest.raises(WeightsError, match=r"names conv_hr\.weight twice"):
        normalise_names({"HRconv.weight": torch.ones(1), "conv_hr.weight": torch.ones(1)})


@pytest.mark.parametrize("wrapper", ["params_ema", "params", "state_dict", "model", None])
@pytest.mark.parametrize("suffix", [".pth", *slow(".pt", ".PTH")])
def test_wrapped_and_bare_checkpoints(wrapper: str | None, suffix: str) -> None:
    state = tiny_state(SMALL)
    content = state if wrapper is None else {"epoch": 3, wrapper: state}
    assert_same(read_state_dict(saved(content), suffix), state)


@pytest.mark.sample(6)
@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: {"params-ema": state, "params": {}},
        lambda state: {"model_state_dict": state, "epoch": 3},
        lambda state: {"net": state},
        lambda state: {"state_dict": {"params": state}},
        lambda state: {"whatever": state},
        lambda state: {"epoch": 3, "G": state, "optimizer": {"state": {}, "groups": [1]}},
        lambda state: {"state_dict": {f"netG.{name}": value for name, value in state.items()}},
        lambda state: {"state_dict": {f"model.{name}": value for name, value in state.items()}},
        lambda state: {f"net_g.{n}": v for n, v in state.items()} | {"net_d.conv.weight": torch.ones(1)},
        lambda state: {**state, "step": 7, "version": "1.2", "best": None},
        lambda state: {**state, "config": {"scale": 4}, "seen": ["a", 1], "empty": {}},
        lambda state: {"params": state, "params_ema": {}},
        lambda state: {"gen": state, "disc": {"conv.weight": torch.ones(1)}, "step": 3},
        lambda state: {"netD_state_dict": {"a": torch.ones(1)}, "netG_state_dict": state},
        lambda state: {"state_dict": state, "args": Namespace(scale=4, out=Path("x")), "best": np.float64(3)},
        lambda state: {"state_dict": state, "log": defaultdict(list, {"psnr": [1.0]})},
        lambda state: {
            **state,
            "num_batches_tracked": torch.tensor(5),
            "seen": torch.ones(2, dtype=torch.bool),
        },
    ],
)
@pytest.mark.parametrize("naming", ["ours", "first"])
def test_what_training_code_wraps_around_a_state_dict(wrap: Callable[[StateDict], Any], naming: str) -> None:
    state = tiny_state(SMALL)
    given = state if naming == "ours" else {to_first_esrgan(n, SMALL.blocks): v for n, v in state.items()}
    assert_same(read_state_dict(saved(wrap(given)), ".ckpt"), state)


def test_the_averaged_parameters_are_preferred_and_a_key_can_be_asked_for() -> None:
    state = tiny_state(COMPACT)
    zeros = {name: torch.zeros_like(value) for name, value in state.items()}
    data = saved({"params": zeros, "params_ema": state})
    assert_same(read_state_dict(data, ".pth"), state)
    assert_same(read_state_dict(data, ".pth", "params"), zeros)
    with pytest.raises(WeightsError, match="checkpoint has no 'model'"):
        read_state_dict(data, ".pth", "model")


def test_safetensors_are_read() -> None:
    state = tiny_state(SMALL)
    assert_same(read_state_dict(safetensors.torch.save(state), ".safetensors"), state)


class Malicious:
    """Pickles to a call of os.system."""

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, ("touch owned",)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("write", [saved, pickle.dumps], ids=["torch", "pickle"])
def test_a_pickle_that_runs_code_is_refused(
    write: Callable[[Any], bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data = write({"params": {"conv_first.weight": Malicious()}})
    with pytest.raises(WeightsError, match="never done"):
        read_state_dict(data, ".pth")
    assert not list(tmp_path.iterdir())


def test_a_whole_pickled_module_is_refused() -> None:
    with pytest.raises(WeightsError, match="tensors only"):
        read_state_dict(saved(build_network(COMPACT)), ".pth")


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@given(data=st.binary(max_size=200))
def test_rubbish_is_refused(suffix: str, data: bytes) -> None:
    with pytest.raises(WeightsError):
        read_state_dict(data, suffix)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@given(data=st.data())
@settings(deadline=None)
def test_damaged_files_are_refused_or_read(suffix: str, data: st.DataObject) -> None:
    state = {"body.0.weight": torch.ones(2, 3, 3, 3)}
    good = bytearray(saved(state) if suffix == ".pth" else safetensors.torch.save(state))
    for place in data.draw(st.lists(st.integers(0, len(good) - 1), min_size=1, max_size=4)):
        good[place] = data.draw(st.integers(0, 255))
    try:
        read_state_dict(bytes(good[: data.draw(st.integers(0, len(good)))]), suffix)
    except WeightsError as error:
        assert "\n" not in str(error)  # noqa: PT017 - reading some damaged files is right


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([torch.ones(1)], "holds list"),
        ({}, "holds dict"),
        ({"params": {}}, "holds dict"),
        ({"a": 1}, "'a' is not a plain tensor"),
        ({"a": torch.ones(1, dtype=torch.int8)}, "'a' is not a plain tensor of floating"),
        ({"a": torch.ones(1, dtype=torch.complex64)}, "'a' is not a plain tensor"),
        ({"a": torch.ones(1, device="meta")}, "'a' is not a plain tensor"),
        ({"a": torch.ones(2, 2).to_sparse()}, "'a' is not a plain tensor"),
        ({3: torch.ones(1)}, "3 is not a plain tensor"),
    ],
)
def test_checkpoints_with_something_else(content: Any, message: str) -> None:
    with pytest.raises(WeightsError, match=message):
        read_state_dict(saved(content), ".pth")


def test_other_suffixes_are_refused() -> None:
    with pytest.raises(WeightsError, match=r"\.pth, \.pt, \.ckpt, \.safetensors; got '\.onnx'"):
        read_state_dict(b"", ".onnx")


def without(state: StateDict, *names: str) -> StateDict:
    return {name: value for name, value in state.items() if name not in names}


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"layers.0.weight": torch.ones(1)}, "neither RRDBNet nor SRVGGNetCompact .it has layers.0.weight"),
        (without(tiny_state(SMALL), "conv_last.weight"), "conv_last.weight is missing"),
        (tiny_state(SMALL) | {"conv_last.weight": torch.ones(3)}, "is a tensor of shape .3,"),
        (tiny_state(SMALL) | {"conv_first.weight": torch.ones(0, 3, 3, 3)}, "conv_first.weight is a tensor"),
        (tiny_state(COMPACT) | {"body.8.weight": torch.ones(13, 6, 3, 3)}, "13 channels of 3: no whole"),
        ({k: v for k, v in tiny_state(COMPACT).items() if v.ndim != 1 or "bias" in k}, "is unknown"),
    ],
)  # fmt: skip
def test_unknown_architectures_are_refused(state: dict[str, Tensor], message: str) -> None:
    with pytest.raises(WeightsError, match=message):
        infer_config(state)


@given(config=rrdb_configs | srvgg_configs)
@settings(deadline=None, max_examples=examples(10))
def test_the_loaded_network_is_the_saved_one(config: NetworkConfig) -> None:
    torch.manual_seed(4)
    original = build_network(config)
    loaded = build_loaded(config, original.state_dict())
    assert not loaded.training
    assert {(p.dtype, p.device.type, p.requires_grad) for p in loaded.parameters()} == {
        (torch.float32, "cpu", False)
    }
    picture = torch.rand(1, 3, 8, 4)
    with torch.no_grad():
        assert torch.equal(loaded(picture), original(picture))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_become_float32(dtype: torch.dtype) -> None:
    state = {name: value.to(dtype) for name, value in tiny_state(COMPACT).items()}
    for name, value in build_loaded(COMPACT, state).state_dict().items():
        assert value.dtype == torch.float32
        assert torch.equal(value, state[name].float())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: without(s, "conv_hr.bias", "conv_up1.bias"), "lacks 2 of 72 parameters: conv_hr.bias"),
        (lambda s: s | {"body.0.gain": torch.ones(1)}, "has unknown 1 of 72 parameters: body.0.gain"),
        (
            lambda s: s | {"conv_hr.bias": torch.ones(9)},
            r"conv_hr.bias has the shape \(9,\), expected \(8,\)",
        ),
        (lambda s: s | {"conv_hr.bias": torch.full((8,), torch.nan)}, "conv_hr.bias has values that are not"),
        (
            lambda s: s | {"conv_hr.bias": torch.full((8,), -torch.inf)},
            "conv_hr.bias has values that are not",
        ),
    ],
)
def test_parameters_that_do_not_fit(change: Callable[[StateDict], StateDict], message: str) -> None:
    with pytest.raises(WeightsError, match=message):
        build_loaded(SMALL, change(tiny_state(SMALL)))


def test_a_huge_block_number_does_not_size_the_network() -> None:
    state = tiny_state(SMALL) | {"body.999999999.rdb1.conv1.weight": torch.ones(1)}
    with pytest.raises(WeightsError, match="lacks"):
        build_loaded(infer_config(state), state)


@pytest.mark.parametrize("config", [SMALL, COMPACT])
def test_layer_names_are_all_names_in_order(config: NetworkConfig) -> None:
    with_parameters = dict.fromkeys(name.rpartition(".")[0] for name in tiny_state(config))
    assert layer_names(config) == list(with_parameters)


def test_our_safetensors_are_read_by_the_library() -> None:
    arrays: dict[str, Array] = {
        "b.bias": np.arange(3, dtype=np.float32),
        "a.weight": np.arange(5, dtype=np.float16),
        "c.weight": np.ones((2, 1, 1, 1), np.float16),
    }
    data = safetensors_bytes(arrays, {"y": "1", "x": "ü"})
    state = safetensors.torch.load(data)
    assert {name: value.dtype for name, value in state.items()} == {
        "a.weight": torch.float16,
        "b.bias": torch.float32,
        "c.weight": torch.float16,
    }
    for name, array in arrays.items():
        np.testing.assert_array_equal(state[name].numpy(), array)
    length = int.from_bytes(data[:8], "little")
    assert length % 8 == 0
    assert json.loads(data[8 : 8 + length])["__metadata__"] == {"x": "ü", "y": "1"}


def test_our_safetensors_depend_on_nothing_but_the_content() -> None:
    one, two = np.ones(2, np.float16), np.ones(1, np.float32)
    data = safetensors_bytes({"a": one, "b": two}, {"x": "1", "y": "2"})
    assert data == safetensors_bytes({"b": two, "a": one}, {"y": "2", "x": "1"})
