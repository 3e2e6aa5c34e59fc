"""State dicts under any published naming → our names, and the size of the network that they belong to.

ESRGAN's weights have been published under three namings (BasicSR's, which is ours, and two of ESRGAN's), with
any number of upsampling steps; Compact's under one.
"""

import re
from collections.abc import Iterator, Mapping
from math import isqrt

from torch import Tensor

from luxscaler.errors import WeightsError
from luxscaler.networks.build import NetworkConfig
from luxscaler.networks.rrdb import RRDBNetConfig
from luxscaler.networks.srvgg import SRVGGConfig
from luxscaler.words import counted

StateDict = dict[str, Tensor]

PREFIXES = ("module.", "_orig_mod.", "netG.", "net_g.", "generator.", "net.", "network.")
"""What data-parallel training, torch.compile and training frameworks put before every name."""
_GENERATORS = (
    *("net_g_ema.", "generator_ema.", "g_ema.", "ema_model.", "ema."),
    *("netG.", "net_g.", "generator.", "gen.", "G."),
)
"""Prefixes of the generator among several networks, its moving average first."""
_MODEL = "model."
"""A prefix too, except in the first ESRGAN, whose names are `model.0.…`."""

_COMPANION = re.compile(
    r".*(loss|lpips|vgg|percep|discriminator|metric|criterion|psnr|ssim)|(net_?)?d$|disc$|cri_", re.IGNORECASE
)
"""Names of the other networks in a training's checkpoint: losses, metrics, discriminators."""
_DEPTH = 4
"""Most unknown prefixes in a row."""

_LAYER = r"\.(?=weight$|bias$)"
_RENAMES = tuple(
    (re.compile(pattern + _LAYER), f"{name}.")
    for pattern, name in (
        # ESRGAN as first published: one nn.Sequential, positions instead of names (its end: `_first_esrgan`).
        (r"model\.1\.sub\.(\d+)\.RDB([123])\.conv([1-5])\.0", r"body.\1.rdb\2.conv\3"),
        (r"model\.1\.sub\.(\d+)\.RDB([123])\.conv1x1", r"body.\1.rdb\2.conv1x1"),
        (r"model\.1\.sub\.\d+", "conv_body"),
        (r"model\.0", "conv_first"),
        # ESRGAN as revised, before BasicSR.
        (r"RRDB_trunk\.(\d+)\.RDB([123])\.conv([1-5]|1x1)", r"body.\1.rdb\2.conv\3"),
        ("trunk_conv", "conv_body"),
        (r"upconv(\d)", r"conv_up\1"),
        ("HRconv", "conv_hr"),
    )
)
_POSITION = re.compile(r"model\.(\d+)" + _LAYER)
_FIRST_STEP, _STEP = 3, 3
"""Position of the first step's convolution in the first ESRGAN, and how far the steps are apart."""
_ESRGAN = re.compile(r"(conv_(first|body|up\d+|hr|last)|body\.\d+\.rdb[123]\.conv([1-5]|1x1))\.(weight|bias)")
_COMPACT = re.compile(r"body\.\d+\.(weight|bias)")


def plain_names(state: Mapping[str, Tensor]) -> StateDict:
    """The same tensors without the prefixes that all names share; of several networks, the generator's."""
    found = dict(state)
    while found:
        names = list(found)
        prefix = next((p for p in PREFIXES if all(name.startswith(p) for name in names)), "")
        prefix = prefix or next((p for p in _GENERATORS if any(n.startswith(p) for n in names)), "")
        if not prefix and all(n.startswith(_MODEL) and not re.match(r"model\.\d", n) for n in names):
            prefix = _MODEL
        if not prefix:
            break
        found = {n[len(prefix) :]: value for n, value in found.items() if n.startswith(prefix)}
    return found


def readings(state: Mapping[str, Tensor]) -> Iterator[StateDict]:
    """The state dicts that one may stand for, the likeliest first.

    First without counters, then without known prefixes, and then step by step without any prefix that all
    names share, and without the networks of losses and metrics.
    """
    plain = {name: value for name, value in state.items() if "." in name or not _is_counter(value)}
    yield plain
    for _ in range(_DEPTH):
        plain, before = plain_names(plain), plain
        if plain.keys() != before.keys():
            yield plain
        parts = _by_first_word(plain)
        kept = {word: part for word, part in parts.items() if not _COMPANION.match(word)}
        if len(kept) != 1:
            break
        (plain,) = kept.values()
        yield plain


def _is_counter(value: Tensor) -> bool:
    """Whether it is a single number beside the parameters, such as a count of steps."""
    return value.ndim == 0 or (value.numel() == 1 and not value.is_floating_point())


def _by_first_word(state: Mapping[str, Tensor]) -> dict[str, StateDict]:
    """The entries whose names have a dot, grouped by the word before the first dot, which is removed."""
    parts: dict[str, StateDict] = {}
    for name, value in state.items():
        word, dot, rest = name.partition(".")
        if dot:
            parts.setdefault(word, {})[rest] = value
    return parts


def normalise_names(state: Mapping[str, Tensor]) -> StateDict:
    """The same tensors under the names of `networks/rrdb.py`; unknown names stay as they are.

    Raises `WeightsError` if two entries come out with the same name.
    """
    plain = plain_names(state)
    places = _first_esrgan(plain)
    renamed: StateDict = {}
    for name, value in plain.items():
        new = places.get(name) or _rename(name)
        if new in renamed:
            raise WeightsError(f"checkpoint names {new} twice")
        renamed[new] = value
    return renamed


def _first_esrgan(state: Mapping[str, Tensor]) -> dict[str, str]:
    """Names of the first ESRGAN's last layers, whose positions depend on the number of steps → ours."""
    if not any(name.startswith("model.1.sub.") for name in state):
        return {}
    found = {name: int(match[1]) for name in state if (match := _POSITION.match(name)) and int(match[1]) > 1}
    last = max(found.values(), default=0)
    names = {last: "conv_last", last - 2: "conv_hr"}
    names |= {
        place: f"conv_up{(place - _FIRST_STEP) // _STEP + 1}" for place in range(_FIRST_STEP, last - 3, _STEP)
    }
    return {
        name: f"{names[place]}.{name.rpartition('.')[2]}" for name, place in found.items() if place in names
    }


def _rename(name: str) -> str:
    for pattern, replacement in _RENAMES:
        if match := pattern.match(name):
            return match.expand(replacement) + name[match.end() :]
    return name


def is_esrgan(state: Mapping[str, Tensor]) -> bool:
    """Whether a state dict (names normalised) is an RRDBNet's, of whatever size."""
    # All names: other architectures contain an RRDBNet and more (MMRealSR).
    is_known = all(_ESRGAN.fullmatch(name) for name in state)
    return is_known and {"conv_first.weight", "body.0.rdb1.conv1.weight"} <= state.keys()


def is_compact(state: Mapping[str, Tensor]) -> bool:
    """Whether a state dict (names normalised) is an SRVGGNetCompact's, of whatever size."""
    return "body.0.weight" in state and all(_COMPACT.fullmatch(name) for name in state)


def infer_config(state: Mapping[str, Tensor], *, step_factor: int = 2) -> NetworkConfig:
    """Architecture and size of the network that a state dict (names normalised) belongs to.

    An RRDBNet whose first layer takes 4 or 16 times the output's channels is taken for one that folds
    2×2 or 4×4 pixels first. step_factor: how many times its upsampling step enlarges, which the weights do
    not show: 3 for a network of scale 3 (one step). Raises `WeightsError` if it is neither RRDBNet nor
    SRVGGNetCompact, or one of a scale or activation that `networks/` does not have.
    """
    if "conv_first.weight" in state:
        return _infer_rrdb(state, step_factor)
    if "body.0.weight" in state:
        return _infer_srvgg(state)
    names = ", ".join(sorted(state)[:3])
    raise WeightsError(f"unknown architecture: neither RRDBNet nor SRVGGNetCompact (it has {names}, …)")


def _infer_rrdb(state: Mapping[str, Tensor], step_factor: int) -> RRDBNetConfig:
    features, first_in = _conv_shape(state, "conv_first")
    out_channels, _ = _conv_shape(state, "conv_last")
    growth, _ = _conv_shape(state, "body.0.rdb1.conv1")
    # Counted, not the largest number: a name like body.999999999 must not size the network.
    blocks = len({name.split(".")[1] for name in state if re.match(r"body\.\d+\.rdb1\.", name)})
    steps = sum(re.fullmatch(r"conv_up\d+\.weight", name) is not None for name in state)
    plus = "body.0.rdb1.conv1x1.weight" in state
    factor = step_factor if steps == 1 else 2
    unshuffle = next((side for side in (2, 4) if first_in == out_channels * side**2), 1)
    if (enlargement := factor**steps) < unshuffle:
        raise WeightsError(f"RRDBNet makes a picture {unshuffle // enlargement} times smaller: no upscaler")
    return RRDBNetConfig(
        in_channels=first_in // unshuffle**2,
        out_channels=out_channels,
        scale=enlargement // unshuffle,
        features=features,
        blocks=blocks,
        growth=growth,
        steps=steps,
        step_factor=factor,
        plus=plus,
    )


def _infer_srvgg(state: Mapping[str, Tensor]) -> SRVGGConfig:
    features, in_channels = _conv_shape(state, "body.0")
    convs = sum(name.endswith(".weight") and value.ndim == 4 for name, value in state.items()) - 2
    last, _ = _conv_shape(state, f"body.{2 * convs + 2}")
    # The enlarged input is added to the output, so their channels are as many, or the input is grey.
    channels = (in_channels,) if in_channels != 1 else (1, 3, 4)
    fits = (count for count in channels if last == count * isqrt(last // count) ** 2 > 0)
    out_channels = next(fits, 0)
    if not out_channels:
        raise WeightsError(
            f"SRVGGNetCompact makes {counted(last, 'channel')} of {in_channels}: no whole scale fits"
        )
    if "body.1.weight" not in state:
        raise WeightsError("SRVGGNetCompact without PReLU slopes: its activation is unknown")
    return SRVGGConfig(in_channels, out_channels, features, convs, isqrt(last // out_channels))


def _conv_shape(state: Mapping[str, Tensor], name: str) -> tuple[int, int]:
    """Output and input channels of a convolution."""
    weight = state.get(f"{name}.weight")
    if weight is None or weight.ndim != 4 or not weight.numel():
        found = "missing" if weight is None else f"a tensor of shape {tuple(weight.shape)}"
        raise WeightsError(f"unknown architecture: convolution {name}.weight is {found}")
    return weight.shape[0], weight.shape[1]
