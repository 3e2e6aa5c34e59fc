"""The launches for pictures of one size, with their memory, planned once.

Feature maps are stored in planes of 32 channels, twice as many where a number is two halves. A dense block
reads the planes of its input and the planes of growth that all blocks share; three maps take turns as input,
result and outer residual. Upsampling (RRDBNet.reconstruct) goes over the features in strips of rows, so that
its memory is bounded. Block shapes are the defaults; autotune.py picks better ones.
"""

import torch
from torch import Tensor

from luxscaler.inference.cuda.abi import ConvolutionArguments
from luxscaler.inference.cuda.kernel_source import PLANE
from luxscaler.inference.cuda.kernels import Kernels
from luxscaler.inference.cuda.launches import (
    FeatureMap,
    Launch,
    Residual,
    convolution,
    first_convolution,
    last_convolution,
)
from luxscaler.inference.cuda.packed_network import FEATURES, GROWTH, PackedConvolution, PackedNetwork
from luxscaler.networks.rrdb import RECONSTRUCT_RADIUS, RESIDUAL_SCALE

STRIP_BYTES = 2**27
"""Bytes of a strip's feature map at four times the size; two of them exist at once."""
MOST_PIXELS = 2**26
"""Pixels of a feature map: the kernels' offsets within a plane are 32-bit counts of halves."""
_PAIR = FEATURES // PLANE


class LaunchPlan:
    """`picture` (in, rows, columns) float32 → `out` (3, 4·rows, 4·columns) float32, by `run`."""

    def __init__(self, weights: PackedNetwork, kernels: Kernels, rows: int, columns: int) -> None:
        """Raises torch.OutOfMemoryError if the device lacks memory or the picture exceeds MOST_PIXELS."""
        if rows * columns > MOST_PIXELS:
            raise torch.OutOfMemoryError(
                f"{columns} × {rows} pixels are more than the kernels can address in one run"
            )
        self._weights, self._kernels = weights, kernels
        self.launches: list[Launch] = []
        self.maps: list[Tensor] = []
        """All feature maps."""
        self.picture = kernels.empty((weights.first.inputs, rows, columns), torch.float32)
        self.out = kernels.empty((3, 4 * rows, 4 * columns), torch.float32)
        self._enlarge(self._extract(rows, columns))
        # Every other launch runs from the bottom up: it begins with rows that are still in the cache.
        for index, launch in enumerate(self.launches):
            if isinstance(launch.arguments, ConvolutionArguments):
                launch.arguments.upwards = index % 2

    def run(self) -> None:
        """Start all launches."""
        for launch in self.launches:
            launch.start(self._kernels)

    def _map(self, planes: int, rows: int, columns: int) -> FeatureMap:
        shape = (planes * self._kernels.parts, rows, columns, PLANE)
        self.maps.append(self._kernels.empty(shape, torch.float16))
        return FeatureMap.whole(self.maps[-1])

    def _extract(self, rows: int, columns: int) -> FeatureMap:
        """The launches of RRDBNet.extract; returns its result."""
        first, *pairs = (self._map(_PAIR, rows, columns) for _ in range(4))
        growth = self._map(4 * GROWTH // PLANE, rows, columns)
        self.launches.append(first_convolution(self._weights.first, self.picture, first))
        x = first
        for block in self._weights.blocks:
            root = x
            one, two = [pair for pair in pairs if pair is not root][:2]
            for index, (dense, target) in enumerate(zip(block, (one, two, one), strict=True)):
                self._dense(dense, x, growth, target, root if index == 2 else None)
                x = target
        features = next(pair for pair in pairs if pair is not x)
        self.launches.append(convolution(self._weights.body, x, features, inner=Residual(first, 1.0)))
        return features

    def _dense(
        self,
        layers: list[PackedConvolution],
        x: FeatureMap,
        growth: FeatureMap,
        target: FeatureMap,
        root: FeatureMap | None,
    ) -> None:
        """The launches of a ResidualDenseBlock; `root`: the input of the RRDB that ends with it."""
        each = GROWTH // PLANE * self._kernels.parts
        for index, layer in enumerate(layers[:-1]):
            grown = FeatureMap.whole(growth.planes[index * each : (index + 1) * each])
            self.launches.append(convolution(layer, x, grown, tail=growth, leaky=True))
        outer = None if root is None else Residual(root, RESIDUAL_SCALE)
        inner = Residual(x, RESIDUAL_SCALE)
        self.launches.append(convolution(layers[-1], x, target, tail=growth, inner=inner, outer=outer))

    def _enlarge(self, features: FeatureMap) -> None:
        """The launches of RRDBNet.reconstruct, strip by strip."""
        rows, columns, reach, weights = features.rows, features.columns, RECONSTRUCT_RADIUS, self._weights
        most = max(STRIP_BYTES // (4 * 4 * FEATURES * 2 * self._kernels.parts * columns), 4 * reach)
        height = min(most, rows + 2 * reach)  # with the rows that the strip depends on
        side = height - 2 * reach
        doubled = self._map(_PAIR, 2 * height, 2 * columns)
        one, two = (self._map(_PAIR, 4 * height, 4 * columns) for _ in range(2))
        for start in range(0, rows, side):
            stop = min(start + side, rows)
            first, last = max(start - reach, 0), min(stop + reach, rows)
            seen = last - first
            source = FeatureMap(features.planes, first, last)
            half, full, fine = (
                FeatureMap(doubled.planes, 0, 2 * seen),
                *(FeatureMap(m.planes, 0, 4 * seen) for m in (one, two)),
            )
            self.launches.append(convolution(weights.up1, source, half, leaky=True))
            self.launches.append(convolution(weights.up2, half, full, leaky=True))
            self.launches.append(convolution(weights.fine, full, fine, leaky=True))
            kept = range(4 * (start - first), 4 * (stop - first))
            self.launches.append(last_convolution(weights.last, fine, self.out, kept, 4 * first))
