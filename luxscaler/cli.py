"""The `luxscaler` command: a terminal around the pipeline and the picture reader.

Parses options, draws progress and sets the exit status: 0 done, 1 a LuxScaler error, 2 bad usage. What the
options mean is the pipeline's business. PyTorch is imported only by the commands that need it, so that
`--help` answers at once.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from luxscaler import __version__, gateway_cli, weights_cli
from luxscaler.errors import InputError
from luxscaler.terminal import err, one_line_errors, out
from luxscaler.weights_cli import fetch_weights

if TYPE_CHECKING:
    from luxscaler.tile import TileRequest, TileResult
    from luxscaler.upscaler import UpscalerOptions

app = typer.Typer(
    help="Upscale pictures and expand their dynamic range.", no_args_is_help=True, add_completion=False
)
app.add_typer(weights_cli.app, name="weights")
app.command()(gateway_cli.gateway)


@app.command()
def upscale(
    source: Annotated[Path, typer.Argument(metavar="IN", help="A picture; formats are told by content.")],
    target: Annotated[
        Path, typer.Argument(metavar="OUT", help="Result: .exr, .tiff, .png, .webp, .avif, .jxl or .jpg.")
    ],
    reference: Annotated[
        Path | None, typer.Option("--reference", help="The whole master that IN is a tile of.")
    ] = None,
    tile_box: Annotated[
        str, typer.Option(help="Where IN sits in the master: x,y,width,height as fractions.")
    ] = "",
    output_format: Annotated[
        str,
        typer.Option(
            "--format", help="exr, tiff, png, webp, png-pq, avif, jxl or jpg; by OUT's suffix if not given."
        ),
    ] = "",
    hdr_boost: Annotated[float, typer.Option(help="Multiplier of dynamic range, 1 to 49; 1 is none.")] = 1.0,
    fractality: Annotated[float, typer.Option(help="Detail, 0 to 2; 1 is neutral.")] = 1.0,
    scale: Annotated[float, typer.Option(help="Output size / input size, 1 to 8.")] = 4.0,
    model: Annotated[
        str, typer.Option(help="photo, anime, fast, or the path of a Real-ESRGAN checkpoint.")
    ] = "photo",
    webp_quality: Annotated[int, typer.Option(help="0 to 100.")] = 90,
    avif_quality: Annotated[int, typer.Option(help="0 to 100.")] = 90,
    avif_bits: Annotated[int, typer.Option(help="10 or 12.")] = 10,
    exr_type: Annotated[str, typer.Option(help="float or half.")] = "float",
    exr_compression: Annotated[str, typer.Option(help="zip, zips, piz, pxr24, dwaa, none or auto.")] = "zip",
    exr_tile: Annotated[int, typer.Option(help="Side of EXR's tiles in pixels; 0 for scan lines.")] = 0,
    mantissa_bits: Annotated[
        int, typer.Option(help="Bits that EXR and TIFF keep of a float's mantissa, 8 to 23 (all).")
    ] = 23,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, fp32, bf16 or fp16.")] = "auto",
    tile: Annotated[int, typer.Option(help="Largest side that the network sees at once, in pixels.")] = 1024,
    overlap: Annotated[int | None, typer.Option(help="Pixels that such pieces share.")] = None,
    max_pixels: Annotated[int, typer.Option(help="Largest picture read, in pixels.")] = 150_000_000,
    decode_seconds: Annotated[float, typer.Option(help="Longest time to decode a picture.")] = 60.0,
    fetch: Annotated[bool, typer.Option("--fetch", help="Fetch the model's weights if absent.")] = False,
) -> None:
    """Upscale IN and write OUT."""
    with one_line_errors():
        from luxscaler.isolation import DecodeLimits, warm_up  # noqa: PLC0415

        warm_up()
        from hdr_exporter import ExportOptions  # noqa: PLC0415 - these and PyTorch take seconds to import
        from luxscaler.reference import TileBox  # noqa: PLC0415
        from luxscaler.tile import TileRequest, export_errors  # noqa: PLC0415
        from luxscaler.upscaler import UpscalerOptions  # noqa: PLC0415

        with export_errors():
            export = ExportOptions(
                webp_quality=webp_quality,
                avif_quality=avif_quality,
                avif_bits=avif_bits,
                exr_type=exr_type,
                exr_compression=exr_compression,
                exr_tile=exr_tile,
                mantissa_bits=mantissa_bits,
            )
        request = TileRequest(
            tile_input=source,
            global_reference=reference,
            tile_box=TileBox.parse(tile_box) if tile_box else None,
            output_format=output_format or _format_of(target),
            hdr_boost=hdr_boost,
            fractality=fractality,
            scale=scale,
            model=model,
            export=export,
            max_pixels=max_pixels,
            decode_limits=DecodeLimits(seconds=decode_seconds),
        )
        options = UpscalerOptions(device=device, precision=precision, tile=tile, overlap=overlap)
        if fetch:
            _fetch_if_known(model)
        result = _run(request, options, target)
        for notice in result.notices:
            err.print(f"note: {notice}", soft_wrap=True, markup=False)
        seconds = ", ".join(
            f"{name} {value:.1f} s" for name, value in result.timings.items() if value >= 0.05
        )
        out.print(
            f"{target}: {result.width} × {result.height}, peak {result.peak:.3g} ({seconds})", soft_wrap=True
        )


def _run(request: "TileRequest", options: "UpscalerOptions", target: Path) -> "TileResult":
    """The pipeline under a progress bar on the terminal."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    from luxscaler.models import Models  # noqa: PLC0415
    from luxscaler.pipeline import process_tile  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task("upscaling", total=None)

        def advance(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        return process_tile(request, Models(options, own_checkpoints=True), target, advance)


def _format_of(target: Path) -> str:
    import hdr_exporter  # noqa: PLC0415

    known = hdr_exporter.SUFFIXES
    if target.suffix.lower() not in known:
        raise InputError(f"{str(target)!r} has no suffix of a known format; known are {' '.join(known)}")
    return known[target.suffix.lower()]


def _fetch_if_known(model: str) -> None:
    from luxscaler.catalogue import load_catalogue  # noqa: PLC0415

    if model in {entry.name for entry in load_catalogue()}:
        fetch_weights([model], force=False, quiet=True)


@app.command()
def info(file: Annotated[Path, typer.Argument(metavar="FILE", help="A picture.")]) -> None:
    """Say what a picture is: size, depth, colour space, range in stops."""
    with one_line_errors():
        from luxscaler.picture_report import report  # noqa: PLC0415

        for name, value in report(file):
            out.print(f"{name:<12}{value}", soft_wrap=True, markup=False)


def _version(wanted: bool) -> None:
    if wanted:
        out.print(f"luxscaler {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Upscale pictures and expand their dynamic range."""


def main() -> None:
    """Entry point of the `luxscaler` command."""
    app(prog_name="luxscaler")


if __name__ == "__main__":
    main()
