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


def alpha_of(page: tifffile.TiffPage, color: int) -> tuple[Alpha, tuple[str, ...]]:
    """How alpha relates to the colour, and notices.

    color: channels before the extra ones. NONE where no extra channel is alpha, by its declaration or, if
    that is missing, by its values.
    """
    if page.photometric == tifffile.PHOTOMETRIC.PALETTE:
        return Alpha.NONE, _ignored(page.samplesperpixel - 1)
    count = page.samplesperpixel - color
    alpha, _ = declared_alpha(page, color)
    if alpha is not Alpha.NONE:
        return alpha, _ignored(count - 1)
    if count == 1 and special_kinds.kind_of(page) is None and not any(page.extrasamples[:1]):
        alpha = undeclared_alpha(page, color)
        if alpha is not Alpha.NONE:
            said = f"the extra channel has no declared meaning; it is read as {alpha.value} alpha"
            return alpha, (said,)
    return Alpha.NONE, _ignored(count)


def declared_alpha(page: tifffile.TiffPage, color: int) -> tuple[Alpha, int]:
    """How the first channel that is declared as alpha relates to the colour, and its place.

    NONE, and the place behind the colours, where there is none. Pages of special kinds have it there or not
    at all.
    """
    declared = page.extrasamples[: page.samplesperpixel - color]
    if special_kinds.kind_of(page) is not None:
        declared = declared[:1]
    for place, meaning in enumerate(declared, color):
        if meaning in _ALPHAS:
            return _ALPHAS[meaning], place
    return Alpha.NONE, color


def _ignored(count: int) -> tuple[str, ...]:
    return (f"ignored: {counted(count, 'extra channel')}",) if count else ()
