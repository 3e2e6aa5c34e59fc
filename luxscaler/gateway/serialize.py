"""Predictions, trainings and uploads as the API's JSON.

The body of a webhook is what a GET of the same moment gives; files in it are addresses (Settings.outputs).
"""

import json
import mimetypes
from hashlib import sha256
from typing import Any

from luxscaler.clock import iso
from luxscaler.cog.data_urls import CONTENT_TYPES, file_as_data_url
from luxscaler.cog.messages import Json
from luxscaler.cog.reply import FILE_KEY
from luxscaler.gateway.addresses import Addresses
from luxscaler.gateway.file_store import FileStore
from luxscaler.gateway.run import Run
from luxscaler.gateway.settings import Settings
from luxscaler.gateway.store import StoredFile


class Serializer:
    """Makes the JSON of one gateway."""

    def __init__(self, settings: Settings, addresses: Addresses, files: FileStore) -> None:
        self._settings, self._addresses, self._files = settings, addresses, files

    def body(self, run: Run) -> bytes:
        """A run as the bytes of a reply."""
        return json.dumps(self.document(run)).encode()

    def delivered(self, run: Run) -> bytes:
        """A run as a webhook's bytes: files are addresses there, unless all are to be data URLs."""
        outputs = "data" if self._settings.outputs == "data" else "url"
        return json.dumps(self.document(run, outputs)).encode()

    def listed(self, run: Run) -> Json:
        """A run in a list: no file is read for it, outputs are always addresses."""
        return self.document(run, outputs="url")

    def document(self, run: Run, outputs: str = "") -> Json:
        """A run as the API's JSON. outputs: how files are shown, if not as the settings say."""
        address = self._addresses.api(f"{run.kind}/{run.id}")
        outputs = outputs or self._settings.outputs
        if run.kind == "trainings" and outputs == "auto":
            outputs = "url"  # the official clients make no files to read of a training's output
        shown: Json = {
            "id": run.id,
            "model": run.model,
            "version": run.version,
            "input": run.input,
            "logs": run.logs,
            "output": self._output(run, outputs),
            "data_removed": run.data_removed,
            "error": run.error,
            "source": "api",
            "status": run.status,
            "created_at": iso(run.created_at),
            "started_at": iso(run.started_at),
            "completed_at": iso(run.completed_at),
            "metrics": _metrics(run),
            "urls": {
                "get": address,
                "cancel": f"{address}/cancel",
                "web": address,  # no pages for people here
            },
        }
        if run.kind == "trainings":
            shown |= {"destination": run.destination, "output": _of_training(run, shown["output"])}
        if run.deadline is not None:
            shown["deadline"] = iso(run.deadline)
        if run.webhook:
            shown |= {"webhook": run.webhook, "webhook_events_filter": list(run.events)}
        return shown

    def unfinished(self, run: Run) -> Json:
        """The reply of a create whose `Prefer: wait` ran out: `starting`, although it may have begun.

        The official clients take any other status for the end, and would return no output.
        """
        shown = self.document(run)
        return shown if run.is_over else shown | {"status": "starting", "output": None}

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

    def _output(self, run: Run, outputs: str) -> Any:
        expires = (run.completed_at or run.created_at) + self._settings.retention_seconds

        def shown(value: Any) -> Any:
            if isinstance(value, dict):
                if FILE_KEY in value:
                    return self._file_output(run.id, str(value[FILE_KEY]), expires, outputs)
                return {key: shown(item) for key, item in value.items()}
            return [shown(item) for item in value] if isinstance(value, list) else value

        return shown(run.output)

    def _file_output(self, prediction: str, name: str, expires: float, outputs: str) -> str | None:
        path = self._files.output(prediction, name)
        if outputs == "auto":
            small = path is not None and path.stat().st_size <= self._settings.data_bytes
            outputs = "data" if small and not self._settings.base_url.startswith("https:") else "url"
        if outputs == "url":
            return self._addresses.output(prediction, name, expires)
        return file_as_data_url(content_type(name), path) if path else None


def content_type(name: str) -> str:
    """The content type for a file's name, by its suffix."""
    known = CONTENT_TYPES.get(name[name.rfind(".") :].lower())
    return known or mimetypes.guess_type(name)[0] or "application/octet-stream"


def _of_training(run: Run, output: Any) -> Any:
    """The output of a training, with the name of the version that Replicate would build of the weights.

    The Python client reads that name; nothing is built here.
    """
    if output is None:
        return None
    version = f"{run.destination}:{sha256(run.id.encode()).hexdigest()}"
    return {"version": version, **(output if isinstance(output, dict) else {"weights": output})}


def _metrics(run: Run) -> Json:
    if run.completed_at is None:
        return {}
    return {**run.metrics, "total_time": round(run.completed_at - run.created_at, 6)}
