"""Loads networks of other architectures by spandrel (extra `models`), which is imported on first use.

spandrel imports torchvision for two functions. That takes seconds, and fails beside a PyTorch for which
torchvision has no compiled operators, so while spandrel is imported small stand-ins take torchvision's place.
"""

import math
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib import import_module
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from luxscaler.errors import WeightsError, one_line
from luxscaler.networks.foreign import ForeignConfig, ForeignNetwork
from luxscaler.weights.namings import StateDict, plain_names, readings
from luxscaler.weights.unsupported import unsupported_error, unsupported_name

INSTALL = "pip install 'luxscaler[models]'"
_STAND_INS = ("torchvision", "torchvision.transforms", "torchvision.transforms.functional")
_FACES = "it restores faces that were cut out and aligned, not pictures"
REFUSED = {
    "GFPGAN": _FACES,
    "RestoreFormer": _FACES,
    "LaMa": "it fills holes that a mask shows, and enlarges nothing",
    "AuraSR": "it draws random numbers for each tile, so that tiles do not match and no run repeats another",
}
"""Architectures that spandrel loads and that cannot upscale a picture, by their ids."""
_IN_PATCHES = "IPT"
_SEES_ALL = ("HVICIDNet",)
"""Those of which a part comes out visibly otherwise than in the whole (benchmarks/models.py)."""
_WINDOWS = ("window_size", "win_size", "ws", "split_size", "stripe_size", "pad_size")
"""What the architectures call the sides of their windows."""
_SHRUNK = {"SCUNet": 8}
"""By how much an architecture has downsampled the picture before its last windows."""
_DYSAMPLES = ("FDAT.__arch.fdat", "__arch_helpers.dysample")
_ITS_CALLS = r"spandrel\.|torch\.functional$|torch\.nn\.(init|modules\..*)$"
"""Modules whose warnings about deprecated calls are silenced."""
_importing = threading.Lock()


def load_foreign(tensors: Mapping[str, Tensor]) -> ForeignNetwork:
    """The network of a state dict: float32, on the CPU, eval mode, no gradients.

    Raises `WeightsError` with the architecture's name if it cannot be used, and if spandrel is not installed.
    """
    spandrel = _spandrel()
    state = {name: value.float() if value.is_floating_point() else value for name, value in tensors.items()}
    _check_finite(state)
    found = _detected(spandrel, state)
    if found is None:
        raise _unknown(state)
    support, state = found
    name = support.architecture.name
    if reason := REFUSED.get(support.architecture.id):
        raise WeightsError(f"architecture {name} is not supported: {reason}")
    try:
        descriptor = support.architecture.load(state)
    except Exception as error:  # whatever a library says of weights that do not fit its architecture
        if other := unsupported_name(state):
            raise unsupported_error(other) from error
        said = one_line(str(error))
        raise WeightsError(f"architecture {name}, which the weights do not fit: {said}") from error
    return _network(descriptor)


def _unknown(state: StateDict) -> WeightsError:
    if name := unsupported_name(plain_names(state)):
        return unsupported_error(name)
    names = ", ".join(sorted(state)[:3])
    return WeightsError(f"unknown architecture: neither ours nor one of spandrel's (it has {names}, …)")


def foreign_architectures() -> dict[str, str]:
    """Ids and names of all of spandrel's architectures. Raises `WeightsError` if it is not installed."""
    return {str(one.architecture.id): one.architecture.name for one in _spandrel().MAIN_REGISTRY}


def _detected(spandrel: Any, state: StateDict) -> tuple[Any, StateDict] | None:
    """The architecture of a state dict, and the state dict under the names that it expects; None if
    unknown."""
    for candidate in readings(state):
        for support in spandrel.MAIN_REGISTRY.architectures("detection"):
            if support.detect(candidate):
                return support, candidate
    return None


def _check_finite(state: Mapping[str, Tensor]) -> None:
    for name, value in state.items():
        if value.is_floating_point() and value.numel() and not bool(torch.isfinite(value).all()):
            raise WeightsError(f"{name} has values that are not finite")


def _network(descriptor: Any) -> ForeignNetwork:
    size = descriptor.size_requirements
    # Patches of this side begin at every quarter of it, and their inner halves are averaged.
    patch = descriptor.model.patch_size if descriptor.architecture.id == _IN_PATCHES else 0
    config = ForeignConfig(
        architecture=descriptor.architecture.name,
        in_channels=descriptor.input_channels,
        out_channels=descriptor.output_channels,
        scale=descriptor.scale,
        minimum=size.minimum,
        multiple_of=size.multiple_of,
        square=size.square,
        fp16=descriptor.supports_half,
        bf16=descriptor.supports_bfloat16,
        window=_window(descriptor),
        step=patch // 4,
        context=patch // 2,
        sees_all=descriptor.architecture.id in _SEES_ALL,
    )
    # Not the descriptor itself, which clamps the result: an infinite value would pass for white.
    call: Callable[[torch.nn.Module, Tensor], Tensor] = descriptor._call_fn
    network = ForeignNetwork(config, descriptor.model, call)
    return network.eval().requires_grad_(False)


def _window(descriptor: Any) -> int:
    """After how many pixels the windows of a network repeat; 1 where it has none."""
    values = [vars(module).get(name) for module in descriptor.model.modules() for name in _WINDOWS]
    sides = [side for value in values for side in (value if isinstance(value, (list, tuple)) else [value])]
    repeat = math.lcm(*(side for side in sides if isinstance(side, int) and side > 1))
    return repeat * _SHRUNK.get(descriptor.architecture.id, 1)


def _spandrel() -> Any:
    with _importing:
        # Warnings about its architectures' code (meshgrid, empty tensors) are of no use to a user.
        warnings.filterwarnings("ignore", category=UserWarning, module=_ITS_CALLS)
        if "spandrel" in sys.modules:
            return sys.modules["spandrel"]
        try:
            with _without_torchvision():
                spandrel = import_module("spandrel")
        except ImportError as error:
            raise WeightsError(
                "not ESRGAN or Compact, the two architectures that need nothing more; "
                f"others need spandrel: {INSTALL}"
            ) from error
        _mend_dysample()
        return spandrel


def _mend_dysample() -> None:
    """Give FDAT the shared DySample: its own copy asks for pinned memory, which PyTorch refuses on a CPU."""
    with suppress(ImportError, AttributeError):  # of another version
        own, shared = (import_module(f"spandrel.architectures.{name}") for name in _DYSAMPLES)
        own.DySample.forward = shared.DySample.forward


@contextmanager
def _without_torchvision() -> Iterator[None]:
    """While the block runs, `import torchvision…` finds the stand-ins, unless it was imported before."""
    if "torchvision" in sys.modules:
        yield
        return
    modules = {name: ModuleType(name) for name in _STAND_INS}
    functional: Any = modules[_STAND_INS[-1]]
    functional.normalize, functional.rotate, functional.InterpolationMode = _normalize, _rotate, object
    sys.modules.update(modules)
    try:
        yield
    finally:
        for name in modules:
            sys.modules.pop(name, None)


def _normalize(picture: Tensor, mean: list[float], std: list[float], inplace: bool = False) -> Tensor:
    """torchvision's: (picture − mean) / std, channel by channel."""
    mean_, std_ = (picture.new_tensor(values)[:, None, None] for values in (mean, std))
    return picture.sub_(mean_).div_(std_) if inplace else (picture - mean_) / std_


def _rotate(*_arguments: object, **_options: object) -> Tensor:
    raise NotImplementedError("torchvision.transforms.functional.rotate, which only LaMa's training calls")
