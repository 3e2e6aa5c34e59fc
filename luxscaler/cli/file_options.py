"""Options of `luxscaler upscale` for the file that is read and the one that is written: formats, codecs."""

from typing import Annotated

import typer

_WRITTEN, _READ = "The file that is written", "The file that is read"

FormatOption = Annotated[
    str,
    typer.Option(
        "--format",
        help="exr, tiff, tiff16, png, webp, png-pq, avif, jxl or jpg; if not given, by OUT's suffix.",
        rich_help_panel=_WRITTEN,
    ),
]
WebpQualityOption = Annotated[int, typer.Option(help="Of WebP, 0 to 100.", rich_help_panel=_WRITTEN)]
AvifQualityOption = Annotated[int, typer.Option(help="Of AVIF, 0 to 100.", rich_help_panel=_WRITTEN)]
AvifBitsOption = Annotated[int, typer.Option(help="Bits of AVIF, 10 or 12.", rich_help_panel=_WRITTEN)]
ExrTypeOption = Annotated[
    str, typer.Option(help="float, or half: half the size, error at most 0.05 %.", rich_help_panel=_WRITTEN)
]
ExrCompressionOption = Annotated[
    str,
    typer.Option(
        help="auto, zip, zips, piz, rle or none, which lose nothing; pxr24, dwaa or dwab.",
        rich_help_panel=_WRITTEN,
    ),
]
ExrTileOption = Annotated[
    int,
    typer.Option(help="Side of EXR's tiles, 16 to 4096 pixels; 0 for scan lines.", rich_help_panel=_WRITTEN),
]
MantissaBitsOption = Annotated[
    int,
    typer.Option(
        help="Bits of a float that EXR and TIFF keep, 8 to 23 (all); 12 makes files a third smaller.",
        rich_help_panel=_WRITTEN,
    ),
]
SdrOption = Annotated[
    bool,
    typer.Option("--sdr", help="Read the SDR picture of a file with an HDR gain map.", rich_help_panel=_READ),
]
LayerOption = Annotated[
    str,
    typer.Option(help="Layer of an EXR; if not given, its main picture.", rich_help_panel=_READ),
]
PartOption = Annotated[int | None, typer.Option(help="Part of an EXR, from 1.", rich_help_panel=_READ)]
MaxPixelsOption = Annotated[
    int, typer.Option(help="Largest picture that is read, in pixels.", rich_help_panel=_READ)
]
DecodeSecondsOption = Annotated[
    float, typer.Option(help="Seconds that reading a picture may take.", rich_help_panel=_READ)
]
DecodeMemoryOption = Annotated[
    float, typer.Option(help="Megabytes of memory that reading a picture may take.", rich_help_panel=_READ)
]
PixelsPerByteOption = Annotated[
    float,
    typer.Option(
        help="Pixels that a byte of a picture above 33.5 megapixels may stand for.", rich_help_panel=_READ
    ),
]
