"""Options of `luxscaler upscale` for the place where tiles run, their size, and what they may cost."""

from typing import Annotated

import typer

_PANEL = "Where it runs"

BackendOption = Annotated[
    str, typer.Option(help="local (this machine), cog, replicate (paid) or ray.", rich_help_panel=_PANEL)
]
DeviceOption = Annotated[
    str, typer.Option(help="auto (CUDA, else MPS, else the CPU), cpu, cuda or mps.", rich_help_panel=_PANEL)
]
PrecisionOption = Annotated[
    str,
    typer.Option(
        help="auto, fp32, bf16 (about four times as fast on CPUs that have it) or fp16.",
        rich_help_panel=_PANEL,
    ),
]
TileOption = Annotated[
    int, typer.Option(help="Largest side of a tile, 64 to 8192 pixels of IN.", rich_help_panel=_PANEL)
]
OverlapOption = Annotated[
    int | None,
    typer.Option(
        help="Pixels of IN that neighbouring tiles share; if not given, by the tile, up to 128.",
        rich_help_panel=_PANEL,
    ),
]
JobsOption = Annotated[
    int | None,
    typer.Option(help="Tiles at once; if not given, as many as the backend can.", rich_help_panel=_PANEL),
]
AttemptsOption = Annotated[int, typer.Option(help="Tries for a tile, 1 to 20.", rich_help_panel=_PANEL)]
RestartOption = Annotated[
    bool,
    typer.Option("--restart", help="Begin anew: throw away OUT's unfinished job.", rich_help_panel=_PANEL),
]
CogOption = Annotated[
    list[str] | None,
    typer.Option("--cog", help="Address of a Cog container; may be repeated.", rich_help_panel=_PANEL),
]
ModelVersionOption = Annotated[
    str,
    typer.Option(
        help="Version on Replicate, owner/model or owner/model:hash; MODEL_VERSION if not given.",
        rich_help_panel=_PANEL,
    ),
]
HardwareOption = Annotated[
    str,
    typer.Option(help="Replicate's hardware, for the price; gpu-h100 if not given.", rich_help_panel=_PANEL),
]
PriceOption = Annotated[
    float | None, typer.Option(help="Dollars a second, instead of the table's.", rich_help_panel=_PANEL)
]
MaxCostOption = Annotated[
    float | None, typer.Option(help="Dollars that the work may cost at most.", rich_help_panel=_PANEL)
]
PayAgainOption = Annotated[
    bool,
    typer.Option("--pay-again", help="Pay again for tiles whose results were lost.", rich_help_panel=_PANEL),
]
RayAddressOption = Annotated[
    str,
    typer.Option(
        help="A Ray cluster, host:port or auto; if not given, one of its own.", rich_help_panel=_PANEL
    ),
]
