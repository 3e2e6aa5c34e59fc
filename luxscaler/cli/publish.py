"""`luxscaler publish`, and publishing after `luxscaler train`: options and environment become
destinations."""

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from luxscaler.cli.terminal import JsonOption, one_line_errors, tell, tell_error, write_event
from luxscaler.errors import InputError, PublishError, StoppedError

if TYPE_CHECKING:
    from luxscaler.publishing.destinations import Destination
    from luxscaler.publishing.package import Package


@dataclass(frozen=True)
class Wishes:
    """Where the user wants a result published; an empty field: not there."""

    hub: str = ""
    s3: str = ""
    folder: Path | None = None
    s3_endpoint: str = ""
    public: bool = False

    def destinations(self) -> "list[Destination]":
        """The destinations, with their secrets from the environment. Raises InputError and PublishError."""
        if self.public and not self.hub:
            raise InputError("--public is about the Hub, and no repository of it is named")
        if self.s3_endpoint and not self.s3:
            raise InputError(f"--s3-endpoint is {self.s3_endpoint!r}, and no s3://BUCKET is named")
        if not (self.hub or self.s3 or self.folder):
            return []
        from luxscaler.publishing.destinations import FolderDestination, hub_of, s3_of  # noqa: PLC0415

        found: list[Destination] = []
        if self.folder:
            found.append(FolderDestination(self.folder))
        if self.s3:
            found.append(s3_of(self.s3, os.environ, endpoint=self.s3_endpoint))
        if self.hub:
            found.append(hub_of(self.hub, os.environ, public=self.public))
        return found

    def command(self, file: Path) -> str:
        """The command line that publishes `file` there."""
        words = ["luxscaler", "publish", str(file)]
        words += [*(["--hub", self.hub] if self.hub else []), *(["--s3", self.s3] if self.s3 else [])]
        words += ["--s3-endpoint", self.s3_endpoint] if self.s3_endpoint else []
        words += ["--folder", str(self.folder)] if self.folder else []
        return shlex.join(words + ["--public"] * self.public)


def publish(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A trained network, a tar of one, any file.")],
    hub: Annotated[
        str, typer.Option(help="OWNER/NAME at the Hugging Face Hub; HF_TOKEN has to be set.")
    ] = "",
    s3: Annotated[str, typer.Option(help="s3://BUCKET/PREFIX, with AWS's environment variables.")] = "",
    folder: Annotated[Path | None, typer.Option(help="A folder on this machine.")] = None,
    s3_endpoint: Annotated[str, typer.Option(help="URL of storage other than AWS, e.g. MinIO.")] = "",
    public: Annotated[bool, typer.Option("--public", help="The Hub repository may be public.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Publish `file`, a trained network with its card, figures and samples."""
    with one_line_errors(as_json=as_json):
        wishes = Wishes(hub, s3, folder, s3_endpoint, public)
        destinations = wishes.destinations()
        if not destinations:
            raise InputError("nowhere to publish to: give --hub, --s3 or --folder")
        publish_to(file, destinations, wishes, as_json=as_json)


def check_all(destinations: "Sequence[Destination]") -> None:
    """Raise PublishError for the first destination that cannot be written."""
    if destinations:
        from luxscaler.publishing.publish import check  # noqa: PLC0415

        for destination in destinations:
            check(destination)


def publish_to(
    file: Path, destinations: "Sequence[Destination]", wishes: Wishes, *, as_json: bool = False
) -> None:
    """Publish `file` to all destinations; one that fails does not stop the others.

    Raises InputError for the file, PublishError in the end if any failed, StoppedError on Ctrl-C.
    """
    if not destinations:
        return
    from luxscaler.publishing.package import packaged  # noqa: PLC0415

    with packaged(file) as package:
        try:
            tries = [_sent(package, destination, as_json=as_json) for destination in destinations]
        except KeyboardInterrupt as error:
            raise StoppedError(f"stopped; {file} stays here; again: {wishes.command(file)}") from error
    failures = [each for each in tries if each is not None]
    if failures:
        raise PublishError(
            f"{file} is not published everywhere, and stays here as it is; again: {wishes.command(file)}"
        ) from failures[0]


def _sent(package: "Package", destination: "Destination", *, as_json: bool) -> PublishError | None:
    """Publish and print where; if that fails, print the error and return it."""
    from luxscaler.publishing.publish import publish as send  # noqa: PLC0415

    try:
        place = send(package, destination)
    except PublishError as error:
        tell_error(error, as_json=as_json)
        return error
    if as_json:
        write_event("published", place=place)
    else:
        tell(f"published at {place}")
    return None
