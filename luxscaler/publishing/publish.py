"""The one way to publish: check the destinations, then send the files to each.

    destination = hub_of("owner/name", os.environ)      # or s3_of, FolderDestination
    check(destination)                                   # before anything that takes long
    with packaged(path) as package:                      # a trained network, a tar of one, any file
        where = publish(package, destination)

Sending reads the files and changes none of them, so a failed one loses nothing and can be repeated; files of
the same names at the destination are replaced.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from luxscaler.publishing import folder, hub, s3
from luxscaler.publishing.destinations import (
    Destination,
    FolderDestination,
    HubDestination,
    Network,
    S3Destination,
)
from luxscaler.publishing.package import Package

DEFAULT_NETWORK = Network()
_CHECKS: Mapping[type, Callable[[Any, Network], None]] = MappingProxyType(
    {HubDestination: hub.check, S3Destination: s3.check, FolderDestination: folder.check}
)
_SENDERS: Mapping[type, Callable[[Package, Any, Network], str]] = MappingProxyType(
    {HubDestination: hub.send, S3Destination: s3.send, FolderDestination: folder.send}
)


def check(destination: Destination, network: Network = DEFAULT_NETWORK) -> None:
    """Find out whether files can be written there: signs in, and makes a repository or folder that is absent.

    Raises PublishError, whose text holds no secret.
    """
    _CHECKS[type(destination)](destination, network)


def publish(package: Package, destination: Destination, network: Network = DEFAULT_NETWORK) -> str:
    """Send all files of a package; where they are now, as a URL or path. Raises PublishError."""
    return _SENDERS[type(destination)](package, destination, network)
