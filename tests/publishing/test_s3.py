"""Publishing to S3, by the real boto3 against moto's server and against storage that takes no checksums."""

import logging
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from luxscaler.errors import InputError, PublishError
from luxscaler.publishing.destinations import S3Destination, s3_of
from luxscaler.publishing.package import packaged
from luxscaler.publishing.publish import check, publish
from tests.support.published import write_trained

KEYS = {"AWS_ACCESS_KEY_ID": "AKIAcanaryCANARY", "AWS_SECRET_ACCESS_KEY": "secretCanarySecretCanary"}


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    from moto.server import ThreadedMotoServer  # and Flask: a second that no other file's worker needs

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="module")
def storage(endpoint: str) -> Any:
    import boto3

    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="a",
        aws_secret_access_key="b",
    )
    client.create_bucket(Bucket="results")
    return client


def _objects(storage: Any, prefix: str) -> dict[str, bytes]:
    found = storage.list_objects_v2(Bucket="results", Prefix=prefix).get("Contents", [])
    return {
        each["Key"].removeprefix(prefix): storage.get_object(Bucket="results", Key=each["Key"])["Body"].read()
        for each in found
    }


def _send(model: Path, destination: S3Destination) -> str:
    with packaged(model) as package:
        return publish(package, destination)


@pytest.mark.slow
def test_a_training_goes_below_the_prefix(storage: Any, endpoint: str, tmp_path: Path) -> None:
    model = write_trained(tmp_path)
    destination = s3_of("s3://results/trainings/july/", {**KEYS, "AWS_ENDPOINT_URL_S3": endpoint})
    check(destination)
    assert _objects(storage, "trainings/") == {}  # the check leaves nothing
    assert _send(model, destination) == "s3://results/trainings/july/mine/"
    objects = _objects(storage, "trainings/july/mine/")
    assert objects["mine.safetensors"] == model.read_bytes()
    assert b"27.13" in objects["README.md"]
    assert {"mine.adapter.safetensors", "report.html", "metrics.jsonl", "samples/0000006.png"} < set(objects)
    head = storage.head_object(Bucket="results", Key="trainings/july/mine/samples/0000006.png")
    assert head["ContentType"] == "image/png"


@pytest.mark.slow
def test_no_answer_is_one_line() -> None:
    with pytest.raises(PublishError, match="cannot be used: Could not connect") as caught:
        check(s3_of("s3://results", KEYS, endpoint="http://127.0.0.1:9"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("https://bucket/x", "must be s3://BUCKET/PREFIX"),
        ("s3:/bucket", "must be s3://BUCKET/PREFIX"),
        ("s3://", "the bucket is ''"),
        ("s3://No/x", "the bucket is 'No'"),
        ("s3://bucket/a/../b", "the prefix is"),
        ("s3://bucket/a//b", "the prefix is"),
        ("s3://bucket/a\nb", "the prefix is"),
    ],
)
def test_an_address_that_is_none_is_refused(address: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        s3_of(address, KEYS)


def test_half_a_key_is_refused() -> None:
    with pytest.raises(PublishError, match="AWS_SECRET_ACCESS_KEY not set"):
        s3_of("s3://bucket", {"AWS_ACCESS_KEY_ID": "a"})


class _Strict(BaseHTTPRequestHandler):
    """Storage that knows no checksums, as B2 was; it keeps what it is sent."""

    protocol_version = "HTTP/1.1"
    kept: dict[str, bytes]
    refusal = ""

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        names = " ".join(self.headers.keys()).lower()
        if self.refusal or "x-amz-checksum" in names or "x-amz-trailer" in names or "algorithm" in names:
            self._send(403, f"<Error><Code>{self.refusal or 'InvalidArgument'}</Code></Error>".encode())
        else:
            self.kept[self.path] = body
            self._send(200, b"")

    def do_DELETE(self) -> None:
        self._send(403, b"<Error><Code>AccessDenied</Code></Error>")

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Tests need no log."""


@contextmanager
def _strict(refusal: str = "") -> Iterator[tuple[str, dict[str, bytes]]]:
    kept: dict[str, bytes] = {}
    handler = type("Handler", (_Strict,), {"kept": kept, "refusal": refusal})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", kept
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.slow
def test_no_checksum_is_sent_and_keys_that_may_not_delete_do(tmp_path: Path) -> None:
    with _strict() as (url, kept):
        destination = s3_of("s3://bucket/p", KEYS, endpoint=url)
        check(destination)
        model = write_trained(tmp_path)
        _send(model, destination)
    assert kept["/bucket/p/mine/mine.safetensors"] == model.read_bytes()


@pytest.mark.slow
@pytest.mark.sample(2)
@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("AccessDenied", "may not be written with these keys"),
        ("InvalidAccessKeyId", r"does not accept the keys \(InvalidAccessKeyId\)"),
        ("NoSuchBucket", "s3://bucket at http.* does not exist"),
        ("ExpiredToken", "does not accept the keys"),
    ],
)
def test_a_refusal_says_what_to_do_and_shows_no_key(
    code: str, said: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    model = write_trained(tmp_path)
    with _strict(code) as (url, _):
        destination = s3_of("s3://bucket/p", KEYS, endpoint=url)
        with pytest.raises(PublishError, match=said):
            check(destination)
        with pytest.raises(PublishError, match=said) as caught:
            _send(model, destination)
    text = "".join(traceback.format_exception(caught.value)) + caplog.text + repr(destination)
    assert not any(key in text for key in KEYS.values())
