"""One launch of a kernel, its job filled in; feature maps as the kernels see them."""

from dataclasses import dataclass, field

from torch import Tensor

from luxscaler.inference.cuda import kernel_source
from luxscaler.inference.cuda.abi import ConvolutionJob, FirstJob, Job, LastJob
from luxscaler.inference.cuda.kernel_source import CHUNK, PLANE, Tile
from luxscaler.inference.cuda.kernels import Kernels
from luxscaler.inference.cuda.layers import Layer


@dataclass(frozen=True)
class Map:
    """Rows [first, last) of a feature map, (planes, all rows, columns, 32) float16."""

    planes: Tensor
    first: int
    last: int

    @classmethod
    def whole(cls, planes: Tensor) -> "Map":
        """All rows."""
        return cls(planes, 0, planes.shape[1])

    @property
    def rows(self) -> int:
        """How many."""
        return self.last - self.first

    @property
    def columns(self) -> int:
        """Pixels of a row."""
        return self.planes.shape[2]

    @property
    def address(self) -> int:
        """Of the first row in the first plane."""
        return self.planes[:, self.first :].data_ptr()

    @property
    def stride(self) -> int:
        """Halves from one plane to the next."""
        return self.planes.stride(0)


@dataclass
class Step:
    """A launch. `keep`: tensors that the job's addresses are of."""

    job: Job
    name: str
    grid: tuple[int, int]
    threads: int
    shared: int
    keep: tuple[object, ...] = field(repr=False)
    tiles: tuple[Tile, ...] = ()
    """Of a convolution, what it can be made in; `take` chooses."""
    target: Map | None = None
    """What it writes, if that is a feature map."""

    @property
    def kind(self) -> tuple[int, ...]:
        """Of a convolution: steps of one kind take equally long."""
        job, tile = self.job, self.tiles[0]
        return (job.chunks, job.rows, job.columns, tile.outputs, tile.shift)

    def take(self, tile: Tile) -> None:
        """Make a convolution in these tiles."""
        job = self.job
        columns = job.columns << tile.shift
        rows = job.last - job.first
        self.grid = _grid(rows, columns, tile.height, tile.width)
        self.name, self.threads, self.shared = tile.name, tile.threads, tile.shared

    def launch(self, kernels: Kernels) -> None:
        """Start it."""
        kernels.launch(self.name, self.grid, self.threads, self.shared, self.job)


@dataclass(frozen=True)
class Residual:
    """result = base + scale · result; `base` is as large as the result."""

    base: Map
    scale: float


def convolution(
    layer: Layer,
    head: Map,
    target: Map,
    *,
    tail: Map | None = None,
    leaky: bool = False,
    inner: Residual | None = None,
    outer: Residual | None = None,
) -> Step:
    """A convolution of the planes of `head` and then, as many as the layer wants, of `tail`.

    A target twice as large as the input makes the nearest ×2 step first. The target is none of the inputs.
    """
    shift = int(target.columns == 2 * head.columns)
    tiles = kernel_source.candidates(layer.outputs, shift)
    job = ConvolutionJob(
        head=head.address,
        tail=None if tail is None else tail.address,
        weights=layer.weights.data_ptr(),
        bias=layer.bias.data_ptr(),
        inner=None if inner is None else inner.base.address,
        outer=None if outer is None else outer.base.address,
        target=target.address,
        source_stride=head.stride,
        target_stride=target.stride,
        head_planes=min(head.planes.shape[0], layer.inputs // PLANE),
        chunks=layer.inputs // CHUNK,
        rows=head.rows,
        columns=head.columns,
        first=0,
        last=head.rows << shift,
        leaky=int(leaky),
        inner_scale=0.0 if inner is None else inner.scale,
        outer_scale=0.0 if outer is None else outer.scale,
    )
    keep = (layer, head, target, tail, inner, outer)
    step = Step(job, "", (0, 0), 0, 0, keep, tiles, target)
    step.take(tiles[0])
    return step


def first_convolution(layer: Layer, picture: Tensor, target: Map) -> Step:
    """picture: (in, rows, columns) float32."""
    inputs, rows, columns = picture.shape
    job = FirstJob(
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
    return Step(job, "first_convolution", grid, kernel_source.FIRST_THREADS, 0, keep, target=target)


def last_convolution(layer: Layer, source: Map, out: Tensor, rows: range, at: int) -> Step:
    """The rows of `source` in `rows`; its row 0 is row `at` of `out`, (3, all rows, columns) float32."""
    job = LastJob(
        source=source.address,
        weights=layer.weights.data_ptr(),
        bias=layer.bias.data_ptr(),
        target=out.data_ptr(),
        source_stride=source.stride,
        target_stride=out.stride(0),
        offset=at * out.stride(1),
        chunks=layer.inputs // CHUNK,
        rows=source.rows,
        columns=source.columns,
        first=rows.start,
        last=rows.stop,
    )
    grid = _grid(len(rows), source.columns, kernel_source.LAST_ROWS, kernel_source.LAST_COLUMNS)
    keep = (layer, source, out)
    return Step(job, "last_convolution", grid, kernel_source.LAST_THREADS, kernel_source.LAST_SHARED, keep)


def _grid(rows: int, columns: int, height: int, width: int) -> tuple[int, int]:
    """Blocks across and down."""
    return -(-columns // width), -(-rows // height)
