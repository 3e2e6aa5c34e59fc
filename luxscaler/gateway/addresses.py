"""Addresses that the gateway gives out: made, checked and taken apart here, and nowhere else.

Files are read by address alone, without the bearer token: an address says until when it holds and is signed.
The form of an upload's is Replicate's: /v1/files/ID/download?expiry&owner&signature.
"""

import math
import re
from collections.abc import Callable
from urllib.parse import quote, urlencode

from luxscaler.gateway.problems import Problem
from luxscaler.gateway.settings import Settings
from luxscaler.replicate.signing import address_signature, same

OWNER = "local"
"""The one account's user name."""
_FILE = re.compile(r"/v1/files/([a-z0-9]{26})(?:/download)?/?(?:\?[^#]*)?")


class Addresses:
    """Makes and checks the addresses of one gateway."""

    def __init__(self, settings: Settings, key: bytes) -> None:
        self._settings = settings
        self._key = key

    def api(self, path: str, **query: str) -> str:
        """The address of a resource of the API, e.g. api("predictions/x")."""
        return f"{self._settings.base_url}/v1/{path}{'?' + urlencode(query) if query else ''}"

    def output(self, prediction: str, name: str, expires: float) -> str:
        """The signed address of a result's file. expires: seconds since 1970."""
        until = str(math.ceil(expires))
        signature = address_signature(self._key, "output", prediction, name, until)
        query = urlencode({"expiry": until, "signature": signature})
        return f"{self._settings.base_url}/outputs/{prediction}/{quote(name)}?{query}"

    def check_output(self, prediction: str, name: str, expiry: str, signature: str, now: float) -> None:
        """Raises Problem: another's signature, or too late."""
        right = address_signature(self._key, "output", prediction, name, expiry)
        self._check(signature, right, expiry, now)

    def download(self, name: str, expires: float) -> str:
        """The signed address of an upload's bytes, for containers. expires: seconds since 1970."""
        until = str(math.ceil(expires))
        signature = address_signature(self._key, "file", OWNER, name, until)
        query = urlencode({"expiry": until, "owner": OWNER, "signature": signature})
        return f"{self._settings.address_for_cog}/v1/files/{name}/download?{query}"

    def check_download(self, name: str, owner: str, expiry: str, signature: str, now: float) -> None:
        """Raises Problem: another's signature, or too late."""
        right = address_signature(self._key, "file", owner, name, expiry)
        self._check(signature, right, expiry, now)

    def progress(self, prediction: str) -> str:
        """The signed address at which a container reports the progress of a prediction."""
        signature = address_signature(self._key, "progress", prediction)
        return f"{self._settings.address_for_cog}/internal/cog/{prediction}/{signature}"

    def check_progress(self, prediction: str, signature: str) -> None:
        """Raise Problem for a signature that is not that of the prediction."""
        if not same(signature, address_signature(self._key, "progress", prediction)):
            raise Problem(403, "The signature is wrong")

    def for_cog(self, text: str, upload: Callable[[str], str]) -> str:
        """An input's value, as a container can use it: our own addresses are replaced.

        upload: gives what stands for the upload of that id.
        """
        base = self._settings.base_url
        if not text.startswith(base + "/"):
            return text
        path = text.removeprefix(base)
        if found := _FILE.fullmatch(path):
            return upload(found[1])
        return self._settings.address_for_cog + path

    @staticmethod
    def _check(signature: str, right: str, expiry: str, now: float) -> None:
        if not same(signature, right):
            raise Problem(403, "The signature is wrong")
        if now > int(expiry):  # signed by us, so it is a number
            raise Problem(403, "The address has expired")
