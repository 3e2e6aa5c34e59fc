"""What clients see: predictions and uploads as the API's JSON.

The body of a webhook is what a GET of the same moment gives; files in it are addresses (Settings.outputs).
"""

import json
import mimetypes
from typing import Any

from luxscaler.clock import iso
from luxscaler.cog.data_urls import CONTENT_TYPES, file_as_data_url
from luxscaler.cog.messages import Json
from luxscaler.cog.reply import FILE_KEY
from luxscaler.gateway.addresses import Addresses
from luxscaler.gateway.file_store import FileStore
from luxscaler.gateway.prediction import Prediction
from luxscaler.gateway.settings import Settings
from luxscaler.gateway.store import StoredFile


class Serializer:
    """Shows what one gateway keeps."""

    def __init__(self, settings: Settings, addresses: Addresses, files: FileStore) -> None:
        self._settings, self._addresses, self._files = settings, addresses, files

    def body(self, prediction: Prediction) -> bytes:
        """A prediction as the bytes of a reply."""
        return json.dumps(self.document(prediction)).encode()

    def delivered(self, prediction: Prediction) -> bytes:
        """A prediction as a webhook's bytes: files are addresses there, unless all are to be data URLs."""
        outputs = "data" if self._settings.outputs == "data" else "url"
        return json.dumps(self.document(prediction, outputs)).encode()

    def listed(self, prediction: Prediction) -> Json:
        """A prediction in a list: no file is read for it, outputs are always addresses."""
        return self.document(prediction, outputs="url")

    def document(self, prediction: Prediction, outputs: str = "") -> Json:
        """A prediction as the API's JSON. outputs: how files are shown, if not as the settings say."""
        address = self._addresses.api(f"predictions/{prediction.id}")
        shown: Json = {
            "id": prediction.id,
            "model": prediction.model,
            "version": prediction.version,
            "input": prediction.input,
            "logs": prediction.logs,
            "output": self._output(prediction, outputs or self._settings.outputs),
            "data_removed": prediction.data_removed,
            "error": prediction.error,
            "source": "api",
            "status": prediction.status,
            "created_at": iso(prediction.created_at),
            "started_at": iso(prediction.started_at),
            "completed_at": iso(prediction.completed_at),
            "metrics": _metrics(prediction),
            "urls": {
                "get": address,
                "cancel": f"{address}/cancel",
                "web": address,  # no pages for people here
            },
        }
        if prediction.deadline is not None:
            shown["deadline"] = iso(prediction.deadline)
        if prediction.webhook:
            shown |= {"webhook": prediction.webhook, "webhook_events_filter": list(prediction.events)}
        return shown

    def unfinished(self, prediction: Prediction) -> Json:
        """The reply of a create whose `Prefer: wait` ran out: `starting`, although it may have begun.

        The official clients take any other status for the end, and would return no output.
        """
        shown = self.document(prediction)
        return shown if prediction.is_over else shown | {"status": "starting", "output": None}

    def file(self, file: StoredFile) -> Json:
        """An upload as the API's JSON."""
        return {
            "id": file.id,
            "name": file.name,
            "content_type": file.content_type,
            "size": file.size,
            "etag": file.md5,
            "checksums": {"sha256": file.sha256, "md5": file.md5},
            "metadata": file.metadata,
            "created_at": iso(file.created_at),
            "expires_at": iso(file.expires_at),
            "urls": {"get": self._addresses.api(f"files/{file.id}")},
        }

    def _output(self, prediction: Prediction, outputs: str) -> Any:
        expires = (prediction.completed_at or prediction.created_at) + self._settings.retention_seconds

        def shown(value: Any) -> Any:
            if isinstance(value, dict):
                if FILE_KEY in value:
                    return self._file_output(prediction.id, str(value[FILE_KEY]), expires, outputs)
                return {key: shown(item) for key, item in value.items()}
            return [shown(item) for item in value] if isinstance(value, list) else value

        return shown(prediction.output)

    def _file_output(self, prediction: str, name: str, expires: float, outputs: str) -> str | None:
        path = self._files.output(prediction, name)
        if outputs == "auto":
            small = path is not None and path.stat().st_size <= self._settings.data_bytes
            outputs = "data" if small and not self._settings.base_url.startswith("https:") else "url"
        if outputs == "url":
            return self._addresses.output(prediction, name, expires)
        return file_as_data_url(content_type(name), path) if path else None


def content_type(name: str) -> str:
    """By the suffix of a file's name."""
    known = CONTENT_TYPES.get(name[name.rfind(".") :].lower())
    return known or mimetypes.guess_type(name)[0] or "application/octet-stream"


def _metrics(prediction: Prediction) -> Json:
    if prediction.completed_at is None:
        return {}
    return {**prediction.metrics, "total_time": round(prediction.completed_at - prediction.created_at, 6)}
