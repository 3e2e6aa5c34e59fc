"""One launch of a kernel, its arguments filled in; feature maps as the kernels see them."""

from dataclasses import dataclass, field

from torch import Tensor

from luxscaler.inference.cuda import kernel_source
from luxscaler.inference.cuda.abi import (
    ConvolutionArguments,
    FirstConvolutionArguments,
    KernelArguments,
    LastConvolutionArguments,
)
from luxscaler.inference.cuda.kernel_source import CHUNK, PLANE, BlockShape
from luxscaler.inference.cuda.kernels import Kernels
from luxscaler.inference.cuda.packed_network import PackedConvolution


@dataclass(frozen=True)
class FeatureMap:
    """Rows [first, last) of a feature map, (planes, all rows, columns, 32) float16.

    Where a number is two halves, planes of high and of low halves alternate.
    """

    planes: Tensor
    first: int
    last: int

    @classmethod
    def whole(cls, planes: Tensor) -> "FeatureMap":
        """All rows."""
        return cls(planes, 0, planes.shape[1])

    @property
    def rows(self) -> int:
        """The number of rows."""
        return self.last - self.first

    @property
    def columns(self) -> int:
        """Pixels of a row."""
        return self.planes.shape[2]

    @property
    def address(self) -> int:
        """Address of the first row in the first plane."""
        return self.planes[:, self.first :].data_ptr()

    @property
    def stride(self) -> int:
        """Halves from one plane to the next."""
        return self.planes.stride(0)


@dataclass
class Launch:
    """A kernel with its grid and arguments; `keep` owns the memory that the arguments point to."""

    arguments: KernelArguments
    name: str
    grid: tuple[int, int]
    threads: int
    shared: int
    keep: tuple[object, ...] = field(repr=False)
    shapes: tuple[BlockShape, ...] = ()
    """The block shapes in which a convolution can run; `use` sets one."""
    target: FeatureMap | None = None
    """The feature map that it writes; None if it writes the picture."""

    @property
    def kind(self) -> tuple[int, ...]:
        """The kind of a convolution: launches of one kind take the same time."""
        arguments, shape = self.arguments, self.shapes[0]
        return (arguments.chunks, arguments.rows, arguments.columns, shape.outputs, shape.shift)

    def use(self, shape: BlockShape) -> None:
        """Run the convolution in blocks of this shape."""
        arguments = self.arguments
        columns = arguments.columns << shape.shift
        rows = arguments.last - arguments.first
        self.grid = _grid(rows, columns, shape.height, shape.width)
        self.name, self.threads, self.shared = shape.name, shape.threads, shape.shared

    def start(self, kernels: Kernels) -> None:
        """Start it on the device."""
        kernels.launch(self.name, self.grid, self.threads, self.shared, self.arguments)


@dataclass(frozen=True)
class Residual:
    """result = base + scale · result; `base` is as large as the result."""

    base: FeatureMap
    scale: float


def convolution(
    layer: PackedConvolution,
    head: FeatureMap,
    target: FeatureMap,
    *,
    tail: FeatureMap | None = None,
    leaky: bool = False,
    inner: Residual | None = None,
    outer: Residual | None = None,
) -> Launch:
    """A convolution over the planes of `head`, followed by as many planes of `tail` as the layer needs.

    If the target is twice as large as the input, a nearest ×2 step comes first. The target must not be an
    input.
    """
    shift = int(target.columns == 2 * head.columns)
    shapes = kernel_source.candidates(layer.outputs, shift)
    arguments = ConvolutionArguments(
        head=head.address,
        tail=None if tail is None else tail.address,
        weights=layer.weights.data_ptr(),
        bias=layer.bias.data_ptr(),
        inner=None if inner is None else inner.base.address,
        outer=None if outer is None else outer.base.address,
        target=target.address,
        source_stride=head.stride,
        target_stride=target.stride,
        head_planes=min(head.planes.shape[0], layer.both * CHUNK // PLANE),
        chunks=layer.chunks,
        both=layer.both,
        rows=head.rows,
        columns=head.columns,
        first=0,
        last=head.rows << shift,
        leaky=int(leaky),
        inner_scale=0.0 if inner is None else inner.scale,
        outer_scale=0.0 if outer is None else outer.scale,
        unscale=layer.unscale,
    )
    keep = (layer, head, target, tail, inner, outer)
    launch = Launch(arguments, "", (0, 0), 0, 0, keep, shapes, target)
    launch.use(shapes[0])
    return launch


def first_convolution(layer: PackedConvolution, picture: Tensor, target: FeatureMap) -> Launch:
    """The first convolution of the network. picture: (in, rows, columns) float32."""
    inputs, rows, columns = picture.shape
    arguments = FirstConvolutionArguments(
        source=picture.data_ptr(),
        weights=layer.weights.data_ptr(),
        bias=layer.bias.data_ptr(),
        target=target.address,
        target_stride=target.stride,
        inputs=inputs,
        rows=rows,
        columns=columns,
    )
    grid = _grid(rows, columns, kernel_source.FIRST_ROWS, kernel_source.FIRST_COLUMNS)
    keep = (layer, picture, target)
    return Launch(arguments, "first_convolution", grid, kernel_source.FIRST_THREADS, 0, keep, target=target)


def last_convolution(
    layer: PackedConvolution, source: FeatureMap, out: Tensor, rows: range, at: int
) -> Launch:
    """The last convolution of the network, of the given rows of `source`.

    Row 0 of the source is row `at` of `out`, (3, all rows, columns) float32.
    """
    arguments = LastConvolutionArguments(
        source=source.address,
        weights=layer.weights.data_ptr(),
        bias=layer.bias.data_ptr(),
        target=out.data_ptr(),
        source_stride=source.stride,
        target_stride=out.stride(0),
        offset=at * out.stride(1),
        chunks=layer.both,
        rows=source.rows,
        columns=source.columns,
        first=rows.start,
        last=rows.stop,
    )
    grid = _grid(len(rows), source.columns, kernel_source.LAST_ROWS, kernel_source.LAST_COLUMNS)
    keep = (layer, source, out)
    return Launch(
        arguments, "last_convolution", grid, kernel_source.LAST_THREADS, kernel_source.LAST_SHARED, keep
    )


def _grid(rows: int, columns: int, height: int, width: int) -> tuple[int, int]:
    """Number of blocks across and down."""
    return -(-columns // width), -(-rows // height)
