"""The layers of an OpenEXR file, and which of them is the picture.

A layer is a name before the last dot of channels ("ViewLayer.Combined.R"), or none; in files of several parts
each part has its own. A layer is a colour layer where its channels are R, G, B or Y (in upper or lower case),
with or without A; Nuke writes red, green, blue and alpha. Read is what is asked for by name or part; else the
layer without a name, else the only colour layer, else the only one that is called as renderers call the whole
picture. Layers of numbers that name objects (id_layers.py) are never read as colour.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from luxscaler.errors import PictureError
from luxscaler.io.exr.chroma import CHROMA_STEP
from luxscaler.io.exr.header import Part
from luxscaler.io.exr.id_layers import IdLayers
from luxscaler.options import LayerChoice
from luxscaler.words import counted, shortened

CHROMA = ("RY", "BY")
_LAYOUTS = (
    *(("R", "G", "B", "A"), ("R", "G", "B")),
    *(("Y", *CHROMA, "A"), ("Y", *CHROMA)),
    *(("Y", "A"), ("Y",)),
)
_FULL_NAMES = {"RED": "R", "GREEN": "G", "BLUE": "B", "ALPHA": "A"}
"""As Nuke calls the channels of layers."""
_WHOLE_PICTURE = {"combined", "rgba", "rgb", "beauty"}
"""Last parts of the names that Blender, Cinema 4D, Houdini, Arnold and V-Ray give to the whole picture."""
_MOST_NAMES = 24
"""Layers that a message names at most."""


@dataclass(frozen=True)
class Layer:
    """Channels that make a picture."""

    part: int
    """Number of the part, from 0."""
    prefix: str
    """What stands before the last dot of the channels; empty for those without one."""
    layout: tuple[str, ...]
    """What the channels mean: one of _LAYOUTS."""
    channels: tuple[str, ...]
    """Their names, in that order."""
    label: str
    """What it is called: the prefix, else the name of its part."""


def chosen_layer(parts: Sequence[Part], choice: LayerChoice) -> tuple[Layer, tuple[str, ...]]:
    """The layer to read, and what is to be said of it. Raises PictureError, with the names there are."""
    flat = _flat_parts(parts, choice)
    ids = IdLayers(parts)
    layers = [layer for number in flat for layer in _color_layers(parts, number, ids)]
    layer = _named(parts, flat, layers, choice, ids) if choice.layer else _default(parts, flat, layers, ids)
    _check_steps(parts[layer.part], layer)
    return layer, _notices(parts, layer, choice, ids) + ids.notices(layer.part, layer.channels)


def layer_choices(parts: Sequence[Part]) -> tuple[LayerChoice, ...]:
    """The colour layers that can be chosen by a name, in the order of the file."""
    ids = IdLayers(parts)
    layers = [
        layer
        for number, part in enumerate(parts)
        if not part.is_deep
        for layer in _color_layers(parts, number, ids)
    ]
    return tuple(LayerChoice(layer.label, layer.part + 1) for layer in layers if layer.label)


def _flat_parts(parts: Sequence[Part], choice: LayerChoice) -> list[int]:
    if choice.part is None:
        flat = [number for number, part in enumerate(parts) if not part.is_deep]
        if not flat:
            raise PictureError("is a deep EXR, which is not supported")
        return flat
    if choice.part > len(parts):
        have = counted(len(parts), "part")
        raise PictureError(f"has {have}, and part is {choice.part}")
    number = choice.part - 1
    if parts[number].is_deep:
        raise PictureError(f"has a deep EXR part {choice.part}, which is not supported")
    return [number]


def _color_layers(parts: Sequence[Part], number: int, ids: IdLayers) -> list[Layer]:
    """The colour layers of a part, in the order of its channels."""
    grouped: dict[str, dict[str, str]] = {}
    cryptomatte = ids.cryptomatte(number)
    for name in parts[number].channels():
        if name in cryptomatte:
            continue
        prefix, _, last = name.rpartition(".")
        known = grouped.setdefault(prefix, {})
        meaning = _FULL_NAMES.get(last.upper(), last.upper())
        if last == last.upper() or meaning not in known:
            known[meaning] = name
    found = []
    for prefix, known in grouped.items():
        layout = next((layout for layout in _LAYOUTS if known.keys() >= set(layout)), ())
        if not layout or (layout[0] == "Y" and "X" in known):  # X, Y and Z are a place or a direction
            continue
        label = prefix or _part_name(parts, number)
        found.append(Layer(number, prefix, layout, tuple(known[name] for name in layout), label))
    return found


def _default(parts: Sequence[Part], flat: Sequence[int], layers: Sequence[Layer], ids: IdLayers) -> Layer:
    plain = [layer for layer in layers if not layer.prefix]
    whole = [layer for layer in plain or layers if _last(layer.label) in _WHOLE_PICTURE]
    if len(whole) == 1:
        return whole[0]
    if plain:
        return plain[0]
    if len(layers) == 1:
        return layers[0]
    if layers:
        raise PictureError(f"has {len(layers)} EXR layers: {_names(layers)}; choose one of them (layer)")
    ids.check_not_alone(flat)
    if len(parts) == 1:
        channels = shortened(", ".join(parts[0].channels()))
        raise PictureError(
            f"has the EXR channels {channels}; R, G, B or Y are needed, or one that is chosen (layer)"
        )
    if len(flat) == 1:
        channels = shortened(", ".join(parts[flat[0]].channels()))
        raise PictureError(
            f"has the channels {channels} in EXR part {flat[0] + 1}; R, G, B or Y are needed, "
            "or one that is chosen (layer)"
        )
    names = ", ".join(part.name or "?" for part in parts)
    raise PictureError(
        f"is an EXR of {counted(len(parts), 'part')} ({names}), none of which has R, G, B or Y"
    )


def _named(
    parts: Sequence[Part], flat: Sequence[int], layers: Sequence[Layer], choice: LayerChoice, ids: IdLayers
) -> Layer:
    """The layer of that name: exactly, else without regard to case, else by the last part of its name."""
    wanted = choice.layer
    single = [layer for number in flat for layer in _single_channels(parts, number)]
    for candidates in (layers, single):
        for name, key in (
            (wanted, lambda label: label),
            (wanted.casefold(), str.casefold),
            (wanted.casefold(), _last),
        ):
            found = [layer for layer in candidates if name in (key(layer.label), key(layer.prefix))]
            if len(found) > 1:
                places = ", ".join(f"{layer.label} in part {layer.part + 1}" for layer in found)
                raise PictureError(f"has several EXR layers {wanted!r}: {places}; say which (layer, part)")
            if found:
                ids.check(found[0].part, found[0].channels)
                return found[0]
    for number in flat:
        ids.check_name(number, wanted)
    known = f"has {_names(layers)}" if layers else "has no layer with R, G, B or Y"
    raise PictureError(f"has no EXR layer {wanted!r}; it {known}")


def _single_channels(parts: Sequence[Part], number: int) -> list[Layer]:
    """Every channel by itself, as grey, under its own name; layers, and parts, of one channel under theirs
    too."""
    channels = list(parts[number].channels())
    prefixes = [name.rpartition(".")[0] for name in channels]
    if prefixes == [""]:
        prefixes = [_part_name(parts, number)]
    return [
        Layer(number, prefix if prefixes.count(prefix) == 1 else "", ("Y",), (name,), name)
        for name, prefix in zip(channels, prefixes, strict=True)
    ]


def _check_steps(part: Part, layer: Layer) -> None:
    channels = part.channels()
    for meaning, name in zip(layer.layout, layer.channels, strict=True):
        step = channels[name].step
        if step != ((CHROMA_STEP, CHROMA_STEP) if meaning in CHROMA else (1, 1)):
            raise PictureError(f"has the EXR channel {name} at every {step} pixels, which is not supported")


def _notices(parts: Sequence[Part], layer: Layer, choice: LayerChoice, ids: IdLayers) -> tuple[str, ...]:
    said: tuple[str, ...] = ()
    if len(parts) > 1:
        name = parts[layer.part].name or "without a name"
        said += (f"part {layer.part + 1} of {len(parts)} is read: {name}",)
    if layer.prefix and layer.prefix != parts[layer.part].name:
        said += (f"the layer {layer.prefix} is read",)
    others = [
        other
        for number, part in enumerate(parts)
        if not part.is_deep
        for other in _color_layers(parts, number, ids)
        if (other.part, other.prefix) != (layer.part, layer.prefix)
    ]
    # Parts without layers in them are counted above, unless there is more to choose from.
    if any(other.prefix for other in others):
        said += (f"other layers: {_names(others)} (layer chooses)",)
    elif others and not choice.layer and choice.part is None:
        said += (f"other parts: {_names(others)} (part chooses)",)
    used = {name for other in (*others, layer) if other.part == layer.part for name in other.channels}
    used |= ids.cryptomatte(layer.part)
    ignored = [name for name in parts[layer.part].channels() if name not in used]
    if ignored:
        said += (shortened(f"channels ignored: {', '.join(ignored)}"),)
    if colorless := _colorless_parts(parts, layer.part, {other.part for other in others}, ids):
        said += (shortened(f"parts ignored: {', '.join(colorless)}"),)
    return said


def _colorless_parts(parts: Sequence[Part], read: int, colored: Collection[int], ids: IdLayers) -> list[str]:
    """The parts beside the one that is read that have no colour layer, with what they have."""
    found = []
    for number, part in enumerate(parts):
        channels = [name for name in part.channels() if name not in ids.cryptomatte(number)]
        if number != read and number not in colored and channels:
            what = "deep" if part.is_deep else ", ".join(channels)
            found.append(f"{_part_name(parts, number)} ({what})")
    return found


def _part_name(parts: Sequence[Part], number: int) -> str:
    if len(parts) == 1:
        return ""
    return parts[number].name or f"part {number + 1}"


def _last(label: str) -> str:
    return label.rpartition(".")[2].casefold()


def _names(layers: Sequence[Layer]) -> str:
    labels = list(dict.fromkeys(layer.label or "(without a name)" for layer in layers))
    more = f" and {len(labels) - _MOST_NAMES} more" if len(labels) > _MOST_NAMES else ""
    return ", ".join(labels[:_MOST_NAMES]) + more
