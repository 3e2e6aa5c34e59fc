"""Routes of what is there: account, hardware, the model, its version, destinations, the webhooks' secret."""

from typing import Any

from fastapi import APIRouter, Request

from luxscaler.clock import iso
from luxscaler.cog.messages import Json
from luxscaler.gateway.addresses import OWNER
from luxscaler.gateway.problems import Problem, invalid_input, not_found
from luxscaler.gateway.schemas import UNKNOWN
from luxscaler.gateway.settings import MODEL
from luxscaler.gateway.state import Gateway, Here
from luxscaler.gateway.strict_json import read_json

VERSION_CREATED = 0.0
"""When the version was built is not known; a fixed time, so that replies do not differ between runs."""
HARDWARE = (
    ("CPU", "cpu"),
    ("Nvidia T4 GPU", "gpu-t4"),
    ("Nvidia L40S GPU", "gpu-l40s"),
    ("2x Nvidia L40S GPU", "gpu-l40s-2x"),
    ("Nvidia A100 (80GB) GPU", "gpu-a100-large"),
    ("Nvidia H100 GPU", "gpu-h100"),
)
"""Replicate's list, for clients that choose from it; it says nothing about the containers here."""
ACCOUNT: Json = {"type": "user", "username": OWNER, "name": "Local gateway", "github_url": None}
_MAX_NAME = 200
"""Most characters of owner/name."""
router = APIRouter()


@router.get("/account")
async def account() -> Json:
    """Show the one account."""
    return ACCOUNT


@router.get("/hardware")
async def hardware() -> list[Json]:
    """List Replicate's hardware."""
    return [{"name": name, "sku": sku} for name, sku in HARDWARE]


@router.get("/webhooks/default/secret")
async def webhook_secret(gateway: Here) -> Json:
    """Show the key of the webhooks' signatures."""
    return {"key": gateway.keys.webhook_secret}


@router.post("/models", status_code=201)
async def create(request: Request, gateway: Here) -> Json:
    """Create a model as a destination of trainings; it never has a version here."""
    body = read_json(await request.body())
    owner, name = (body.get(key) for key in ("owner", "name"))
    full = f"{owner}/{name}"
    if (
        not isinstance(owner, str)
        or not isinstance(name, str)
        or not MODEL.fullmatch(full)
        or len(full) > _MAX_NAME
    ):
        raise invalid_input("name", "owner and name are required, of lower-case letters, digits, - _ .")
    if owner not in (OWNER, gateway.settings.model.partition("/")[0]):
        raise Problem(403, f"You can only create models for {OWNER}", "Permission denied")
    if body.get("visibility") not in ("private", "public"):
        raise invalid_input("visibility", "must be private or public")
    if body.get("hardware") not in [sku for _, sku in HARDWARE]:
        raise invalid_input("hardware", "must be one of the list at /v1/hardware")
    if not isinstance(body.get("description") or "", str):
        raise invalid_input("description", "must be a text")
    about = {key: body.get(key) for key in ("visibility", "description")}
    if full == gateway.settings.model or not gateway.parts.store.add_model(full, about):
        raise invalid_input("name", "A model with that name and owner already exists")
    return _model(gateway, full, about)


@router.get("/models")
async def listing(gateway: Here) -> Json:
    """List the model that the containers run, and those that were created here."""
    shown = [await _own(gateway)]
    shown += [_model(gateway, full, about) for full, about in gateway.parts.store.models()]
    return {"next": None, "previous": None, "results": shown}


@router.get("/models/{owner}/{name}")
async def model(owner: str, name: str, gateway: Here) -> Json:
    """Show the model that the containers run, or one that was created here. Raises Problem (404)."""
    full = f"{owner}/{name}"
    if full == gateway.settings.model:
        return await _own(gateway)
    found = gateway.parts.store.model(full)
    if found is None:
        raise not_found()
    return _model(gateway, full, found)


@router.get("/models/{owner}/{name}/versions")
async def versions(owner: str, name: str, gateway: Here) -> Json:
    """List the one version; none of a model that was created here. Raises Problem (404)."""
    if gateway.parts.store.model(f"{owner}/{name}") is not None:
        return {"next": None, "previous": None, "results": []}
    _check(gateway, owner, name)
    return {"next": None, "previous": None, "results": [await _version(gateway)]}


@router.get("/models/{owner}/{name}/versions/{version}")
async def version_of(owner: str, name: str, version: str, gateway: Here) -> Json:
    """Show the version. Raises Problem (404)."""
    _check(gateway, owner, name)
    if version != gateway.settings.version_id:
        raise not_found()
    return await _version(gateway)


async def _own(gateway: Gateway) -> Json:
    """The model that the containers run."""
    about = {"description": "Cog containers behind a local gateway"}
    shown = _model(gateway, gateway.settings.model, about)
    return {**shown, "latest_version": await _version(gateway)}


def _model(gateway: Gateway, full: str, about: Json) -> Json:
    owner, _, name = full.partition("/")
    return {
        "url": gateway.parts.addresses.api(f"models/{full}"),
        "owner": owner,
        "name": name,
        "description": about.get("description"),
        "visibility": about.get("visibility", "private"),
        "github_url": None,
        "paper_url": None,
        "license_url": None,
        "run_count": 0,
        "cover_image_url": None,
        "default_example": None,
        "latest_version": None,
    }


async def _version(gateway: Gateway) -> dict[str, Any]:
    return {
        "id": gateway.settings.version_id,
        "created_at": iso(VERSION_CREATED),
        "cog_version": await gateway.schemas.cog_version(),
        "openapi_schema": await gateway.schemas.schema() or UNKNOWN,
    }


def _check(gateway: Gateway, owner: str, name: str) -> None:
    if f"{owner}/{name}" != gateway.settings.model:
        raise not_found()
