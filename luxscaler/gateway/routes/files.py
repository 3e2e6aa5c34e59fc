"""Routes of files: uploads with the token, downloads by signed address without it."""

from collections.abc import AsyncIterator

from fastapi import APIRouter, Request
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, JSONResponse, Response

from luxscaler.cog.messages import Json
from luxscaler.gateway.pagination import page
from luxscaler.gateway.problems import Problem, invalid_input, not_found
from luxscaler.gateway.serialize import content_type
from luxscaler.gateway.state import Gateway, Here
from luxscaler.gateway.store import StoredFile
from luxscaler.gateway.strict_json import read_json
from luxscaler.replicate.signing import new_id

CHUNK_BYTES = 1024 * 1024
_MAX_NAME_CHARACTERS = 255
_HEADERS = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox"}
"""Uploaded bytes must never run as a page of the gateway."""
router = APIRouter()
signed = APIRouter()


@router.post("/files")
async def upload(request: Request, gateway: Here) -> Response:
    """Take an upload in multipart: `content`, and optionally `metadata` (JSON), `filename` and `type`."""
    try:
        # Two files: the JavaScript client sends the metadata as a file too.
        form = await request.form(max_files=2, max_fields=8)
    except HTTPException as error:  # the parser's: no multipart
        raise Problem(400, str(error.detail)) from error
    try:
        content = form.get("content")
        if not isinstance(content, UploadFile):
            raise invalid_input("content", "a multipart part with a file is required", "required")
        metadata = await _text(form.get("metadata"))
        name = await _text(form.get("filename")) or content.filename or "file"
        kind = await _text(form.get("type")) or content.content_type or "application/octet-stream"
        file = await _keep(gateway, content, name, kind, read_json(metadata.encode()) if metadata else {})
    finally:
        await form.close()
    return JSONResponse(gateway.serializer.file(file), 201)


@router.get("/files")
async def listing(gateway: Here, cursor: str = "") -> Json:
    """A page, newest first."""
    parts = gateway.parts
    return page(
        parts.store.files_before,
        parts.store.files_after,
        gateway.serializer.file,
        lambda place: parts.addresses.api("files", cursor=place),
        cursor,
        gateway.settings.page_size,
    )


@router.get("/files/{name}")
async def get(name: str, gateway: Here) -> Json:
    """Show an upload, without its bytes."""
    return gateway.serializer.file(_found(gateway, name))


@router.delete("/files/{name}", status_code=204)
async def delete(name: str, gateway: Here) -> Response:
    """Delete an upload."""
    _found(gateway, name)
    gateway.parts.files.remove_file(name)
    gateway.parts.store.remove_file(name)
    return Response(status_code=204)


@signed.api_route("/v1/files/{name}/download", methods=["GET", "HEAD"])
async def download(
    name: str, gateway: Here, expiry: str = "", owner: str = "", signature: str = ""
) -> Response:
    """Send an upload's bytes."""
    gateway.parts.addresses.check_download(name, owner, expiry, signature, gateway.now())
    file, path = _found(gateway, name), gateway.parts.files.file(name)
    if path is None:
        raise not_found()
    return FileResponse(path, media_type=file.content_type, filename=file.name, headers=_HEADERS)


@signed.api_route("/outputs/{prediction}/{name}", methods=["GET", "HEAD"])
async def output(
    prediction: str, name: str, gateway: Here, expiry: str = "", signature: str = ""
) -> Response:
    """Send a result's file."""
    gateway.parts.addresses.check_output(prediction, name, expiry, signature, gateway.now())
    path = gateway.parts.files.output(prediction, name)
    if path is None:
        raise not_found()
    return FileResponse(path, media_type=content_type(name), headers=_HEADERS)


async def _keep(gateway: Gateway, content: UploadFile, name: str, kind: str, metadata: Json) -> StoredFile:
    if len(name) > _MAX_NAME_CHARACTERS or not name.isprintable() or not kind.isprintable():
        raise invalid_input("filename", f"must be at most {_MAX_NAME_CHARACTERS} printable characters")
    identifier, now, settings = new_id(), gateway.now(), gateway.settings
    files, store = gateway.parts.files, gateway.parts.store
    written = await files.receive(identifier, _chunks(content), settings.max_file_bytes)
    file = StoredFile(
        identifier,
        name,
        kind if kind.isascii() else "application/octet-stream",
        written.size,
        written.sha256,
        written.md5,
        now,
        now + settings.file_seconds,
        metadata,
    )
    store.add_file(file)
    return file


async def _chunks(content: UploadFile) -> AsyncIterator[bytes]:
    while chunk := await content.read(CHUNK_BYTES):
        yield chunk


async def _text(part: UploadFile | str | None) -> str:
    """The text of a small part, whichever way the client sent it."""
    if isinstance(part, UploadFile):
        return (await part.read(CHUNK_BYTES)).decode("utf-8", "replace")
    return part or ""


def _found(gateway: Gateway, name: str) -> StoredFile:
    found = gateway.parts.store.file(name)
    if found is None or found.expires_at <= gateway.now():
        raise not_found()
    return found
