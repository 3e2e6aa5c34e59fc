"""Builds a network from its configuration."""

from luxscaler.networks.rrdb import RRDBNet, RRDBNetConfig
from luxscaler.networks.srvgg import SRVGGConfig, SRVGGNetCompact

NetworkConfig = RRDBNetConfig | SRVGGConfig
Network = RRDBNet | SRVGGNetCompact


def build_network(config: NetworkConfig) -> Network:
    """The network of that size, with PyTorch's initial weights."""
    return RRDBNet(config) if isinstance(config, RRDBNetConfig) else SRVGGNetCompact(config)
