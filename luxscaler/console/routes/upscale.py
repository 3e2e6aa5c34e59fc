"""Routes of the tab Upscale: uploaded pictures, what a result will be, previews of a part, compare pages.

The jobs themselves are those of routes/jobs.py: masters whose source is an uploaded picture.
"""

import struct
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.responses import FileResponse, Response

from luxscaler.console.headers import header_for_job
from luxscaler.console.job import Place, result_name
from luxscaler.console.local.commands import REPORT, check_inputs
from luxscaler.console.master_checks import check_master_inputs, check_master_result, master_size
from luxscaler.console.master_inputs import offered
from luxscaler.console.routes.strict import StrictRoute
from luxscaler.console.state import Here
from luxscaler.gateway.problems import Problem
from luxscaler.options import MAX_LAYER_NAME

PREFIX = "/api/upscale"
UPLOAD_PATH = f"{PREFIX}/pictures"
router = APIRouter(prefix=PREFIX, tags=["upscale"], route_class=StrictRoute)
_FLOAT = 4
_COMPARE_POLICY = (
    "sandbox allow-scripts allow-downloads; default-src 'none'; script-src 'unsafe-inline'; "
    "style-src 'unsafe-inline'; img-src data: blob:; frame-ancestors 'none'"
)
"""The compare page brings its scripts with it: the sandbox gives it an origin of its own, so that they reach
nothing of the console's."""


class PartRequest(BaseModel):
    """Which part of a picture to show, and how it is made."""

    model_config = ConfigDict(extra="forbid", strict=True)

    x: float = Field(default=0.5, ge=0, le=1, description="Middle of the part, a fraction of the width")
    y: float = Field(default=0.5, ge=0, le=1, description="The same of the height")
    inputs: dict[str, Any] = Field(default_factory=dict, description="As those of a master")
    trained_by: str = Field(default="", max_length=26)


class ResultRequest(BaseModel):
    """What is to be said about a result."""

    model_config = ConfigDict(extra="forbid", strict=True)

    inputs: dict[str, Any] = Field(default_factory=dict, description="As those of a master")
    place: Place = Field(default="here", description="Where it would be computed: a container holds less")


@router.get("/options")
def options() -> dict[str, Any]:
    """The inputs of a master that are chosen from a list, with words for each value; `boosted`: the formats
    that hold light above white."""
    return offered()


@router.post("/pictures", status_code=201)
async def upload(
    request: Request, console: Here, name: Annotated[str, Query(max_length=1000)] = ""
) -> dict[str, Any]:
    """A picture as the body; `name` is shown and used for nothing else. 413 too large, 422 no picture."""
    folder = await run_in_threadpool(console.pictures.begin)
    partial = folder / "upload"
    try:
        with partial.open("xb") as file:
            async for piece in request.stream():
                await run_in_threadpool(file.write, piece)
        return (await run_in_threadpool(console.pictures.finish, partial, name)).shown()
    except ClientDisconnect as error:
        console.pictures.abandon(folder)
        raise Problem(400, "The upload broke off: nothing of it was kept") from error
    except BaseException:
        console.pictures.abandon(folder)
        raise


@router.get("/pictures")
def pictures(console: Here) -> dict[str, Any]:
    """Those that are here, the newest first."""
    return {"pictures": [each.shown() for each in console.pictures.listed()]}


@router.get("/pictures/{name}")
def picture(name: str, console: Here) -> dict[str, Any]:
    """One."""
    return console.pictures.get(name).shown()


@router.delete("/pictures/{name}", status_code=204)
def remove(name: str, console: Here) -> Response:
    """Remove one; results that were made of it stay."""
    console.pictures.remove(name)
    return Response(status_code=204)


@router.post("/pictures/{name}/result")
def result(name: str, wanted: ResultRequest, console: Here) -> dict[str, Any]:
    """What a result will be: its pixels, and the bytes of its light in memory. 422 for one that a job would
    refuse."""
    picture = console.pictures.get(name)
    source, has_alpha = (picture.about["width"], picture.about["height"]), picture.about["has_alpha"]
    check_master_inputs(wanted.inputs, is_here=wanted.place == "here")
    if wanted.inputs.get("layer") or wanted.inputs.get("part"):
        header = header_for_job(picture.path, wanted.inputs)
        source, has_alpha = (header.width, header.height), header.has_alpha
    width, height = master_size(wanted.inputs, *source, wanted.place)
    check_master_result(wanted.inputs, *source, wanted.place)
    planes = 3 + bool(has_alpha)
    return {
        "width": width,
        "height": height,
        "megapixels": round(width * height / 1e6, 3),
        "light_bytes": width * height * planes * _FLOAT,
    }


@router.get("/pictures/{name}/overview")
def overview(
    name: str,
    console: Here,
    layer: Annotated[str, Query(max_length=MAX_LAYER_NAME)] = "",
    part: Annotated[int | None, Query(ge=1)] = None,
    sdr: bool = False,
) -> Response:
    """The whole picture, small, read as a job with those inputs reads it: `_encoded` says how."""
    path = str(console.pictures.get(name).path)
    reading = {"layer": layer, "part": part, "sdr": sdr}
    told, data = console.previews.ask({"kind": "overview", "path": path, "reading": reading})
    return _encoded([told["overview"]], [], data)


@router.post("/pictures/{name}/part")
def part(name: str, wanted: PartRequest, console: Here) -> Response:
    """A part before and after, as a run would make it."""
    path = console.pictures.get(name).path
    inputs = {"model": "photo", "output_format": "exr", **wanted.inputs}
    check_master_inputs(inputs, is_here="cog" not in inputs)
    check_inputs("master", inputs, (*console.settings.folders, console.settings.data / "results"))
    if wanted.trained_by:
        inputs["model"] = str(console.models.path(wanted.trained_by))
    told, data = console.previews.ask(
        {"kind": "part", "path": str(path), "x": wanted.x, "y": wanted.y, "inputs": inputs}
    )
    figures = [told["seconds"], told["megapixels"], float(told["first"]), told["peak"], *told["box"]]
    return _encoded([told["before"], told["after"]], figures, data)


@router.get("/jobs/{name}/compare")
def compare(name: str, console: Here) -> Response:
    """The page that compares a picture with its result."""
    job = console.jobs.get(name)
    path = console.results.path(name, REPORT) if job is not None and job.kind == "master" else None
    if path is None:
        raise Problem(404, f"Job {name[:40]!r} has no compare page")
    return FileResponse(
        path,
        media_type="text/html; charset=utf-8",
        headers={"content-security-policy": _COMPARE_POLICY},
    )


@router.get("/jobs/{name}/download/{file}")
def download(name: str, file: str, console: Here) -> Response:
    """A result, named after the picture that it was made of."""
    job, path = console.jobs.get(name), console.results.path(name, file)
    if job is None or path is None:
        raise Problem(404, f"Job {name[:40]!r} has no file {file[:100]!r}")
    target = result_name(job.name, path.suffix)
    return FileResponse(path, media_type="application/octet-stream", filename=target)


def _encoded(sizes: list[list[int]], figures: list[float], data: bytes) -> Response:
    """Little-endian: the count of pictures and of figures (uint32); width, height of each picture (uint32);
    the figures (float32: seconds, megapixels, whether it was the first of its kind, the largest value, and
    the part's x, y, width, height in the source); then the pictures, (height, width, 3) half floats."""
    numbers = [len(sizes), len(figures), *(number for size in sizes for number in size)]
    head = struct.pack(f"<{len(numbers)}I{len(figures)}f", *numbers, *figures)
    return Response(head + data, media_type="application/octet-stream")
