"""Publishing to S3-compatible storage by boto3: keys PREFIX/NAME/…, checksums only where they are required.

boto3's newer default, a checksum with every upload, is what B2, R2 and older MinIO refuse.
"""

import mimetypes
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from luxscaler.errors import PublishError, one_line
from luxscaler.publishing.destinations import Network, S3Destination
from luxscaler.publishing.package import Package

_PROBE = ".luxscaler-write-check"
_ATTEMPTS = 3
_CONNECT_SECONDS = 10.0
_KEYS = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken", "AuthFailure"}


def check(destination: S3Destination, network: Network) -> None:
    """Write an empty object under the prefix and remove it again. Raises PublishError.

    Where the keys may write but not delete, that object stays.
    """
    key = _key(destination, _PROBE)
    with _translated(destination):
        client = _client(destination, network)
        client.put_object(Bucket=destination.bucket, Key=key, Body=b"")
        _remove(client, destination.bucket, key)


def send(package: Package, destination: S3Destination, network: Network) -> str:
    """Upload all files, large ones in parts; the s3:// address that they begin with. Raises PublishError."""
    from boto3.s3.transfer import TransferConfig  # noqa: PLC0415 - an extra

    with _translated(destination):
        client = _client(destination, network)
        for name, path in package.files.items():
            kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
            key = _key(destination, f"{package.name}/{name}")
            extra = {"ContentType": kind}
            # One thread: results are few, and threads would hide which file failed.
            config = TransferConfig(use_threads=False)
            client.upload_file(str(path), destination.bucket, key, ExtraArgs=extra, Config=config)
    return f"s3://{destination.bucket}/{_key(destination, package.name)}/"


def _client(destination: S3Destination, network: Network) -> Any:
    import boto3  # noqa: PLC0415
    import botocore.session  # noqa: PLC0415
    from botocore.config import Config  # noqa: PLC0415

    config = Config(
        signature_version="s3v4",
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        connect_timeout=min(_CONNECT_SECONDS, network.timeout),
        read_timeout=network.timeout,
        retries={"total_max_attempts": _ATTEMPTS, "mode": "standard"},
        proxies={"http": network.proxy, "https": network.proxy} if network.proxy else None,
        # MinIO and its like are reached by addresses that have no names for buckets.
        s3={"addressing_style": "path" if destination.endpoint else "auto"},
    )
    session = botocore.session.Session()
    session.register_component("data_loader", _descriptions())
    return boto3.session.Session(botocore_session=session).client(
        "s3",
        region_name=destination.region or None,
        endpoint_url=destination.endpoint or None,
        aws_access_key_id=destination.key_id or None,
        aws_secret_access_key=destination.secret or None,
        aws_session_token=destination.session_token or None,
        verify=network.ca_bundle or None,
        config=config,
    )


@cache
def _descriptions() -> Any:
    """boto3's descriptions of S3; kept, since to read them takes a second."""
    from botocore.loaders import create_loader  # noqa: PLC0415

    return create_loader()


def _remove(client: Any, bucket: str, key: str) -> None:
    from botocore.exceptions import ClientError  # noqa: PLC0415

    try:
        client.delete_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") not in ("AccessDenied", "Unauthorized", "403"):
            raise


def _key(destination: S3Destination, name: str) -> str:
    return f"{destination.prefix}/{name}" if destination.prefix else name


@contextmanager
def _translated(destination: S3Destination) -> Iterator[None]:
    """PublishError, without keys, of what boto3 raises."""
    try:
        from boto3.exceptions import Boto3Error  # noqa: PLC0415
        from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise PublishError(f"{error.name} is not installed: pip install 'luxscaler[s3]' brings it") from error
    where = f"s3://{destination.bucket}" + (f" at {destination.endpoint}" if destination.endpoint else "")
    try:
        yield
    except NoCredentialsError as error:
        raise PublishError(f"{where} needs keys: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY") from error
    except ClientError as error:
        raise PublishError(f"{where} {_refusal(error.response, destination)}") from error
    except (BotoCoreError, Boto3Error, OSError, ValueError) as error:
        cause = error.__context__
        if isinstance(error, Boto3Error) and isinstance(cause, ClientError):
            raise PublishError(f"{where} {_refusal(cause.response, destination)}") from error
        raise PublishError(f"{where} cannot be used: {_without(str(error), destination)}") from error


def _refusal(response: Any, destination: S3Destination) -> str:
    """What a refusal means, with the server's own code."""
    code = str(response.get("Error", {}).get("Code", ""))[:60]
    if code in _KEYS:
        return f"does not accept the keys ({code}): look at AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    if code in ("NoSuchBucket", "404"):
        return "does not exist (NoSuchBucket)"
    if code in ("AccessDenied", "403"):
        return "may not be written with these keys (AccessDenied)"
    message = _without(str(response.get("Error", {}).get("Message", "")), destination)
    return f"refuses: {message} ({code})"


def _without(text: str, destination: S3Destination) -> str:
    for secret in (destination.secret, destination.session_token, destination.key_id):
        text = text.replace(secret, "…") if secret else text
    return one_line(text)
