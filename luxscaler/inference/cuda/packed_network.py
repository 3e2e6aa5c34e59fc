"""An RRDBNet's weights on a device, in the order in which the kernels read them."""

from torch import Tensor, nn

from luxscaler.inference.cuda import packing
from luxscaler.inference.cuda.kernel_source import CHUNK
from luxscaler.inference.cuda.kernels import Kernels
from luxscaler.networks.rrdb import RRDB, RRDBNet

FEATURES, GROWTH = 64, 32
"""The size of network that the kernels are written for: that of the published RRDBNets."""


class PackedConvolution:
    """A 3 × 3 convolution's weights and bias, on the device."""

    def __init__(self, conv: nn.Conv2d, weights: Tensor, kernels: Kernels) -> None:
        """weights: packed by packing.py, for the parts of these kernels."""
        self.inputs, self.outputs = conv.in_channels, conv.out_channels
        self.both = conv.in_channels // CHUNK * kernels.parts
        """Chunks of 16 channels in all planes of the input."""
        self.chunks = weights.shape[0]
        """Chunks that are multiplied, some of them more than once."""
        self.unscale = 1.0 if kernels.parts == 1 else 1.0 / packing.weight_scale(conv)
        self.weights = kernels.upload(weights)
        self.bias = kernels.upload(packing.bias_of(conv))


class PackedNetwork:
    """The weights of a network with 64 features and growth 32; the network itself is not changed."""

    def __init__(self, network: RRDBNet, kernels: Kernels) -> None:
        parts = kernels.parts

        def of(*convs: nn.Conv2d) -> list[PackedConvolution]:
            return [
                PackedConvolution(conv, packing.convolution_weights(conv, parts), kernels) for conv in convs
            ]

        self.first = PackedConvolution(network.conv_first, packing.first_weights(network.conv_first), kernels)
        self.blocks: list[list[list[PackedConvolution]]] = []
        """[block][dense block][convolution]"""
        for block in network.body:
            assert isinstance(block, RRDB)  # noqa: S101 - what RRDBNet builds
            dense = (block.rdb1, block.rdb2, block.rdb3)
            self.blocks.append([of(d.conv1, d.conv2, d.conv3, d.conv4, d.conv5) for d in dense])
        enlarging = (network.conv_body, *network.enlarging, network.conv_hr)
        self.body, self.up1, self.up2, self.fine = of(*enlarging)
        self.last = PackedConvolution(
            network.conv_last, packing.last_weights(network.conv_last, parts), kernels
        )


def is_supported(network: RRDBNet) -> bool:
    """Whether the kernels can run this network."""
    config = network.config
    sizes = (config.features, config.growth, config.out_channels)
    return config.is_common and sizes == (FEATURES, GROWTH, 3)
