"""`luxscaler upscale`: its options and the environment become requests, which upscale_run.py runs.

PyTorch is imported late, so that `--help` answers at once.
"""

import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from luxscaler.cli import backend_options as place
from luxscaler.cli import file_options as file
from luxscaler.cli import size_options as size
from luxscaler.cli.arguments import box_of, check_opposites, manner_of, pairs_of, shot_pairs, split_paths
from luxscaler.cli.preview import write_preview
from luxscaler.cli.weights import fetch_if_known

_MANY, _SAID = "Several pictures", "What is said"
_OF = "Colours, and tiles of a master"


def upscale(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="IN... OUT",
            help="Pictures, folders of pictures, quoted globs, or - for standard input; then the result: "
            ".exr, .tiff, .png, .webp, .avif, .jxl or .jpg, a folder, a pattern such as out/{stem}.exr, or - "
            "for standard output. OUT may be left out beside --preview.",
            show_default=False,
        ),
    ],
    model: Annotated[
        str,
        typer.Option(
            help="photo, anime (drawings), fast (a small network), a fetched model's name, or the path of a "
            "checkpoint."
        ),
    ] = "photo",
    scale: Annotated[
        float | None,
        typer.Option(
            help="How many times as wide and as high as IN, 1 to 8 or 16; if not given, the model's own."
        ),
    ] = None,
    hdr_boost: Annotated[
        float,
        typer.Option(
            help="How far above white highlights may be raised, 1 to 49 times white; 1 is not at all. "
            "EXR, float TIFF, JPEG XL, AVIF, PQ PNG and JPEG show it."
        ),
    ] = 1.0,
    boost_mask: Annotated[
        Path | None,
        typer.Option(help="A grey picture laid over IN: where it is black, --hdr-boost changes nothing."),
    ] = None,
    preview: Annotated[
        Path | None,
        typer.Option(
            help="First show --hdr-boost on a small copy, as .png, .jpg or .webp; without OUT, only that."
        ),
    ] = None,
    fractality: Annotated[
        float, typer.Option(help="Invented fine detail: 0 (none), 1 (as the network makes it) to 2 (more).")
    ] = 1.0,
    report: Annotated[
        str | None,
        typer.Option(
            "--report",
            help="Also write a page that compares IN and OUT: out.html, or out/{stem}.html for several.",
        ),
    ] = None,
    fetch: Annotated[
        bool, typer.Option("--fetch", help="Download the model's weights if they are not here.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that are there.")] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Say size, tiles and what it may cost; compute and write nothing."),
    ] = False,
    recursive: Annotated[
        bool, typer.Option("--recursive", help="Folders within folders too.", rich_help_panel=_MANY)
    ] = False,
    skip_existing: Annotated[
        bool,
        typer.Option("--skip-existing", help="Leave out results that are there.", rich_help_panel=_MANY),
    ] = False,
    frames: size.FramesOption = "",
    width: size.WidthOption = None,
    height: size.HeightOption = None,
    long_edge: size.LongEdgeOption = None,
    megapixels: size.MegapixelsOption = None,
    print_size: size.PrintOption = None,
    profile: size.ProfileOption = "srgb",
    wrap: size.WrapOption = "",
    output_format: file.FormatOption = "",
    webp_quality: file.WebpQualityOption = 90,
    avif_quality: file.AvifQualityOption = 90,
    avif_bits: file.AvifBitsOption = 10,
    exr_type: file.ExrTypeOption = "float",
    exr_compression: file.ExrCompressionOption = "auto",
    exr_tile: file.ExrTileOption = 0,
    mantissa_bits: file.MantissaBitsOption = 23,
    sdr: file.SdrOption = False,
    layer: file.LayerOption = "",
    part: file.PartOption = None,
    overscan: size.OverscanOption = "crop",
    max_pixels: file.MaxPixelsOption = 1_000_000_000,
    decode_seconds: file.DecodeSecondsOption = 60.0,
    decode_memory: file.DecodeMemoryOption = 10_737.0,
    pixels_per_byte: file.PixelsPerByteOption = 1000.0,
    backend: place.BackendOption = "local",
    device: place.DeviceOption = "auto",
    precision: place.PrecisionOption = "auto",
    tile: place.TileOption = 1024,
    overlap: place.OverlapOption = None,
    jobs: place.JobsOption = None,
    attempts: place.AttemptsOption = 3,
    restart: place.RestartOption = False,
    cog: place.CogOption = None,
    model_version: place.ModelVersionOption = "",
    hardware: place.HardwareOption = "",
    price: place.PriceOption = None,
    max_cost: place.MaxCostOption = None,
    pay_again: place.PayAgainOption = False,
    ray_address: place.RayAddressOption = "",
    reference: Annotated[
        Path | None,
        typer.Option("--reference", help="The whole master that IN is one tile of.", rich_help_panel=_OF),
    ] = None,
    tile_box: Annotated[
        str,
        typer.Option(
            help="Where IN sits in the master: x,y,width,height as fractions; if not given, it is searched.",
            rich_help_panel=_OF,
        ),
    ] = "",
    self_reference: Annotated[
        bool,
        typer.Option(
            "--self-reference/--no-self-reference",
            help="Give the result IN's own colours; a checkpoint of your own may change them.",
            rich_help_panel=_OF,
        ),
    ] = True,
    json_lines: Annotated[
        bool, typer.Option("--json", help="Results, notes and progress as JSON lines.", rich_help_panel=_SAID)
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only errors.", rich_help_panel=_SAID)] = False,
    verbose: Annotated[
        bool,
        typer.Option("--verbose", "-v", help="Also what is done, and why it failed.", rich_help_panel=_SAID),
    ] = False,
    progress: Annotated[
        str,
        typer.Option(help="auto (a bar on a terminal, else lines), bar, lines, none.", rich_help_panel=_SAID),
    ] = "auto",
) -> None:
    """Upscale all `paths` but the last, which is OUT. typer reads the options from the signature."""
    sources, out = split_paths(paths, output_format, previews=preview is not None)
    check_opposites(("--skip-existing", skip_existing), ("--overwrite", overwrite))
    check_opposites(("--dry-run, which writes nothing,", dry_run), ("--preview", preview is not None))
    manner = manner_of(json=json_lines, quiet=quiet, verbose=verbose, progress=progress, out=out)
    from luxscaler.cli.upscale_run import PictureRun, session_of  # noqa: PLC0415

    with session_of(manner) as session:
        from luxscaler.isolation.pool import warm_up  # noqa: PLC0415

        warm_up()  # the decoding process starts while PyTorch is imported
        from luxscaler.backends.choice import BackendOptions, own_scale  # noqa: PLC0415
        from luxscaler.geometry import Wrap  # noqa: PLC0415
        from luxscaler.io.formats import format_of  # noqa: PLC0415
        from luxscaler.io.options import ExportOptions  # noqa: PLC0415
        from luxscaler.masters.options import RunOptions  # noqa: PLC0415
        from luxscaler.masters.pairs import existing, refuse_existing  # noqa: PLC0415
        from luxscaler.masters.shot import described, shot_of, with_tones  # noqa: PLC0415
        from luxscaler.options import DecodeLimits, LayerChoice, UpscalerOptions  # noqa: PLC0415
        from luxscaler.pipeline.final_size import FinalSize  # noqa: PLC0415
        from luxscaler.pipeline.request import UpscaleRequest  # noqa: PLC0415

        chosen_scale = own_scale(model, backend) if scale is None else scale
        names = {"scale": f"{chosen_scale:g}", "model": Path(model).stem, "hdr_boost": f"{hdr_boost:g}"}
        shot = () if out in (None, "-") else shot_of(Path(sources[0]), Path(out), frames)
        if shot:
            pairs = shot_pairs(sources, shot, report)
        else:
            pairs = pairs_of(sources, out, output_format, names, report=report, recursive=recursive)
        first = pairs[0]
        request = UpscaleRequest(
            first.source.path or (b"" if preview is None else session.standard_input()),
            reference=reference,
            box=box_of(tile_box, reference),
            output_format=output_format or ("exr" if first.target is None else format_of(first.target)),
            hdr_boost=hdr_boost,
            boost_mask=boost_mask,
            fractality=fractality,
            scale=chosen_scale,
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
            choice=LayerChoice(layer, part),
            wrap=Wrap.parse(wrap),
            overscan=overscan,
            size=FinalSize.of(width, height, long_edge, megapixels, print_size),
            decode_limits=DecodeLimits(
                seconds=decode_seconds,
                memory_bytes=int(decode_memory * 1e6),
                pixels_per_byte=pixels_per_byte,
            ),
        )
        if out is None and preview is not None:
            write_preview(session, request, preview, first, has_out=False, overwrite=overwrite)
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
            restart=restart,
            facts=where.tile_facts,
        )
        run = PictureRun(session, request, where, options, output_format)
        run.check(pairs)
        if not (overwrite or skip_existing):
            refuse_existing(pairs)
        if preview is not None:
            write_preview(session, request, preview, first, has_out=True, overwrite=overwrite)
        if dry_run:
            raise typer.Exit(run.plans(pairs))
        if fetch and backend == "local":
            with session.watch.out_of_the_way():  # it has a bar of its own
                fetch_if_known(model, silent=quiet or json_lines)
        if shot and not (skip_existing and len(existing(pairs)) == len(pairs)):
            run.request, unread = with_tones(request, shot, session.looked_at)
            with session.watch.out_of_the_way():
                session.voice.note(described(shot, frames, unread))
        raise typer.Exit(run.all(pairs, skip_existing=skip_existing))
