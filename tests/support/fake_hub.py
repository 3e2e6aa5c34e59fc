"""A stand-in for the Hugging Face Hub on 127.0.0.1: what huggingface_hub asks for to publish a model.

    with fake_hub() as hub:
        hub.url                         # HF_ENDPOINT
        hub.tokens["hf_x"] = "alice"    # tokens that are accepted, and whose they are
        hub.readers.add("hf_x")         # tokens that may only read
        hub.expired.add("hf_y")
        hub.repos["alice/model"]        # Repo: private, files (name to bytes), commits
        hub.refuse["PUT"] = 403         # every request of that method, or "POST /commit", gets this status
        hub.seen                        # every request: method, path, headers, body

Files with these suffixes go by Git LFS as at the Hub, all others inside the commit.
"""

import base64
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

Json = dict[str, Any]
LFS = (".safetensors", ".png", ".tar")


@dataclass
class Repo:
    """One repository."""

    private: bool
    files: dict[str, bytes] = field(default_factory=dict)
    commits: list[str] = field(default_factory=list)


@dataclass
class FakeHub:
    """What the Hub knows, and what it was asked."""

    url: str = ""
    tokens: dict[str, str] = field(default_factory=lambda: {"hf_good": "alice"})
    readers: set[str] = field(default_factory=set)
    expired: set[str] = field(default_factory=set)
    repos: dict[str, Repo] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    """Uploads by their SHA-256."""
    refuse: dict[str, int] = field(default_factory=dict)
    answers: dict[str, Any] = field(default_factory=dict)
    """JSON for a path, instead of the Hub's own."""
    seen: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    server: "_Server"
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._answer("GET")

    def do_POST(self) -> None:
        self._answer("POST")

    def do_PUT(self) -> None:
        self._answer("PUT")

    def _answer(self, method: str) -> None:
        hub, path = self.server.hub, urlsplit(self.path).path
        body = self._body()
        headers = {name.lower(): value for name, value in self.headers.items()}
        hub.seen.append((method, self.path, headers, body))
        for rule, status in hub.refuse.items():
            wanted, _, part = rule.partition(" ")
            if wanted == method and part in path:
                self._send(status, {"error": "told to refuse"})
                return
        if method == "PUT":  # to storage, by a signed address: without the token
            assert "Authorization" not in self.headers
            digest = sha256(body).hexdigest()
            assert path == f"/storage/{digest}"
            hub.objects[digest] = body
            self._send(200, {})
            return
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if token not in hub.tokens:
            expired = token in hub.expired
            said = 'User Access Token "mine" is expired' if expired else "Invalid username or password."
            self._send(401, {"error": said})
            return
        self._signed_in(method, path, body, token)

    def _signed_in(self, method: str, path: str, body: bytes, token: str) -> None:
        hub, user = self.server.hub, self.server.hub.tokens[token]
        values: Json = {} if path.endswith("/commit/main") else json.loads(body or b"{}")
        if path in hub.answers:
            self._send(200, hub.answers[path])
        elif path == "/api/whoami-v2":
            self._send(200, {"type": "user", "name": user, "orgs": []})
        elif path == "/api/validate-yaml":
            self._send(200, {"warnings": [], "errors": []})
        elif path == "/api/repos/create":
            repo = f"{values['organization'] or user}/{values['name']}"
            if token in hub.readers or not repo.startswith(f"{user}/"):
                self._send(403, {"error": "You don't have the rights to create a model under this namespace"})
            else:
                hub.repos[repo] = Repo(values.get("visibility") == "private")
                self._send(200, {"url": f"{hub.url}/{repo}"})
        elif found := re.fullmatch(r"/api/models/([^/]+/[^/]+)(/.*)?", path):
            self._of_repo(method, found[1], found[2] or "", values, body, token)
        elif found := re.fullmatch(r"/([^/]+/[^/]+)\.git/info/lfs/objects/batch", path):
            self._send(
                200, {"transfer": "basic", "objects": [self._place(each) for each in values["objects"]]}
            )
        else:
            self._send(404, {"error": f"unknown: {method} {path}"})

    def _of_repo(self, method: str, name: str, rest: str, values: Json, body: bytes, token: str) -> None:
        repo, user = self.server.hub.repos.get(name), self.server.hub.tokens[token]
        if repo is None:
            self._send(404, {"error": "Repository not found"}, RepoNotFound=True)
        elif not rest:
            self._send(200, {"_id": "1", "id": name, "private": repo.private, "sha": "0" * 40, "tags": []})
        elif token in self.server.hub.readers or not name.startswith(f"{user}/"):
            self._send(403, {"error": "Forbidden"})
        elif rest == "/auth-check/write":
            self._send(200, {})
        elif rest == "/preupload/main":
            modes = [
                {
                    "path": each["path"],
                    "uploadMode": "lfs" if each["path"].endswith(LFS) else "regular",
                    "shouldIgnore": False,
                }
                for each in values["files"]
            ]
            self._send(200, {"files": modes})
        elif rest == "/commit/main":
            self._commit(repo, name, [json.loads(line) for line in body.splitlines()])
        else:
            self._send(404, {"error": f"unknown: {method} {rest}"})

    def _place(self, each: Json) -> Json:
        address = {"href": f"{self.server.hub.url}/storage/{each['oid']}"}
        there = each["oid"] in self.server.hub.objects
        return {
            "oid": each["oid"],
            "size": each["size"],
            **({} if there else {"actions": {"upload": address}}),
        }

    def _commit(self, repo: Repo, name: str, lines: list[Json]) -> None:
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                repo.files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                repo.files[value["path"]] = self.server.hub.objects[value["oid"]]
        repo.commits.append(str(lines[0]["value"]["summary"]))
        url = f"{self.server.hub.url}/{name}/commit/{'1' * 40}"
        self._send(200, {"commitUrl": url, "commitOid": "1" * 40})

    def _body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _send(self, status: int, reply: Any, RepoNotFound: bool = False) -> None:  # noqa: N803 - the header's value
        data = json.dumps(reply).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        if RepoNotFound:
            self.send_header("X-Error-Code", "RepoNotFound")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Tests need no log."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    hub: FakeHub


@contextmanager
def fake_hub() -> Iterator[FakeHub]:
    """A Hub for the time of the block; hf_good is alice's token."""
    hub = FakeHub()
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.hub = hub
        hub.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield hub
        finally:
            server.shutdown()
            thread.join()
