"""`luxscaler upscale` with --reference: one tile of somebody's master, as the container would do it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from luxscaler.cli.backend_choice import BackendChoice
from luxscaler.cli.terminal import out, progress_bar, say
from luxscaler.errors import InputError

if TYPE_CHECKING:
    from luxscaler.options import UpscalerOptions
    from luxscaler.pipeline.request import TileRequest, TileResult


def upscale_tile(
    source: Path,
    target: Path,
    reference: Path | None,
    tile_box: str,
    choice: BackendChoice,
    common: dict[str, Any],
) -> None:
    """Upscale `source` as a tile of the picture `reference`; `common`: the fields that TileRequest shares."""
    from luxscaler.geometry import TileBox  # noqa: PLC0415
    from luxscaler.pipeline.request import TileRequest  # noqa: PLC0415

    if choice.name != "local":
        raise InputError("--reference and --tile-box are for one tile on this machine; a master has its own")
    request = TileRequest(
        tile_input=source,
        global_reference=reference,
        tile_box=TileBox.parse(tile_box) if tile_box else None,
        **common,
    )
    result = _process(request, choice.upscaler, target)
    say(result.notices)
    seconds = ", ".join(f"{name} {value:.1f} s" for name, value in result.timings.items() if value >= 0.05)
    out.print(
        f"{target}: {result.width} × {result.height}, peak {result.peak:.3g} ({seconds})", soft_wrap=True
    )


def _process(request: "TileRequest", options: "UpscalerOptions", target: Path) -> "TileResult":
    from luxscaler.pipeline.tile import process_tile  # noqa: PLC0415
    from luxscaler.upscaling.model_cache import Models  # noqa: PLC0415

    with progress_bar() as bar:
        task = bar.add_task("upscaling", total=None)

        def advance(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        return process_tile(request, Models(options, own_checkpoints=True), target, advance)
