"""One picture in, one larger picture out: device, precision and memory.

Wraps a network of networks/: codes linear light into what the network wants and back, runs the network on
pieces that fit into memory, blends them, and resizes to the scale asked for. Values above 1 and below 0
survive (code_values.py).
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from luxscaler.errors import InputError, UpscaleError, one_line
from luxscaler.geometry import output_size
from luxscaler.inference.cpu.support import has_bf16
from luxscaler.inference.eager import PlainNetwork
from luxscaler.inference.prepare import prepared
from luxscaler.networks.build import AnyNetwork
from luxscaler.networks.foreign import ForeignConfig, ForeignNetwork, gives_finite
from luxscaler.options import UpscalerOptions
from luxscaler.upscaling import code_values, tiled
from luxscaler.upscaling.alpha_limits import limit_to_source
from luxscaler.upscaling.back_projection import LAMP, keep_averages, keep_lights
from luxscaler.upscaling.channels import check_channels, through

_DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
DECODE_ROWS = 256
"""Rows that are decoded at once, so that temporaries stay small beside the picture."""

FOREIGN_TILE, _LEAST_OVERLAP = 256, 32
"""Most that a network of another library sees at once, and what its tiles share at least, in source pixels:
attention takes many times the memory of convolutions."""


def foreign_overlap(config: ForeignConfig) -> int:
    """What tiles of a network of another library share: a quarter at each side is context (tiled.py).

    As much as their grid at least, so that they end where a window ends too.
    """
    return max(_LEAST_OVERLAP, config.grid, 4 * config.context)


PixelProgress = Callable[[int, int], None]
"""Called with (source pixels done, source pixels in all)."""


def resolve_device(name: str) -> torch.device:
    """The device of that name; "auto": CUDA, else MPS, else the CPU. Raises InputError where it is absent."""
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        name = next(kind for kind in ("cuda", "mps", "cpu") if available[kind])
    if not available[name]:
        raise InputError(f"device is {name!r}, which PyTorch does not find on this machine; take auto or cpu")
    return torch.device(name)


def resolve_precision(name: str, device: torch.device) -> str:
    """The precision "fp32", "fp16" or "bf16"; "auto": fp16 on CUDA, else fp32.

    Raises InputError where the device cannot compute in it.
    """
    if name == "auto":
        return "fp16" if device.type == "cuda" else "fp32"
    if name == "fp16" and device.type == "cpu":
        raise InputError("precision is 'fp16', which the CPU computes slowly: take fp32 or bf16")
    if name == "bf16" and device.type == "cpu" and not has_bf16():
        raise InputError(
            "precision is 'bf16', which oneDNN does not compute on this processor "
            "(x86-64 needs AVX-512 or AVX-NE-CONVERT): take fp32"
        )
    return name


class Upscaler:
    """A network on a device. It keeps nothing of the pictures that it upscales."""

    def __init__(self, network: AnyNetwork, options: UpscalerOptions = UpscalerOptions()) -> None:
        """Moves the network to the device.

        Raises InputError when the device or precision is not available, or the network gives no finite values
        in it; WeightsError when the network is not for grey, RGB or RGBA pictures.
        """
        self._channels = (network.config.in_channels, network.config.out_channels)
        check_channels(*self._channels)
        self.options = options
        self.device = resolve_device(options.device)
        self.precision = resolve_precision(options.precision, self.device)
        if isinstance(network, ForeignNetwork) and options.precision == "auto" and not network.config.fp16:
            self.precision = "fp32"
        self.dtype = _DTYPES[self.precision]
        self.native_scale = network.config.scale
        network = network.eval().requires_grad_(False)
        self._unshuffle = network.config.unshuffle
        self._network = prepared(network, self.device, self.dtype) or PlainNetwork(
            network, self.device, self.dtype
        )
        self._grid = network.config.grid
        self._tile, self._overlap = options.tile, options.shared
        self._foreign, self._sees_all = "", False
        if isinstance(network, ForeignNetwork):
            self._foreign = network.config.architecture
            self._sees_all = network.config.sees_all
            self._tile = options.tile if self._sees_all else min(options.tile, FOREIGN_TILE)
            self._overlap = min(options.overlap or foreign_overlap(network.config), self._tile // 2)
            if self.precision != "fp32":
                self._check_finite(network)

    def _check_finite(self, network: ForeignNetwork) -> None:
        """Other libraries' networks, of which few are made for half precision, are tried before any work."""
        if not gives_finite(self._network, network.config, self.device):
            raise InputError(
                f"precision is {self.precision!r}, in which this {network.config.architecture} gives "
                "no finite values: take fp32"
            )

    def notices(self, scale: float, *, is_part: bool = False) -> tuple[str, ...]:
        """What a user should know about results at that scale, one line each.

        is_part: whether what is upscaled is a part of a picture.
        """
        said: tuple[str, ...] = ()
        if scale != self.native_scale:
            said += (f"the model's own scale is {self.native_scale}: its result is resampled to {scale:g}",)
        if is_part and self._sees_all:
            said += (f"{self._foreign} goes by all that it sees, here a part: the parts may not match",)
        return said

    @torch.inference_mode()
    def upscale(
        self,
        rgb: Tensor,
        scale: float,
        *,
        faithful: bool = False,
        origin: tuple[int, int] = (0, 0),
        progress: PixelProgress | None = None,
    ) -> Tensor:
        """Upscale linear light.

        rgb: (H, W, 3) float32, linear Rec.709, 1.0 = SDR white, unbounded, finite, on any device. scale: 1 to
        8, or 16. faithful: keep the light that every source pixel measured (back_projection.py), noise
        included. origin: row and column at which a tile begins in its picture: the network's windows then lie
        as in the whole. Returns (round(scale·H), round(scale·W), 3) float32 on the upscaler's device, within
        the range that `rgb` spans, widened to [0, 1]; of faithful lamps see back_projection.keep_lights.

        Raises InputError for a scale out of range, UpscaleError when the network's output is not finite or
        memory does not suffice even for the smallest tile.
        """
        out_width, out_height = output_size(rgb.shape[1], rgb.shape[0], scale)
        low, high = min(0.0, float(rgb.min())), max(1.0, float(rgb.max()))
        code = code_values.encode(rgb.to(self.device).permute(2, 0, 1)[None])
        within = code.clamp(0.0, 1.0)
        enlarged = self._run(within, progress, origin).clamp_(0.0, 1.0)
        if low < 0.0 or high > 1.0:
            _add_outside(enlarged, code.sub_(within))
        picture = _decoded(enlarged, low, high)
        del enlarged, code, within
        if faithful:
            light = rgb.to(self.device)
            keep_lights(keep_averages(picture, light).clamp_(low, high), light)
            high = max(high, float(picture.max())) if high > LAMP else high
        return _at_size(picture, out_height, out_width, low, high).contiguous()

    @torch.inference_mode()
    def upscale_alpha(
        self,
        alpha: Tensor,
        scale: float,
        *,
        origin: tuple[int, int] = (0, 0),
        progress: PixelProgress | None = None,
    ) -> Tensor:
        """Upscale coverage by the same network, so that its edges match those of the colour.

        alpha: (H, W) float32 in [0, 1], on any device. scale, origin, progress and errors as in `upscale`.
        Returns (round(scale·H), round(scale·W)) float32 on the upscaler's device, within the range that the
        source has around each pixel (alpha_limits.py): flat areas stay exactly what they are.
        """
        out_width, out_height = output_size(alpha.shape[1], alpha.shape[0], scale)
        first = alpha.flatten()[0]
        if bool((alpha == first).all()):
            return first.to(self.device).expand(out_height, out_width).contiguous()
        code = alpha.to(self.device)[None, None].expand(1, 3, -1, -1)
        result = self._run(code, progress, origin).mean(1, keepdim=True)
        if (out_height, out_width) != tuple(result.shape[2:]):
            result = _resize(result, out_height, out_width)
        return limit_to_source(result[0, 0].contiguous(), code[0, 0])

    def _run(self, code: Tensor, progress: PixelProgress | None, origin: tuple[int, int]) -> Tensor:
        """1×3×H×W code → 1×3×(n·H)×(n·W) float32, n the native scale, in tiles as memory demands."""
        top, left = (start % self._grid for start in origin)
        code = _mirrored(code, top, left)
        run = tiled.TiledRun(
            lambda piece: self._forward(piece, run.within),
            self.native_scale,
            self._tile,
            self._overlap,
            progress,
            self._grid,
        )
        out = run(code)[:, :, top * self.native_scale :, left * self.native_scale :]
        if not bool(torch.isfinite(torch.stack(out.aminmax())).all()):  # NaN is both the least and the most
            advice = "" if self.precision == "fp32" else "; try precision fp32"
            raise UpscaleError(f"the network gave values that are not finite in {self.precision}{advice}")
        return out

    def _forward(self, code: Tensor, step: Callable[[float], None]) -> Tensor:
        """The network on one piece: 1×3×h×w float32 → 1×3×(n·h)×(n·w) float32."""
        height, width = code.shape[2:]
        right, bottom = -width % self._unshuffle, -height % self._unshuffle
        if right or bottom:
            code = F.pad(code, (0, right, 0, bottom), mode="replicate")
        try:
            made = through(self._network, *self._channels, code, step)
        except (RuntimeError, ValueError, TypeError, IndexError) as error:
            if not self._foreign or tiled.is_out_of_memory(error):
                raise
            raise UpscaleError(
                f"{self._foreign}, a network of spandrel's, fails on {width} × {height} source pixels: "
                f"{one_line(str(error))}"
            ) from error
        return made[:, :, : height * self.native_scale, : width * self.native_scale]


def _mirrored(code: Tensor, top: int, left: int) -> Tensor:
    """More rows above and columns at the left: mirrored as far as there are pixels, beyond that repeated."""
    if not top and not left:
        return code
    down, across = min(top, code.shape[2] - 1), min(left, code.shape[3] - 1)
    code = F.pad(code, (across, 0, down, 0), mode="reflect")
    return F.pad(code, (left - across, 0, top - down, 0), mode="replicate")


def _at_size(picture: Tensor, height: int, width: int, low: float, high: float) -> Tensor:
    """(H, W, 3) linear light to another size, within [low, high]."""
    if (height, width) == tuple(picture.shape[:2]):
        return picture
    if height > picture.shape[0] or width > picture.shape[1]:
        # In code values, where overshoot is even on both sides of an edge.
        code = code_values.encode(picture.permute(2, 0, 1)[None])
        return _decoded(_resize(code, height, width), low, high)
    # Averages of light must be taken in linear light.
    return _resize(picture.permute(2, 0, 1)[None], height, width)[0].permute(1, 2, 0).clamp_(low, high)


def _resize(picture: Tensor, height: int, width: int) -> Tensor:
    """1×C×H×W to another size by an anti-aliased cubic (Keys 1981, a = −0.5 as in Pillow)."""
    return F.interpolate(picture, (height, width), mode="bicubic", antialias=True, align_corners=False)


def _add_outside(code: Tensor, outside: Tensor) -> None:
    """Add, enlarged by interpolation, what of the code lies above 1 and below 0 and the network never saw.

    The network draws the range it was trained on at full contrast; highlights and out-of-gamut colours
    bypass it. Each side is clamped, or the interpolation would ring into the other.
    """
    size = (code.shape[2], code.shape[3])
    if bool((outside > 0.0).any()):
        code += F.interpolate(outside.clamp(min=0.0), size, mode="bicubic").clamp_(min=0.0)
    if bool((outside < 0.0).any()):
        code += F.interpolate(outside.clamp(max=0.0), size, mode="bicubic").clamp_(max=0.0)


def _decoded(code: Tensor, low: float, high: float) -> Tensor:
    """1×3×H×W code → H×W×3 linear light within [low, high], a band of rows at a time."""
    _, _, height, width = code.shape
    out = code.new_empty((height, width, 3))
    for start in range(0, height, DECODE_ROWS):
        band = code[0, :, start : start + DECODE_ROWS].permute(1, 2, 0).contiguous()
        out[start : start + DECODE_ROWS] = code_values.decode_(band).clamp_(low, high)
    return out
