"""`luxscaler weights`: list, fetch, verify and convert the networks' weights."""

from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from luxscaler.cli.commands import Command, Group
from luxscaler.cli.terminal import JsonOption, err, one_line_errors, out, say, tell, write_event

app = typer.Typer(
    cls=Group, help="The networks' weights: list, fetch, verify, convert.", no_args_is_help=True
)


@dataclass(frozen=True)
class _Row:
    """One network's weights, as `list` shows them."""

    name: str
    state: str
    source: str
    """Empty if they are absent."""
    size: int
    """Bytes; 0 if they are absent."""
    licence: str
    description: str


def _rows() -> list[_Row]:
    from luxscaler.weights.feature_networks import feature_network_state, feature_networks  # noqa: PLC0415
    from luxscaler.weights.installed import list_weights, weights_folder  # noqa: PLC0415

    rows = []
    for status in list_weights():
        source, entry = status.source.kind if status.source else "", status.entry
        rows.append(_Row(entry.name, status.state, source, status.size, entry.licence, entry.description))
    for network in feature_networks().values():
        path = weights_folder() / network.file.name
        state = feature_network_state(network.name, weights_folder())
        source = "" if state == "absent" else "release" if network.url else "wheel"
        size = path.stat().st_size if path.is_file() else 0
        rows.append(_Row(network.name, state, source, size, network.licence, network.description))
    return rows


@app.command("list", cls=Command)
def weights_list(as_json: JsonOption = False) -> None:
    """What weights there are, and which of them are here."""
    with one_line_errors(as_json=as_json):
        from rich.table import Table  # noqa: PLC0415

        from luxscaler.weights.installed import weights_folder  # noqa: PLC0415

        rows = _rows()
        if as_json:
            write_event("result", weights=[asdict(row) for row in rows], folder=weights_folder())
            return
        table = Table("name", "state", "source", "MB", "licence", "description")
        for row in rows:
            megabytes = f"{row.size / 1e6:.1f}" if row.size else ""
            table.add_row(row.name, row.state, row.source, megabytes, row.licence, row.description)
        out.print(table)
        tell(f"folder: {weights_folder()}")


@app.command("fetch", cls=Command)
def weights_fetch(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAMES", help="photo, anime, fast (all three if none); vgg16-hed, vgg19, judge."
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what is there.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Say nothing about files that are there.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Fetch weights that are absent, each checked by its hash."""
    with one_line_errors(as_json=as_json):
        fetch_weights(names or None, force=force, quiet=quiet, as_json=as_json)


def fetch_weights(
    names: list[str] | None, *, force: bool, quiet: bool, silent: bool = False, as_json: bool = False
) -> None:
    """Fetch under a progress bar. Raises WeightsError.

    quiet: nothing is said of files that are there. silent: nothing is said at all.
    """
    from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn  # noqa: PLC0415

    from luxscaler.weights.feature_networks import feature_networks, fetch_feature_network  # noqa: PLC0415
    from luxscaler.weights.fetch import Fetched, fetch  # noqa: PLC0415
    from luxscaler.weights.installed import weights_folder  # noqa: PLC0415

    special = feature_networks()
    ordinary = None if names is None else [name for name in names if name not in special]
    tasks: dict[str, TaskID] = {}
    columns = (TextColumn("weights {task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    is_shown = err.is_terminal and not silent and not as_json
    with Progress(*columns, console=err, transient=True, disable=not is_shown) as bar:

        def advance(name: str, done: int, total: int) -> None:
            if name not in tasks:
                tasks[name] = bar.add_task(name)
            bar.update(tasks[name], completed=done, total=total)

        results = fetch(ordinary, force=force, progress=advance)
        for name in (each for each in names or () if each in special):
            path, fresh = fetch_feature_network(
                name, weights_folder(), force=force, progress=partial(advance, name)
            )
            source = "release" if special[name].url else "wheel"
            results.append(Fetched(name, path, source, fresh))
    for result in results:
        if not silent and (result.fresh or not quiet):
            say(tuple(result.failures), as_json=as_json)
            if as_json:
                facts = {"name": result.name, "path": result.path, "source": result.source}
                write_event("result", **facts, fetched=result.fresh)
                continue
            what = f"fetched from the {result.source}" if result.fresh else "is there, verified"
            tell(f"weights {result.name}: {what} ({result.path})", err)


def fetch_if_known(model: str, *, silent: bool = False) -> None:
    """Fetch the weights of a model of the catalogue; a checkpoint's path is left as it is."""
    from luxscaler.weights.catalogue import known_names  # noqa: PLC0415

    if model in known_names():
        fetch_weights([model], force=False, quiet=True, silent=silent)


@app.command("verify", cls=Command)
def weights_verify(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAMES", help="As for fetch; photo, anime, fast if none.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check that weights are here and are the ones that the catalogue pins."""
    with one_line_errors(as_json=as_json):
        from luxscaler.weights.feature_networks import feature_networks, verify_feature_network  # noqa: PLC0415
        from luxscaler.weights.installed import verify, weights_folder  # noqa: PLC0415

        special = feature_networks()
        for status in verify([name for name in names if name not in special] if names else None):
            _tell_verified(status.entry.name, status.path, status.digest, as_json=as_json)
        for name in (each for each in names or () if each in special):
            path, digest = verify_feature_network(name, weights_folder())
            _tell_verified(name, path, digest, as_json=as_json)


def _tell_verified(name: str, path: Path | None, digest: str, *, as_json: bool) -> None:
    if as_json:
        write_event("result", name=name, path=path, sha256=digest)
    else:
        tell(f"{name}: {path} SHA-256 {digest}")


@app.command("convert", cls=Command)
def weights_convert(
    source: Annotated[Path, typer.Argument(metavar="IN", help="A checkpoint: .pth, .pt or .safetensors.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="A .safetensors file.")],
    as_json: JsonOption = False,
) -> None:
    """Convert a Real-ESRGAN or old ESRGAN checkpoint to safetensors with BasicSR's names."""
    with one_line_errors(as_json=as_json):
        from luxscaler.weights.store import convert_checkpoint  # noqa: PLC0415

        said = convert_checkpoint(source, target)
        if as_json:
            write_event("result", output=target, message=said)
        else:
            tell(said)
