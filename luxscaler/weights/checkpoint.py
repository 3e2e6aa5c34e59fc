"""Checkpoint files of all kinds → the state dict in them, and from it the network.

A state dict is wrapped in several ways, as `.pth`, `.pt`, `.ckpt` and as `.safetensors`; what its names mean
is in namings.py. The bytes may come from anywhere, so nothing in them is ever executed.
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import Tensor

from luxscaler.errors import WeightsError
from luxscaler.networks.build import Network, NetworkConfig, build_network
from luxscaler.networks.srvgg import SRVGGConfig
from luxscaler.weights.namings import StateDict, normalise_names
from luxscaler.weights.ncnn import Array
from luxscaler.weights.pickled import ZIP_HEAD, Inert, check_is_weights, read_pickle
from luxscaler.words import counted

WRAPPERS = ("params_ema", "params-ema", "params", "model_state_dict", "state_dict", "model", "net")
"""Top-level keys under which training code puts the state dict, the best one first."""
SUFFIXES = (".pth", ".pt", ".ckpt", ".safetensors")
_GENERATORS = (
    *("g_ema", "net_g_ema", "generator_ema", "ema", "ema_model", "model_ema"),
    *("netg", "net_g", "generator", "gen", "g"),
)
"""Keys of the upscaler among several networks; case and a final `_state_dict` do not count."""
MARKS = ("pro", "no_norm")
"""Entries that say by being there how a network is used (RealCUGAN, SPAN, ATD), whatever their value."""
_DEPTH = 4
"""Most levels of wrappers inside wrappers."""
_LENGTH_BYTES = 8
"""Bytes of the length, little-endian, that begins a safetensors file."""
MAX_PARAMETERS = 2**30
"""Most values of all tensors of a file together: 4 GiB as float32."""


def read_state_dict(data: bytes, suffix: str, key: str | None = None) -> StateDict:
    """State dict of a network of ours, floats alone, with names as in `networks/rrdb.py`.

    Arguments and errors as in `read_tensors`; WeightsError too if two entries come out with the same name.
    """
    return own_state(read_tensors(data, suffix, key))


def own_state(tensors: Mapping[str, Tensor]) -> StateDict:
    """The floats among the tensors (counters are of no use to our networks), under our names.

    Raises `WeightsError` if there are none, or two entries come out with the same name.
    """
    floats = {name: value for name, value in tensors.items() if value.is_floating_point()}
    if not floats:
        name = min(tensors)
        raise WeightsError(f"checkpoint entry {name!r} is not a plain tensor of floating point numbers")
    return normalise_names(floats)


def read_tensors(data: bytes, suffix: str, key: str | None = None) -> StateDict:
    """The tensors of a checkpoint file under the names that it has; nothing in the file is executed.

    suffix: one of `SUFFIXES`. key: the top-level key to take; None tries `WRAPPERS`, and then the only entry
    that holds a state dict. Raises `WeightsError` if the bytes are not such a file, need code to run, or hold
    anything but tensors and numbers.
    """
    if suffix.lower() not in SUFFIXES:
        raise WeightsError(f"a checkpoint must be {', '.join(SUFFIXES)}; got {suffix or 'no suffix'!r}")
    return _unwrap(_read_safetensors(data) if _is_safetensors(data, suffix) else read_pickle(data), key)


def tensors_of(data: bytes) -> StateDict:
    """The tensors of a safetensors file under the names that it has. Raises `WeightsError`."""
    return _unwrap(_read_safetensors(data), None)


def safetensors_metadata(data: bytes) -> dict[str, str]:
    """The free text in the header of a safetensors file; empty where there is none.

    Raises ValueError where the header is no JSON; `tensors_of` checks it first.
    """
    length = int.from_bytes(data[:_LENGTH_BYTES], "little")
    found = json.loads(data[_LENGTH_BYTES : _LENGTH_BYTES + length]).get("__metadata__", {})
    return found if isinstance(found, dict) else {}


def _is_safetensors(data: bytes, suffix: str) -> bool:
    """Whether it is safetensors, by content first: many files have the other format's suffix."""
    if data.startswith(ZIP_HEAD):
        return False
    return suffix.lower() == ".safetensors" or data[8:9] == b"{"


def _read_safetensors(data: bytes) -> Any:
    check_is_weights(data)
    try:
        return safetensors.torch.load(data)
    except Exception as error:  # damaged bytes raise anything, as in read_pickle
        raise WeightsError(f"not a readable safetensors file: {_first_line(error)}") from error


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]


def _unwrap(content: Any, key: str | None) -> StateDict:
    """The state dict inside the containers that training code saves around it."""
    if key is not None:
        if not isinstance(content, Mapping) or key not in content:
            raise WeightsError(f"checkpoint has no {key!r}")
        content = content[key]
    for _ in range(_DEPTH):
        if (wrapper := _wrapper(content)) is None:
            break
        content = content[wrapper]
    if not isinstance(content, Mapping) or not content:
        raise WeightsError(f"checkpoint holds {type(content).__name__}, not a state dict with tensors")
    has_tensors = any(isinstance(value, Tensor) for value in content.values())
    found: StateDict = {}
    for name, value in content.items():
        if has_tensors and isinstance(name, str) and name.rpartition(".")[2] in MARKS:
            found[name] = torch.zeros(1)
            continue
        if has_tensors and isinstance(name, str) and _is_setting(value):
            continue
        if not isinstance(name, str) or not _is_plain(value):
            raise WeightsError(f"checkpoint entry {name!r} is not a plain tensor of floating point numbers")
        found[name] = value
    # A tensor may be a small one with strides of 0: a file of 1 kB can stand for more than memory holds.
    if (count := sum(value.numel() for value in found.values())) > MAX_PARAMETERS:
        raise WeightsError(f"checkpoint has {count:,} numbers, more than {MAX_PARAMETERS:,}")
    return found


def _is_setting(value: object) -> bool:
    """Whether it is a step, an epoch, a version, settings or a list of them: nothing that is a tensor."""
    if isinstance(value, (Mapping, list, tuple)):
        inner = value.values() if isinstance(value, Mapping) else value
        return not any(isinstance(one, Tensor) for one in inner)
    return isinstance(value, (bool, int, float, str, type(None), Inert))


def _wrapper(content: Any) -> Any:
    """The key under which the state dict lies; None if `content` is one itself, or the key is unclear."""
    if not isinstance(content, Mapping):
        return None
    inner = {key: value for key, value in content.items() if isinstance(value, Mapping) and value}
    known = next((key for key in WRAPPERS if key in inner), None)
    if known is not None:
        return known
    plain = {str(key).lower().removesuffix("_state_dict"): key for key in inner}
    if (generator := next((plain[name] for name in _GENERATORS if name in plain), None)) is not None:
        return generator
    likely = [key for key, value in inner.items() if any(isinstance(one, Tensor) for one in value.values())]
    if len(content) == 1 and isinstance(next(iter(content.values())), Mapping):
        return next(iter(content))
    return likely[0] if len(likely) == 1 else None


def _is_plain(value: object) -> bool:
    """Whether it is an ordinary tensor of numbers: not sparse, not without values (meta device)."""
    return (
        isinstance(value, Tensor)
        and not value.is_complex()
        and not value.is_quantized
        and value.layout is torch.strided
        and value.device.type == "cpu"
    )


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
        # Minimum and maximum are not finite if any value is not, and take half the time of isfinite().
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
                f"state dict {what} {len(names)} of {counted(len(expected), 'parameter')}: {min(names)}, …"
            )
    for name, parameter in expected.items():
        if parameter.shape != state[name].shape:
            shapes = f"{tuple(state[name].shape)}, expected {tuple(parameter.shape)}"
            raise WeightsError(f"{name} has the shape {shapes}")


def layer_names(config: NetworkConfig) -> list[str]:
    """Names of the layers with parameters, in the order in which the network applies them."""
    if isinstance(config, SRVGGConfig):
        return [f"body.{n}" for n in range(2 * config.convs + 3)]
    convs = (*(["1x1"] if config.plus else []), *"12345")
    dense = [f"rdb{r}.conv{c}" for r in (1, 2, 3) for c in convs]
    body = [f"body.{n}.{name}" for n in range(config.blocks) for name in dense]
    steps = [f"conv_up{step}" for step in range(1, config.steps + 1)]
    return ["conv_first", *body, "conv_body", *steps, "conv_hr", "conv_last"]


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
