"""`luxscaler models`: community models from OpenModelDB's index: search, info, fetch."""

import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from luxscaler.cli.commands import Command, Group
from luxscaler.cli.terminal import JsonOption, err, one_line_errors, out, say, tell, write_event
from luxscaler.words import counted, printable

if TYPE_CHECKING:
    from luxscaler.weights.model_fetch import Index
    from luxscaler.weights.model_index import Model

app = typer.Typer(
    cls=Group, help="Models of the community: search, info, fetch (OpenModelDB).", no_args_is_help=True
)

_Name = Annotated[str, typer.Argument(metavar="NAME", help="As `luxscaler models search` shows it.")]
_IndexUrl = Annotated[
    str, typer.Option("--index", help="Another index; by default LUXSCALER_MODEL_INDEX, else OpenModelDB's.")
]
_Refresh = Annotated[bool, typer.Option("--refresh", help="Look at the index anew; else once a day.")]


@app.command("search", cls=Command)
def models_search(
    words: Annotated[
        list[str] | None, typer.Argument(metavar="WORDS", help="All of them must occur.")
    ] = None,
    scale: Annotated[int | None, typer.Option(help="Only models of this scale.")] = None,
    architecture: Annotated[str, typer.Option(help="Only this one, e.g. esrgan, compact, dat.")] = "",
    limit: Annotated[int, typer.Option(help="Models shown at most.", min=1)] = 40,
    refresh: _Refresh = False,
    index: _IndexUrl = "",
    as_json: JsonOption = False,
) -> None:
    """Models whose name, author, tags, architecture, licence or description hold the words."""
    with one_line_errors(as_json=as_json):
        from rich.markup import escape  # noqa: PLC0415
        from rich.table import Table  # noqa: PLC0415

        from luxscaler.weights.model_index import search  # noqa: PLC0415

        known = _index(index, refresh, as_json=as_json).models
        found = search(known, words or (), scale=scale, architecture=architecture)
        if as_json:
            write_event("result", models=[_object(model) for model in found[:limit]], total=len(found))
            return
        table = Table("name", "scale", "architecture", "MB", "licence", "author", "fetched")
        for model in found[:limit]:
            size = next((file.size for file in model.files if file.size), None)
            megabytes = f"{size / 1e6:.1f}" if size else ""
            is_direct = any(file.direct_urls and file.sha256 for file in model.files)
            how = "directly" if is_direct else "by hand"
            facts = [model.id, f"×{model.scale}", model.architecture, megabytes]
            facts += [model.licence or "none stated", ", ".join(model.authors), how]
            table.add_row(*(escape(printable(fact)) for fact in facts))
        if found:
            out.print(table)
        more = f", {limit} of them shown (--limit)" if len(found) > limit else ""
        tell(f"{counted(len(found), 'model')}{more}")


@app.command("info", cls=Command)
def models_info(
    name: _Name, refresh: _Refresh = False, index: _IndexUrl = "", as_json: JsonOption = False
) -> None:
    """All that the index says of a model."""
    with one_line_errors(as_json=as_json):
        model = _find(name, index, refresh, as_json=as_json)
        if as_json:
            write_event("result", **_object(model))
            return
        for label, value in _facts(model):
            tell(f"{label:<14}{value}")


@app.command("fetch", cls=Command)
def models_fetch(
    name: _Name,
    accept_licence: Annotated[
        bool,
        typer.Option(
            "--accept-licence", help="Fetch it though its licence forbids commercial use, or none is stated."
        ),
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Fetch it again though it is here.")] = False,
    refresh: _Refresh = False,
    index: _IndexUrl = "",
    as_json: JsonOption = False,
) -> None:
    """Fetch a model; `luxscaler upscale --model NAME` then takes it."""
    with one_line_errors(as_json=as_json):
        from rich.progress import BarColumn, DownloadColumn, Progress, TransferSpeedColumn  # noqa: PLC0415

        from luxscaler.web.reach import Reach  # noqa: PLC0415
        from luxscaler.weights.installed import weights_folder  # noqa: PLC0415
        from luxscaler.weights.model_fetch import chosen_by_user, fetch_model  # noqa: PLC0415

        model = _find(name, index, refresh, as_json=as_json)
        authors = ", ".join(model.authors) or "unknown"
        licence = f"{model.id} by {authors}; licence: {model.licence_words}"
        if as_json:
            write_event("note", message=licence)
        else:
            tell(licence)
        allowed = Reach.parse(os.environ.get("LUXSCALER_FETCH_ALLOW", ""), "LUXSCALER_FETCH_ALLOW")
        columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn())
        with Progress(*columns, console=err, transient=True, disable=as_json or not err.is_terminal) as bar:
            task = bar.add_task(model.id)
            made = fetch_model(
                model,
                weights_folder(),
                accept_licence=accept_licence,
                force=force,
                reach=chosen_by_user(_url(index), allowed),
                progress=lambda done, total: bar.update(task, completed=done, total=total),
            )
        if as_json:
            write_event("result", name=model.id, path=made.path, sha256=made.sha256)
            return
        tell(f"{made.path} SHA-256 {made.sha256}")
        tell(f"use it with: luxscaler upscale IN OUT --model {model.id}")


def _url(given: str) -> str:
    from luxscaler.weights.model_fetch import INDEX_URL  # noqa: PLC0415

    return given or os.environ.get("LUXSCALER_MODEL_INDEX", "") or INDEX_URL


def _index(url: str, refresh: bool, *, as_json: bool) -> "Index":
    from luxscaler.weights.installed import weights_folder  # noqa: PLC0415
    from luxscaler.weights.model_fetch import load_index  # noqa: PLC0415

    index = load_index(weights_folder(), _url(url), refresh=refresh)
    say(index.notices, as_json=as_json)
    return index


def _find(name: str, url: str, refresh: bool, *, as_json: bool) -> "Model":
    from luxscaler.weights.model_index import find  # noqa: PLC0415

    return find(_index(url, refresh, as_json=as_json).models, name)


def _object(model: "Model") -> dict[str, object]:
    """A model as a JSON object."""
    return {**asdict(model), "commercial_use": model.is_free}


def _facts(model: "Model") -> list[tuple[str, str]]:
    from luxscaler.weights.model_index import OWN_ARCHITECTURES, direct_url  # noqa: PLC0415

    is_own = model.architecture.lower() in OWN_ARCHITECTURES
    facts = [
        ("name", f"{model.name} ({model.id})"),
        ("author", ", ".join(model.authors)),
        ("licence", model.licence_words),
        ("scale", f"×{model.scale}"),
        ("architecture", model.architecture),
        ("runs", "as it is" if is_own else "with the extra luxscaler[models], if docs/models.md lists it"),
        ("channels", f"{model.in_channels} to {model.out_channels}"),
        ("date", model.date),
        ("tags", ", ".join(model.tags)),
        ("description", model.description),
    ]
    for file in model.files:
        size = f"{file.size:,} bytes" if file.size else "size unknown"
        facts.append(("file", f"{file.kind}, {size}, SHA-256 {file.sha256 or 'not stated'}"))
        facts += [("", url if direct_url(url) else f"{url} (in a browser only)") for url in file.urls]
    return [fact for fact in facts if fact[1]]
