"""Builds a network of ours from its configuration; the names of all kinds of network."""

from luxscaler.networks.foreign import ForeignConfig, ForeignNetwork
from luxscaler.networks.rrdb import RRDBNet, RRDBNetConfig
from luxscaler.networks.srvgg import SRVGGConfig, SRVGGNetCompact

NetworkConfig = RRDBNetConfig | SRVGGConfig
Network = RRDBNet | SRVGGNetCompact
"""The networks that are written here: built from a configuration, trained, made fast."""
AnyConfig = NetworkConfig | ForeignConfig
AnyNetwork = Network | ForeignNetwork
"""Whatever enlarges pictures, networks of spandrel's included."""


def build_network(config: NetworkConfig) -> Network:
    """The network of that size, with PyTorch's initial weights."""
    return RRDBNet(config) if isinstance(config, RRDBNetConfig) else SRVGGNetCompact(config)
