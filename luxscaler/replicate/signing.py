"""Signatures: of webhooks, as Replicate and Standard Webhooks make them, and of addresses of files.

Pure functions of keys and text; the gateway signs with them, and receivers of webhooks verify.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from functools import lru_cache

_PREFIX = "whsec_"
TOLERANCE_SECONDS = 300
"""How far a webhook's time and this machine's may differ."""
_STAMP_DIGITS = 12
_MOST_SIGNATURES = 10
"""Of one webhook: one for each secret while secrets are changed."""


def new_id() -> str:
    """26 lower-case letters and digits, as the API's ids are; 128 random bits."""
    return base64.b32encode(secrets.token_bytes(16)).decode().rstrip("=").lower()


def webhook_headers(secret: str, message_id: str, seconds: int, body: bytes) -> dict[str, str]:
    """The three headers of a webhook; the id stays the same when it is sent again."""
    signed = b".".join((message_id.encode(), str(seconds).encode(), body))
    digest = base64.b64encode(hmac.digest(_key(secret), signed, "sha256")).decode()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(seconds),
        "webhook-signature": f"v1,{digest}",
    }


def webhook_refusal(secret: str, headers: Mapping[str, str], body: bytes, now: float) -> str:
    """Why a webhook is not what it claims to be, in words; empty if its signature is right.

    headers: with names in lower case. now: seconds since 1970.
    """
    name, stamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    given = headers.get("webhook-signature", "")
    if not (name and stamp and given):
        return "unsigned"
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= _STAMP_DIGITS):
        return "its time is no number of seconds"
    if abs(now - int(stamp)) > TOLERANCE_SECONDS:
        return f"its time is more than {TOLERANCE_SECONDS} s from this machine's"
    right = webhook_headers(secret, name, int(stamp), body)["webhook-signature"].removeprefix("v1,")
    signatures = [text.partition(",") for text in given.split(" ")[:_MOST_SIGNATURES]]
    matches = [version == "v1" and same(value, right) for version, _, value in signatures]
    return "" if any(matches) else "its signature is not right"


@lru_cache(maxsize=4)
def _key(secret: str) -> bytes:
    return base64.b64decode(secret.removeprefix(_PREFIX))


def address_signature(key: bytes, *parts: str) -> str:
    """Signs an address; parts cannot run into one another, as each carries its length."""
    text = "".join(f"{len(part)}:{part}" for part in parts)
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def same(given: str, right: str) -> bool:
    """Whether two secrets are equal, in a time that does not tell where they differ."""
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), right.encode())
