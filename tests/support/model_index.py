"""A made-up index of models on 127.0.0.1, with the files that it names."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

INDEX = "/api/v1/models.json"


@dataclass
class IndexServer:
    """What is served, by path, and what was asked for."""

    files: dict[str, bytes] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    ranges: list[str] = field(default_factory=list)
    """The Range of each request that had one."""
    most: int | None = None
    """Bytes of a body after which the connection is cut."""
    gives_parts: bool = True
    base: str = ""
    entries: dict[str, Any] = field(default_factory=dict)

    @property
    def index_url(self) -> str:
        return f"{self.base}{INDEX}"

    def add(self, name: str, data: bytes | None = None, **changes: Any) -> None:
        """A model of the index; data: its file, served as /NAME.pth."""
        urls = [f"{self.base}/{name}.pth"]
        resource: dict[str, Any] = {
            "platform": "pytorch",
            "type": "pth",
            "size": None,
            "sha256": None,
            "urls": urls,
        }
        if data is not None:
            self.files[f"/{name}.pth"] = data
            resource |= {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        resource |= changes.pop("resource", {})
        entry = {
            "name": name.partition("-")[2],
            "author": "somebody",
            "license": "CC-BY-4.0",
            "tags": ["photo"],
            "description": "Made up.",
            "date": "2026-01-01",
            "architecture": "esrgan",
            "size": None,
            "scale": 4,
            "inputChannels": 3,
            "outputChannels": 3,
            "resources": [resource],
        }
        self.entries[name] = entry | changes
        self.files[INDEX] = json.dumps(self.entries).encode()


@contextmanager
def index_server() -> Iterator[IndexServer]:
    """Serve an index until the block ends."""
    served = IndexServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.asked.append(self.path)
            data, status = served.files.get(self.path), 200
            if (asked := self.headers.get("Range")) and data is not None:
                served.ranges.append(asked)
                if served.gives_parts:
                    start = int(asked.removeprefix("bytes=").rstrip("-"))
                    status = 206 if start < len(data) else 416
                    data, whole = data[start:], len(data)
            self.send_response(404 if data is None else status)
            if status == 206:
                self.send_header("Content-Range", f"bytes {start}-{whole - 1}/{whole}")
            self.send_header("Content-Type", served.types.get(self.path, "application/octet-stream"))
            self.send_header("Content-Length", str(len(data or b"")))
            self.end_headers()
            self.wfile.write((data or b"")[: served.most])

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
            """Tests need no log."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    served.base = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
