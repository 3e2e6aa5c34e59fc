"""State dicts of all published namings → one naming, the size of the network, and the network itself.

The networks of `networks/` have been published under three namings (BasicSR's, which is ours, and two of
ESRGAN's), wrapped in several ways, as `.pth` and as `.safetensors`. The bytes may come from anywhere, so
nothing in them is ever executed.
"""

import io
import json
import pickle
import re
from collections.abc import Mapping
from math import isqrt
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import Tensor

from luxscaler.errors import WeightsError
from luxscaler.networks.build import Network, NetworkConfig, build_network
from luxscaler.networks.rrdb import RRDBNetConfig
from luxscaler.networks.srvgg import SRVGGConfig
from luxscaler.weights.ncnn import Array

StateDict = dict[str, Tensor]

WRAPPERS = ("params_ema", "params", "state_dict", "model")
"""Top-level keys under which training code puts the state dict, the best one first."""
PREFIXES = ("module.", "_orig_mod.")
"""What data-parallel training and torch.compile put before every name."""
SUFFIXES = (".pth", ".pt", ".safetensors")

_RENAMES = tuple(
    (re.compile(rf"{pattern}\.(?=weight$|bias$)"), rf"{name}.")
    for pattern, name in (
        # ESRGAN as first published: one nn.Sequential, positions instead of names.
        (r"model\.1\.sub\.(\d+)\.RDB([123])\.conv([1-5])\.0", r"body.\1.rdb\2.conv\3"),
        (r"model\.1\.sub\.\d+", "conv_body"),
        (r"model\.0", "conv_first"),
        (r"model\.3", "conv_up1"),
        (r"model\.6", "conv_up2"),
        (r"model\.8", "conv_hr"),
        (r"model\.10", "conv_last"),
        # ESRGAN as revised, before BasicSR.
        (r"RRDB_trunk\.(\d+)\.RDB([123])\.conv([1-5])", r"body.\1.rdb\2.conv\3"),
        ("trunk_conv", "conv_body"),
        (r"upconv([12])", r"conv_up\1"),
        ("HRconv", "conv_hr"),
    )
)


def read_state_dict(data: bytes, suffix: str, key: str | None = None) -> StateDict:
    """State dict of a checkpoint file, with names as in `networks/rrdb.py`; nothing in the file is executed.

    suffix: ".pth", ".pt" or ".safetensors". key: the top-level key to take; None tries `WRAPPERS`.
    Raises `WeightsError` if the bytes are not such a file, need code to run, or hold anything but tensors.
    """
    if suffix.lower() not in SUFFIXES:
        raise WeightsError(f"a checkpoint must be {', '.join(SUFFIXES)}; got {suffix or 'no suffix'!r}")
    content = _read_safetensors(data) if suffix.lower() == ".safetensors" else read_pickle(data)
    return normalise_names(_unwrap(content, key))


def tensors_of(data: bytes) -> StateDict:
    """The tensors of a safetensors file under the names that it has. Raises `WeightsError`."""
    return _unwrap(_read_safetensors(data), None)


def _read_safetensors(data: bytes) -> Any:
    try:
        return safetensors.torch.load(data)
    except Exception as error:  # damaged bytes raise anything, as in read_pickle
        raise WeightsError(f"not a readable safetensors file: {_first_line(error)}") from error


def read_pickle(data: bytes) -> Any:
    """What a .pth file holds; nothing in it is executed. Raises `WeightsError`."""
    try:
        return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # Not torch's own message, which suggests loading the file unsafely.
        raise WeightsError(
            "not a checkpoint of tensors only: it is damaged, or asks to run code, which is never done"
        ) from error
    except Exception as error:  # damaged bytes raise anything: struct.error, KeyError, RuntimeError, …
        raise WeightsError(f"not a readable PyTorch checkpoint: {_first_line(error)}") from error


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]


def _unwrap(content: Any, key: str | None) -> StateDict:
    """The state dict inside the containers that training code saves around it."""
    keys = WRAPPERS if key is None else (key,)
    wrapper = next(
        (k for k in keys if isinstance(content, Mapping) and isinstance(content.get(k), Mapping)), key
    )
    if wrapper is not None:
        if not isinstance(content, Mapping) or wrapper not in content:
            raise WeightsError(f"checkpoint has no {wrapper!r}")
        content = content[wrapper]
    if not isinstance(content, Mapping) or not content:
        raise WeightsError(f"checkpoint holds {type(content).__name__}, not a state dict with tensors")
    for name, value in content.items():
        if not isinstance(name, str) or not _is_plain(value):
            raise WeightsError(f"checkpoint entry {name!r} is not a plain tensor of floating point numbers")
    return dict(content)


def _is_plain(value: object) -> bool:
    """Whether it is an ordinary tensor of floats: not sparse, not without values (meta device)."""
    return (
        isinstance(value, Tensor)
        and value.is_floating_point()
        and value.layout is torch.strided
        and value.device.type == "cpu"
    )


def normalise_names(state: Mapping[str, Tensor]) -> StateDict:
    """The same tensors under the names of `networks/rrdb.py`; names that are not known stay as they are.

    Raises `WeightsError` if two entries come out with the same name.
    """
    names = list(state)
    while prefix := next((p for p in PREFIXES if names and all(n.startswith(p) for n in names)), ""):
        names = [name[len(prefix) :] for name in names]
    renamed: StateDict = {}
    for name, value in zip(names, state.values(), strict=True):
        new = _rename(name)
        if new in renamed:
            raise WeightsError(f"checkpoint names {new} twice")
        renamed[new] = value
    return renamed


def _rename(name: str) -> str:
    for pattern, replacement in _RENAMES:
        if match := pattern.match(name):
            return match.expand(replacement) + name[match.end() :]
    return name


def infer_config(state: Mapping[str, Tensor]) -> NetworkConfig:
    """Architecture and size of the network that a state dict (names normalised) belongs to.

    An RRDBNet whose first layer takes 4 or 16 times the output's channels is taken for one that folds
    2×2 or 4×4 pixels first. Raises `WeightsError` if it is neither RRDBNet nor SRVGGNetCompact, or one of
    a scale or activation that `networks/` does not have.
    """
    if "conv_first.weight" in state:
        return _infer_rrdb(state)
    if "body.0.weight" in state:
        return _infer_srvgg(state)
    names = ", ".join(sorted(state)[:3])
    raise WeightsError(f"unknown architecture: neither RRDBNet nor SRVGGNetCompact (it has {names}, …)")


def _infer_rrdb(state: Mapping[str, Tensor]) -> RRDBNetConfig:
    features, first_in = _conv_shape(state, "conv_first")
    out_channels, _ = _conv_shape(state, "conv_last")
    growth, _ = _conv_shape(state, "body.0.rdb1.conv1")
    # Counted, not the largest number: a name like body.999999999 must not size the network.
    blocks = len({name.split(".")[1] for name in state if re.match(r"body\.\d+\.rdb1\.", name)})
    unshuffle = next((side for side in (2, 4) if first_in == out_channels * side**2), 1)
    return RRDBNetConfig(first_in // unshuffle**2, out_channels, 4 // unshuffle, features, blocks, growth)


def _infer_srvgg(state: Mapping[str, Tensor]) -> SRVGGConfig:
    features, in_channels = _conv_shape(state, "body.0")
    convs = sum(name.endswith(".weight") and value.ndim == 4 for name, value in state.items()) - 2
    last, _ = _conv_shape(state, f"body.{2 * convs + 2}")
    scale = isqrt(last // max(in_channels, 1))
    if scale < 1 or last != in_channels * scale**2:
        raise WeightsError(f"SRVGGNetCompact makes {last} channels of {in_channels}: no whole scale fits")
    if "body.1.weight" not in state:
        raise WeightsError("SRVGGNetCompact without PReLU slopes: its activation is unknown")
    return SRVGGConfig(in_channels, in_channels, features, convs, scale)


def _conv_shape(state: Mapping[str, Tensor], name: str) -> tuple[int, int]:
    """Output and input channels of a convolution."""
    weight = state.get(f"{name}.weight")
    if weight is None or weight.ndim != 4 or not weight.numel():
        found = "missing" if weight is None else f"a tensor of shape {tuple(weight.shape)}"
        raise WeightsError(f"unknown architecture: convolution {name}.weight is {found}")
    return weight.shape[0], weight.shape[1]


def build_loaded(config: NetworkConfig, state: Mapping[str, Tensor]) -> Network:
    """The network of that size with these parameters: float32, CPU, eval mode, no gradients.

    Raises `WeightsError` on a missing, extra, misshapen or non-finite parameter.
    """
    # On the meta device the network costs no memory and no random numbers before it is known to fit.
    with torch.device("meta"):
        network = build_network(config)
    expected = network.state_dict()
    _compare(expected, state)
    parameters = {name: state[name].to(torch.float32).contiguous() for name in expected}
    for name, value in parameters.items():
        # The extremes carry any NaN or infinity, at half the cost of looking at every value twice.
        if not all(torch.isfinite(extreme) for extreme in torch.aminmax(value)):
            raise WeightsError(f"{name} has values that are not finite")
    network.load_state_dict(parameters, assign=True)
    return network.eval().requires_grad_(False)


def _compare(expected: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> None:
    for what, names in (
        ("lacks", expected.keys() - state.keys()),
        ("has unknown", state.keys() - expected.keys()),
    ):
        if names:
            raise WeightsError(
                f"state dict {what} {len(names)} of {len(expected)} parameters: {min(names)}, …"
            )
    for name, parameter in expected.items():
        if parameter.shape != state[name].shape:
            shapes = f"{tuple(state[name].shape)}, expected {tuple(parameter.shape)}"
            raise WeightsError(f"{name} has the shape {shapes}")


def layer_names(config: NetworkConfig) -> list[str]:
    """Names of the layers with parameters, in the order in which the network applies them."""
    if isinstance(config, SRVGGConfig):
        return [f"body.{n}" for n in range(2 * config.convs + 3)]
    dense = [f"rdb{r}.conv{c}" for r in (1, 2, 3) for c in (1, 2, 3, 4, 5)]
    body = [f"body.{n}.{name}" for n in range(config.blocks) for name in dense]
    return ["conv_first", *body, "conv_body", "conv_up1", "conv_up2", "conv_hr", "conv_last"]


def safetensors_bytes(arrays: Mapping[str, Array], metadata: Mapping[str, str]) -> bytes:
    """A safetensors file whose bytes depend on nothing but the arguments.

    Written here because the library's header varies (order of metadata, version), and the SHA-256 of the
    result is pinned in the catalogue.
    """
    # The widest type first, so that every tensor starts at a multiple of its own item size.
    ordered = sorted(arrays.items(), key=lambda item: (-item[1].itemsize, item[0]))
    header: dict[str, Any] = {"__metadata__": dict(sorted(metadata.items()))}
    end = 0
    for name, array in ordered:
        start, end = end, end + array.nbytes
        dtype = {np.dtype(np.float16): "F16", np.dtype(np.float32): "F32"}[array.dtype]
        header[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=True).encode()
    text += b" " * (-len(text) % 8)
    body = [array.astype(array.dtype.newbyteorder("<")).tobytes() for _, array in ordered]
    return b"".join([len(text).to_bytes(8, "little"), text, *body])
