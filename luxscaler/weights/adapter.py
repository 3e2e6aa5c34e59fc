"""Low-rank adapters (LoRA, Hu et al. 2021): small files that change the network whose SHA-256 they name.

For a convolution with the weight W (out × in × 3 × 3) an adapter holds A (rank × in × 3 × 3) and B
(out × rank × 1 × 1); the convolution becomes W + alpha / rank · B·A. Names in the file are those of the peft
library; the base's SHA-256, the rank and alpha are in its metadata.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from luxscaler.errors import WeightsError
from luxscaler.weights.checkpoint import safetensors_bytes, safetensors_metadata, tensors_of
from luxscaler.weights.namings import StateDict
from luxscaler.words import counted

PREFIX = "base_model.model."
"""What peft puts before the name of every layer."""
_A, _B = ".lora_A.weight", ".lora_B.weight"


@dataclass(frozen=True)
class Adapter:
    """Low-rank changes of some convolutions of one network."""

    base_sha256: str
    """SHA-256 of the weights file that it changes."""
    rank: int
    alpha: float
    pairs: Mapping[str, tuple[Tensor, Tensor]]
    """Name of a layer → its A and B, float32."""


def adapter_bytes(adapter: Adapter, extra: Mapping[str, str] | None = None) -> bytes:
    """The bytes of an adapter's file, which depend on the arguments alone. extra: more metadata."""
    arrays = {}
    for name, (a, b) in adapter.pairs.items():
        arrays[f"{PREFIX}{name}{_A}"] = a.numpy()
        arrays[f"{PREFIX}{name}{_B}"] = b.numpy()
    metadata = {"base_sha256": adapter.base_sha256, "rank": str(adapter.rank), "alpha": repr(adapter.alpha)}
    return safetensors_bytes(arrays, {**(extra or {}), **metadata})


def parse_adapter(data: bytes) -> Adapter:
    """The adapter in a file's bytes. Raises WeightsError for anything else."""
    tensors = tensors_of(data)
    metadata = safetensors_metadata(data)
    try:
        base, rank = metadata["base_sha256"], int(metadata["rank"])
        alpha = float(metadata["alpha"])
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(
            "not an adapter: its metadata needs base_sha256, rank and alpha (luxscaler train writes them)"
        ) from error
    if rank < 1 or not math.isfinite(alpha):
        raise WeightsError(f"adapter has rank {rank} and alpha {alpha}; both must be usable numbers")
    return Adapter(str(base), rank, alpha, _pairs(tensors, rank))


def merge(state: Mapping[str, Tensor], adapter: Adapter) -> StateDict:
    """The state dict with the adapter's changes added in float64: same names and shapes, float32.

    Raises WeightsError if the adapter names a layer that the network lacks, or one of another shape.
    """
    merged = {name: value.detach().clone() for name, value in state.items()}
    for name, (a, b) in adapter.pairs.items():
        weight = merged.get(f"{name}.weight")
        if weight is None:
            raise WeightsError(f"adapter changes {name}, which the network does not have")
        shape = (b.shape[0], *a.shape[1:])
        if tuple(weight.shape) != shape:
            raise WeightsError(f"adapter changes {name} of shape {shape}; it has {tuple(weight.shape)}")
        change = torch.einsum("or,rikl->oikl", b.double()[:, :, 0, 0], a.double())
        merged[f"{name}.weight"] = (weight.double() + adapter.alpha / adapter.rank * change).float()
    return merged


def _pairs(tensors: Mapping[str, Tensor], rank: int) -> dict[str, tuple[Tensor, Tensor]]:
    names = [name.removeprefix(PREFIX).removesuffix(_A) for name in tensors if name.endswith(_A)]
    pairs = {}
    for name in names:
        a, b = tensors[f"{PREFIX}{name}{_A}"], tensors.get(f"{PREFIX}{name}{_B}")
        if b is None:
            raise WeightsError(f"adapter has {name}{_A} without {name}{_B}")
        if a.ndim != 4 or b.ndim != 4 or a.shape[0] != rank or tuple(b.shape[1:]) != (rank, 1, 1):
            raise WeightsError(
                f"adapter's {name} has the shapes {tuple(a.shape)} and {tuple(b.shape)}; rank is {rank}"
            )
        if not (torch.isfinite(a).all() and torch.isfinite(b).all()):
            raise WeightsError(f"adapter's {name} has values that are not finite")
        pairs[name] = (a.float(), b.float())
    if not pairs or len(tensors) != 2 * len(pairs):
        raise WeightsError(f"adapter holds {counted(len(tensors), 'tensor')}, not pairs of lora_A and lora_B")
    return pairs
