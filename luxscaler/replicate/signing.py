"""Signatures: of webhooks, as Replicate and Standard Webhooks make them, and of addresses of files.

Pure functions of keys and text; the gateway signs with them, and receivers of webhooks verify.
"""

import base64
import hashlib
import hmac
import secrets

_PREFIX = "whsec_"


def new_id() -> str:
    """26 lower-case letters and digits, as the API's ids are; 128 random bits."""
    return base64.b32encode(secrets.token_bytes(16)).decode().rstrip("=").lower()


def webhook_headers(secret: str, message_id: str, seconds: int, body: bytes) -> dict[str, str]:
    """The three headers of a webhook; the id stays the same when it is sent again."""
    key = base64.b64decode(secret.removeprefix(_PREFIX))
    signed = b".".join((message_id.encode(), str(seconds).encode(), body))
    digest = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(seconds),
        "webhook-signature": f"v1,{digest}",
    }


def address_signature(key: bytes, *parts: str) -> str:
    """Signs an address; parts cannot run into one another, as each carries its length."""
    text = "".join(f"{len(part)}:{part}" for part in parts)
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def same(given: str, right: str) -> bool:
    """Whether two secrets are equal, in a time that does not tell where they differ."""
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), right.encode())
