"""Which extra channel of a TIFF is alpha: the first that is declared as such, else one that must be."""

import tifffile

from luxscaler.io.decoder import Alpha
from luxscaler.io.tiff import special_kinds
from luxscaler.io.tiff.undeclared_alpha import undeclared_alpha
from luxscaler.words import counted

_ALPHAS: dict[int | None, Alpha] = {
    tifffile.EXTRASAMPLE.ASSOCALPHA: Alpha.ASSOCIATED,
    tifffile.EXTRASAMPLE.UNASSALPHA: Alpha.STRAIGHT,
}


def alpha_of(page: tifffile.TiffPage, color: int) -> tuple[Alpha, int, tuple[str, ...]]:
    """How alpha relates to the colour, which channel it is, and notices.

    color: channels before the extra ones. NONE where no extra channel is alpha, by its declaration or, if
    that is missing, by its values. Pages of special kinds have it right behind the colours, or not at all.
    """
    if page.photometric == tifffile.PHOTOMETRIC.PALETTE:
        return Alpha.NONE, 1, _ignored(page.samplesperpixel - 1)
    count = page.samplesperpixel - color
    declared = page.extrasamples[:count]
    is_special = special_kinds.kind_of(page) is not None
    for place, meaning in enumerate(declared[:1] if is_special else declared):
        if meaning in _ALPHAS:
            return _ALPHAS[meaning], color + place, _ignored(count - 1)
    if count == 1 and not is_special and not any(declared):
        alpha = undeclared_alpha(page, color)
        if alpha is not Alpha.NONE:
            said = f"the extra channel has no declared meaning; it is read as {alpha.value} alpha"
            return alpha, color, (said,)
    return Alpha.NONE, color, _ignored(count)


def _ignored(count: int) -> tuple[str, ...]:
    return (f"ignored: {counted(count, 'extra channel')}",) if count else ()
