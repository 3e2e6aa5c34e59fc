"""`luxscaler upscale`: the options of a terminal to one request, run wherever --backend says.

Parses options, draws progress, and reads the environment, once. PyTorch is imported late, so that `--help`
answers at once.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from luxscaler.cli import size_options as size
from luxscaler.cli.preview import write_preview
from luxscaler.cli.shot import run_shot
from luxscaler.cli.terminal import err, one_line_errors, out, progress_bar, say
from luxscaler.cli.weights import fetch_weights

if TYPE_CHECKING:
    from luxscaler.backends.choice import BackendOptions
    from luxscaler.masters.options import RunOptions
    from luxscaler.pipeline.request import UpscaleRequest
    from luxscaler.pipeline.result import Progress, Result
    from luxscaler.tiling.plan import Plan

_FILE, _WHERE = "The file", "Where tiles run"


def upscale(
    source: Annotated[Path, typer.Argument(metavar="IN", help="A picture; formats are told by content.")],
    target: Annotated[
        Path | None,
        typer.Argument(
            metavar="OUT",
            help="Result: .exr, .tiff, .png, .webp, .avif, .jxl or .jpg. May be left out beside --preview.",
            show_default=False,
        ),
    ] = None,
    hdr_boost: Annotated[float, typer.Option(help="Multiplier of dynamic range, 1 to 49; 1 is none.")] = 1.0,
    boost_mask: Annotated[
        Path | None,
        typer.Option(help="A grey picture over IN: where it is black, --hdr-boost changes nothing."),
    ] = None,
    preview: Annotated[
        Path | None,
        typer.Option(
            help="First show --hdr-boost on a small copy, as .png, .jpg or .webp; without OUT, only that."
        ),
    ] = None,
    fractality: Annotated[float, typer.Option(help="Detail, 0 to 2; 1 is neutral.")] = 1.0,
    scale: Annotated[float, typer.Option(help="Output size / input size, 1 to 8.")] = 4.0,
    model: Annotated[
        str, typer.Option(help="photo, anime, fast, or the path of a Real-ESRGAN checkpoint.")
    ] = "photo",
    self_reference: Annotated[
        bool,
        typer.Option(
            "--self-reference/--no-self-reference",
            help="Give the result IN's own colours; a checkpoint of your own may change them.",
        ),
    ] = True,
    report: Annotated[
        Path | None, typer.Option("--report", help="Write a page that compares IN and OUT, e.g. out.html.")
    ] = None,
    reference: Annotated[
        Path | None, typer.Option("--reference", help="The whole master that IN is one tile of.")
    ] = None,
    tile_box: Annotated[
        str, typer.Option(help="Where IN sits in the master: x,y,width,height as fractions.")
    ] = "",
    backend: Annotated[
        str, typer.Option(help="local, cog, replicate or ray.", rich_help_panel=_WHERE)
    ] = "local",
    jobs: Annotated[
        int | None, typer.Option(help="Tiles at once; as many as the backend can.", rich_help_panel=_WHERE)
    ] = None,
    tile: Annotated[
        int, typer.Option(help="Largest side of a tile, in pixels of IN.", rich_help_panel=_WHERE)
    ] = 1024,
    overlap: Annotated[
        int | None,
        typer.Option(
            help="Pixels of IN that tiles share; what 25 % more pixels pay for.", rich_help_panel=_WHERE
        ),
    ] = None,
    attempts: Annotated[int, typer.Option(help="Tries for a tile.", rich_help_panel=_WHERE)] = 3,
    restart: Annotated[
        bool, typer.Option("--restart", help="Throw away an unfinished job.", rich_help_panel=_WHERE)
    ] = False,
    cog: Annotated[
        list[str] | None,
        typer.Option("--cog", help="Address of a Cog container; may be repeated.", rich_help_panel=_WHERE),
    ] = None,
    model_version: Annotated[
        str, typer.Option(help="Version on Replicate; MODEL_VERSION if not given.", rich_help_panel=_WHERE)
    ] = "",
    hardware: Annotated[
        str, typer.Option(help="Replicate's hardware, for the price.", rich_help_panel=_WHERE)
    ] = "",
    price: Annotated[
        float | None, typer.Option(help="Dollars a second, over the table's.", rich_help_panel=_WHERE)
    ] = None,
    max_cost: Annotated[
        float | None, typer.Option(help="Dollars that the work may cost at most.", rich_help_panel=_WHERE)
    ] = None,
    pay_again: Annotated[
        bool,
        typer.Option("--pay-again", help="Pay for tiles whose results were lost.", rich_help_panel=_WHERE),
    ] = False,
    ray_address: Annotated[
        str, typer.Option(help="A Ray cluster, host:port; its own if empty.", rich_help_panel=_WHERE)
    ] = "",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.", rich_help_panel=_WHERE)] = "auto",
    precision: Annotated[
        str, typer.Option(help="auto, fp32, bf16 or fp16.", rich_help_panel=_WHERE)
    ] = "auto",
    fetch: Annotated[
        bool, typer.Option("--fetch", help="Fetch the model's weights if absent.", rich_help_panel=_WHERE)
    ] = False,
    output_format: Annotated[
        str,
        typer.Option(
            "--format",
            help="exr, tiff, tiff16, png, webp, png-pq, avif, jxl or jpg; by OUT's suffix.",
            rich_help_panel=_FILE,
        ),
    ] = "",
    webp_quality: Annotated[int, typer.Option(help="0 to 100.", rich_help_panel=_FILE)] = 90,
    avif_quality: Annotated[int, typer.Option(help="0 to 100.", rich_help_panel=_FILE)] = 90,
    avif_bits: Annotated[int, typer.Option(help="10 or 12.", rich_help_panel=_FILE)] = 10,
    exr_type: Annotated[str, typer.Option(help="float or half.", rich_help_panel=_FILE)] = "float",
    exr_compression: Annotated[
        str,
        typer.Option(help="auto, zip, zips, piz, pxr24, dwaa, dwab, rle or none.", rich_help_panel=_FILE),
    ] = "auto",
    exr_tile: Annotated[
        int, typer.Option(help="Side of EXR's tiles in pixels; 0 for scan lines.", rich_help_panel=_FILE)
    ] = 0,
    mantissa_bits: Annotated[
        int,
        typer.Option(
            help="Bits that EXR and TIFF keep of a float's mantissa, 8 to 23 (all).", rich_help_panel=_FILE
        ),
    ] = 23,
    sdr: Annotated[
        bool,
        typer.Option(
            "--sdr", help="Read the SDR picture of a file with an HDR gain map.", rich_help_panel=_FILE
        ),
    ] = False,
    max_pixels: Annotated[
        int, typer.Option(help="Largest picture read, in pixels.", rich_help_panel=_FILE)
    ] = 1_000_000_000,
    decode_seconds: Annotated[
        float, typer.Option(help="Longest time to decode a picture.", rich_help_panel=_FILE)
    ] = 60.0,
    decode_memory: Annotated[
        float, typer.Option(help="Most memory to decode a picture, in MB.", rich_help_panel=_FILE)
    ] = 10_737.0,
    pixels_per_byte: Annotated[
        float,
        typer.Option(help="Most pixels for a byte of IN, beyond 33.5 million.", rich_help_panel=_FILE),
    ] = 1000.0,
    wrap: size.WrapOption = "",
    width: size.WidthOption = None,
    height: size.HeightOption = None,
    long_edge: size.LongEdgeOption = None,
    megapixels: size.MegapixelsOption = None,
    print_size: size.PrintOption = None,
    profile: size.ProfileOption = "srgb",
    frames: size.FramesOption = "",
    overscan: size.OverscanOption = "crop",
) -> None:
    """Upscale `source` and write `target`. Long, because typer reads the options from the signature."""
    if target is None and preview is None:
        raise typer.BadParameter("give OUT, or --preview FILE to see what --hdr-boost does", param_hint="OUT")
    with one_line_errors():
        from luxscaler.isolation.pool import warm_up  # noqa: PLC0415

        warm_up()  # the decoding process starts while PyTorch is imported
        from luxscaler.backends.choice import BackendOptions  # noqa: PLC0415
        from luxscaler.geometry import TileBox, Wrap  # noqa: PLC0415
        from luxscaler.io.options import ExportOptions  # noqa: PLC0415
        from luxscaler.masters.options import RunOptions  # noqa: PLC0415
        from luxscaler.masters.shot import shot_of  # noqa: PLC0415
        from luxscaler.options import DecodeLimits, UpscalerOptions  # noqa: PLC0415
        from luxscaler.pipeline.final_size import FinalSize  # noqa: PLC0415
        from luxscaler.pipeline.output import check_path, format_of  # noqa: PLC0415
        from luxscaler.pipeline.request import UpscaleRequest  # noqa: PLC0415

        shot = shot_of(source, target, frames) if target is not None else ()
        request = UpscaleRequest(
            shot[0].source if shot else source,
            reference=reference,
            box=TileBox.parse(tile_box) if tile_box else None,
            output_format=output_format or ("exr" if target is None else format_of(target)),
            hdr_boost=hdr_boost,
            boost_mask=boost_mask,
            fractality=fractality,
            scale=scale,
            model=model,
            export=ExportOptions(
                webp_quality=webp_quality,
                avif_quality=avif_quality,
                avif_bits=avif_bits,
                exr_type=exr_type,
                exr_compression=exr_compression,
                exr_tile=exr_tile,
                mantissa_bits=mantissa_bits,
                profile=profile,
            ),
            self_reference=self_reference,
            tile=tile,
            overlap=overlap,
            max_pixels=max_pixels,
            sdr=sdr,
            wrap=Wrap.parse(wrap),
            overscan=overscan,
            size=FinalSize.of(width, height, long_edge, megapixels, print_size),
            decode_limits=DecodeLimits(
                seconds=decode_seconds,
                memory_bytes=int(decode_memory * 1e6),
                pixels_per_byte=pixels_per_byte,
            ),
        )
        if preview is not None:
            write_preview(request, preview, target, report)
        if target is None:
            return
        network = UpscalerOptions(device=device, precision=precision)
        where = BackendOptions(
            backend,
            # A tile of a master is not cut: --tile then says in what pieces the network sees it.
            network if reference is None else replace(network, tile=tile, overlap=overlap),
            cog_urls=tuple(cog or ()),
            model_version=model_version or os.environ.get("MODEL_VERSION", ""),
            token=os.environ.get("REPLICATE_API_TOKEN", ""),
            base_url=os.environ.get("REPLICATE_BASE_URL", ""),
            hardware=hardware,
            price=price,
            max_cost=max_cost,
            pay_again=pay_again,
            ray_address=ray_address,
            jobs=jobs,
        )
        options = RunOptions(
            jobs=jobs,
            attempts=attempts,
            report=report,
            restart=restart,
            facts=where.tile_facts,
        )
        check_path(target, *request.files)
        if fetch and backend == "local":
            _fetch_if_known(model)
        if shot:
            with _terminated_as_interrupted():
                run_shot(request, shot, where, options, _summary)
            return
        result = _run(request, target, where, options)
        say(result.notices)
        out.print(_summary(result), soft_wrap=True, markup=False)


def _summary(result: "Result") -> str:
    """The line that says what was made and what it took."""
    progress = result.progress
    if result.timings:
        work = ", ".join(f"{name} {value:.1f} s" for name, value in result.timings.items() if value >= 0.05)
    else:
        work = f"{progress.seconds:.1f} s"
    if progress.total > 1:
        work = f"{progress.total} tiles, {100 * (result.extra - 1):.0f} % extra pixels, {work}"
    if progress.retries:
        work += f", {progress.retries} retries"
    if progress.dollars:
        work += f", ${progress.dollars:.4f}"
    if result.seams is not None:
        work += f", seams {result.seams.ratio:.2f} of the picture's own changes"
    return f"{result.path}: {result.width} × {result.height}, peak {result.peak:.3g} ({work})"


def _run(request: "UpscaleRequest", target: Path, where: "BackendOptions", options: "RunOptions") -> "Result":
    from luxscaler.backends.choice import estimate_of, make_backend  # noqa: PLC0415
    from luxscaler.masters.upscale import upscale_picture  # noqa: PLC0415

    stop = threading.Event()
    with progress_bar() as bar, _terminated_as_interrupted():
        task = bar.add_task("preparing", total=None)
        shares: dict[int, float] = {}
        done = 0

        def advance(progress: "Progress") -> None:
            nonlocal done
            done = progress.done
            text = "upscaling" if progress.total == 1 else f"tile {progress.done} of {progress.total}"
            if progress.dollars:
                text += f", ${progress.dollars:.3f}"
            bar.update(task, description=text, completed=progress.done, total=progress.total)

        def within(number: int, share: float) -> None:
            shares[number] = share if share < 1.0 else 0.0
            bar.update(task, completed=done + sum(shares.values()))

        def planned(cuts: "Plan") -> None:
            if (guess := estimate_of(where, cuts)) is not None:
                err.print(f"note: {guess}", soft_wrap=True, markup=False)

        backend = make_backend(where, within)
        return upscale_picture(
            request, target, backend, options, planned=planned, progress=advance, stop=stop
        )


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """A polite kill ends the work as Ctrl-C does: what is paid for is canceled, what is done is kept."""

    def interrupt(_signal: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _fetch_if_known(model: str) -> None:
    from luxscaler.weights.catalogue import known_names  # noqa: PLC0415

    if model in known_names():
        fetch_weights([model], force=False, quiet=True)
