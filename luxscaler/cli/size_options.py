"""Options of `luxscaler upscale` for the result's size and colours, edges that meet, and frames of a shot."""

from typing import Annotated

import typer

_PANEL = "Size and colours of the result"
_MANY, _IN = "Several pictures", "The file that is read"

WrapOption = Annotated[
    str,
    typer.Option(help="x, y or xy: opposite edges meet (textures, 360° panoramas).", rich_help_panel=_PANEL),
]
WidthOption = Annotated[
    int | None,
    typer.Option(help="Width of the result in pixels; one size of these five.", rich_help_panel=_PANEL),
]
HeightOption = Annotated[
    int | None, typer.Option(help="Height of the result in pixels.", rich_help_panel=_PANEL)
]
LongEdgeOption = Annotated[
    int | None, typer.Option(help="Longer side of the result in pixels.", rich_help_panel=_PANEL)
]
MegapixelsOption = Annotated[
    float | None, typer.Option(help="Millions of pixels of the result.", rich_help_panel=_PANEL)
]
PrintOption = Annotated[
    str | None,
    typer.Option(
        "--print", help="Fit on paper: 60x40cm@300 (mm, cm or in; dots per inch).", rich_help_panel=_PANEL
    ),
]
ProfileOption = Annotated[
    str,
    typer.Option(
        help="srgb, display-p3, adobe-rgb, prophoto, rec2020; EXR, float TIFF and JPEG XL also acescg, ap0.",
        rich_help_panel=_PANEL,
    ),
]
FramesOption = Annotated[
    str,
    typer.Option(
        help="Of a sequence plate.####.exr: 1-100, 1-100x2, 1,5,9-12; all if not given.",
        rich_help_panel=_MANY,
    ),
]
OverscanOption = Annotated[
    str,
    typer.Option(
        help="EXR to EXR: crop to the display window, or keep what lies beyond.", rich_help_panel=_IN
    ),
]
