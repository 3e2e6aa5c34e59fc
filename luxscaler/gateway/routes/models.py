"""Routes of what is there: account, hardware, the one model and its one version, the webhooks' secret."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends

from luxscaler.clock import iso
from luxscaler.cog.messages import Json
from luxscaler.gateway.addresses import OWNER
from luxscaler.gateway.problems import not_found
from luxscaler.gateway.schemas import UNKNOWN
from luxscaler.gateway.state import Gateway, gateway_of

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
"""For clients that choose from it; nothing here runs on it. What the containers run on is not asked."""
router = APIRouter()
Here = Annotated[Gateway, Depends(gateway_of)]


@router.get("/account")
async def account() -> Json:
    """The one account."""
    return {"type": "user", "username": OWNER, "name": "Local gateway", "github_url": None}


@router.get("/hardware")
async def hardware() -> list[Json]:
    """Replicate's list."""
    return [{"name": name, "sku": sku} for name, sku in HARDWARE]


@router.get("/webhooks/default/secret")
async def webhook_secret(gateway: Here) -> Json:
    """The key of the webhooks' signatures."""
    return {"key": gateway.keys.webhook_secret}


@router.get("/models/{owner}/{name}")
async def model(owner: str, name: str, gateway: Here) -> Json:
    """The model that the containers run."""
    _check(gateway, owner, name)
    return {
        "url": gateway.parts.addresses.api(f"models/{gateway.settings.model}"),
        "owner": owner,
        "name": name,
        "description": "Cog containers behind a local gateway",
        "visibility": "private",
        "github_url": None,
        "paper_url": None,
        "license_url": None,
        "run_count": 0,
        "cover_image_url": None,
        "default_example": None,
        "latest_version": await _version(gateway),
    }


@router.get("/models/{owner}/{name}/versions")
async def versions(owner: str, name: str, gateway: Here) -> Json:
    """All versions: one."""
    _check(gateway, owner, name)
    return {"next": None, "previous": None, "results": [await _version(gateway)]}


@router.get("/models/{owner}/{name}/versions/{version}")
async def version_of(owner: str, name: str, version: str, gateway: Here) -> Json:
    """That version."""
    _check(gateway, owner, name)
    if version != gateway.settings.version_id:
        raise not_found()
    return await _version(gateway)


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
