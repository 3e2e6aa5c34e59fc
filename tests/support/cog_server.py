"""Starts the container's own HTTP server, Cog's, without Docker, and talks to it as a client would."""

import base64
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from luxscaler.cog.schema import PLACE, write_schema

ROOT = Path(__file__).resolve().parent.parent.parent
START_SECONDS = 60.0
PREDICTION_SECONDS = 120.0
STOP_SECONDS = 10.0


@dataclass(frozen=True)
class CogServer:
    """A running server."""

    url: str
    process: subprocess.Popen[bytes]
    temporary: Path
    """The server's TMPDIR: nothing else writes there."""

    def get(self, path: str) -> dict[str, Any]:
        """The JSON at a path."""
        return self._send(urllib.request.Request(self.url + path), 5.0)

    def status(self) -> str:
        """What the health check says, e.g. READY."""
        return str(self.get("/health-check")["status"])

    def is_ready(self) -> bool:
        """Whether the server takes predictions, at once or after a moment: its BUSY outlasts its replies."""
        deadline = time.monotonic() + STOP_SECONDS
        while (status := self.status()) == "BUSY" and time.monotonic() < deadline:
            time.sleep(0.01)
        return status == "READY"

    def predict(self, **inputs: object) -> dict[str, Any]:
        """The reply to POST /predictions, whether the prediction succeeded or not."""
        body = json.dumps({"input": inputs}).encode()
        request = urllib.request.Request(
            self.url + "/predictions", body, {"Content-Type": "application/json"}, method="POST"
        )
        deadline = time.monotonic() + STOP_SECONDS
        while True:
            try:
                return self._send(request, PREDICTION_SECONDS)
            except urllib.error.HTTPError as error:  # noqa: PERF203 - each try is a request
                # Cog answers a prediction a moment before its slot is free again.
                if error.code != 409 or time.monotonic() > deadline:
                    raise
                time.sleep(0.02)

    def put(self, name: str, **inputs: object) -> dict[str, Any]:
        """The reply to PUT /predictions/{name}, which is 409 when no slot is free."""
        body = json.dumps({"input": inputs}).encode()
        url = f"{self.url}/predictions/{name}"
        headers = {"Content-Type": "application/json"}
        return self._send(urllib.request.Request(url, body, headers, method="PUT"), PREDICTION_SECONDS)

    def cancel(self, name: str) -> None:
        """Cancel a prediction that was put; it has to be known."""
        url = f"{self.url}/predictions/{name}/cancel"
        with urllib.request.urlopen(urllib.request.Request(url, b"", method="POST"), timeout=5.0) as answer:
            assert answer.status == 200

    def file(self, **inputs: object) -> bytes:
        """The file that a prediction makes; it has to succeed."""
        return output_file(self.predict(**inputs))

    def error(self, **inputs: object) -> str:
        """The error of a prediction that has to fail."""
        reply = self.predict(**inputs)
        assert reply["status"] == "failed", reply["status"]
        assert not reply.get("output")
        return str(reply["error"])

    @staticmethod
    def _send(request: urllib.request.Request, seconds: float) -> dict[str, Any]:
        with urllib.request.urlopen(request, timeout=seconds) as answer:
            reply = json.load(answer)
        assert isinstance(reply, dict)
        return reply


def output_file(reply: Mapping[str, Any]) -> bytes:
    """The bytes of the data URL that a successful reply carries."""
    assert reply["status"] == "succeeded", reply.get("error")
    head, _, data = reply["output"].partition(",")
    assert head.startswith("data:")
    assert head.endswith(";base64")
    return base64.b64decode(data, validate=True)


@contextmanager
def built_cog_server(temporary: Path, **environment: str) -> Iterator[CogServer]:
    """A server that has a schema, as a built container, and so checks inputs itself."""
    folder = temporary / "built"  # servers that run meanwhile in ROOT have none
    folder.mkdir(parents=True)
    for name in ("predict.py", "train.py"):
        shutil.copy(ROOT / name, folder)
    write_schema(folder)
    with _started(temporary, (), folder, {"PYTHONPATH": str(ROOT), **environment}) as server:
        yield server


@contextmanager
def cog_server(
    temporary: Path, *arguments: str, cwd: Path | str = ROOT, **environment: str
) -> Iterator[CogServer]:
    """A server without a schema for the time of the block, its setup over: READY, or failed.

    cwd: the predictor's folder.
    """
    (Path(cwd) / PLACE).unlink(missing_ok=True)
    with _started(temporary, arguments, cwd, environment) as server:
        yield server


@contextmanager
def _started(
    temporary: Path, arguments: Sequence[str], cwd: Path | str, environment: Mapping[str, str]
) -> Iterator[CogServer]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    interpreters = Path(sys.executable).parent  # not resolved: a virtual environment's python is a link
    environ = {
        **os.environ,
        # Cog starts its worker as the `python` of PATH.
        "PATH": f"{interpreters}{os.pathsep}{os.environ.get('PATH', '')}",
        "PORT": str(port),
        "COG_PREDICT_TYPE_STUB": "predict.py:Predictor",
        "TMPDIR": str(temporary),
        "LUXSCALER_FETCH_ALLOW": "127.0.0.0/8",  # where the tests' own servers are
        **environment,
    }
    command = [sys.executable, "-m", "cog.server.http", "--host", "127.0.0.1", *arguments]
    with (temporary / "server.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=cwd, env=environ, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    server = CogServer(f"http://127.0.0.1:{port}", process, temporary)
    try:
        _wait(server)
        yield server
    finally:
        _stop(process)


def _wait(server: CogServer) -> None:
    """Until setup is over."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.process.poll() is None:
        try:
            if server.status() != "STARTING":
                return
        except OSError:
            pass
        time.sleep(0.05)
    log = (server.temporary / "server.log").read_text(errors="replace")
    raise AssertionError(f"the server did not start:\n{log}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask the server, then make it and its worker, which are a process group of their own, go."""
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        pass
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
