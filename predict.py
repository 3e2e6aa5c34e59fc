"""The container's entry: Cog inputs → luxscaler.pipeline.stages → one file. Nothing else happens here.

`predict` is a coroutine so that Cog may have the next tile computed while one is written (cog.yaml:
concurrency; luxscaler/pipeline/server.py).

Every input is checked again behind this file, because a Cog server without a built schema enforces nothing.
Defaults and limits are literals: Cog reads them from the source without running it. The two pictures are
`Path` for that reading alone; see the end of this file.
"""

import os
from typing import Optional

from cog import BasePredictor, Input, Path

from luxscaler.spinning import spin_briefly

spin_briefly()  # before PyTorch is imported, by the following

from luxscaler.isolation.pool import warm_up  # noqa: E402
from luxscaler.pipeline.closing import Closing  # noqa: E402
from luxscaler.pipeline.inputs import request_from_inputs  # noqa: E402
from luxscaler.pipeline.remote import FetchSettings  # noqa: E402
from luxscaler.pipeline.server import TileServer  # noqa: E402
from luxscaler.upscaling.model_cache import TRAINED, Models  # noqa: E402


class Predictor(BasePredictor):  # type: ignore[misc] # no types; Cog also calls this a runner; `predict` is the name of the guide
    """One tile in, one file out."""

    def setup(self, weights: Optional[str] = None) -> None:  # noqa: UP045 - as above
        """Load the network, so that the first prediction does not wait for it.

        weights: what a training of train.py gave, as Replicate names it to the versions it builds.
        """
        fetching = FetchSettings.of(os.environ)
        warm_up()
        models = Models(trained=str(weights) if weights else None)
        on_gpu = models(TRAINED if weights else "photo").device.type == "cuda"
        slots = int(os.environ.get("COG_MAX_CONCURRENCY", "1"))  # cog.yaml's concurrency, as Cog builds it in
        closing = Closing.of(os.environ)
        self.tiles = TileServer(models, overlap=on_gpu, slots=slots, fetching=fetching, closing=closing)

    async def predict(
        self,
        tile_input: Path = Input(
            description="The tile: JPEG, PNG, WebP, TIFF, EXR, HDR, AVIF or JPEG XL, 8 bits to float"
        ),
        global_reference: Optional[Path] = Input(  # noqa: UP045 - the form that Cog's schema builder documents
            description="The whole master at any size: gives tone statistics and trusted low frequencies",
            default=None,
        ),
        tile_box: str = Input(
            description="Where the tile sits in the master: x,y,width,height in fractions; empty: searched",
            default="",
        ),
        output_format: str = Input(
            description="SDR: webp, png, tiff16. Float masters: exr, tiff, jxl. HDR: png-pq, avif, jpg",
            default="webp",
            choices=["webp", "png", "tiff", "tiff16", "exr", "png-pq", "avif", "jxl", "jpg"],
        ),
        hdr_boost: float = Input(
            description="Multiplier of the dynamic range of all but webp, png and tiff16; 1 is none",
            default=1.0,
            ge=1.0,
            le=49.0,
        ),
        fractality: float = Input(
            description="Detail: 1 is neutral, above is rougher, below smoother", default=1.0, ge=0.0, le=2.0
        ),
        scale: float = Input(description="Output size / input size", default=4.0, ge=1.0, le=8.0),
        model: str = Input(
            description="Network", default="photo", choices=["photo", "anime", "fast", "trained"]
        ),
        sdr: bool = Input(
            description="Read the SDR picture of a file whose gain map makes an HDR one of it", default=False
        ),
        exr_type: str = Input(
            description="Samples of exr. half: half the size, error up to 0.05 %, clipped beyond 65504",
            default="float",
            choices=["float", "half"],
        ),
        exr_compression: str = Input(
            description="Codec of exr. pxr24, dwaa and dwab lose bits; auto loses none and fits the picture",
            default="auto",
            choices=["auto", "zip", "zips", "piz", "pxr24", "dwaa", "dwab", "rle", "none"],
        ),
        profile: str = Input(
            description="Colours of the file; acescg and ap0 for exr, tiff and jxl alone",
            default="srgb",
            choices=["srgb", "display-p3", "adobe-rgb", "prophoto", "rec2020", "acescg", "ap0"],
        ),
        layer: str = Input(description="Layer of an EXR tile_input; empty: the main one", default=""),
        part: int = Input(description="Part of an EXR tile_input, from 1; 0: the first", default=0, ge=0),
        wrap: str = Input(
            description="Edges that meet, of a whole picture (a texture, a panorama)",
            default="none",
            choices=["none", "x", "y", "xy"],
        ),
        width: int = Input(description="Width of a whole picture's result; 0: by scale", default=0, ge=0),
        height: int = Input(description="Its height; give one of these four at most", default=0, ge=0),
        long_edge: int = Input(description="Its longer side in pixels", default=0, ge=0),
        megapixels: float = Input(description="Its millions of pixels", default=0.0, ge=0.0),
    ) -> Path:
        """Upscale one tile."""
        inputs = dict(locals())  # on the first line: nothing but the inputs
        request = request_from_inputs(**{name: inputs[name] for name in inputs if name != "self"})
        result = await self.tiles.process(request)
        for stage, seconds in result.timings.items():
            self.record_metric(f"timing.{stage}", round(seconds, 4))
        self.record_metric("output.width", result.width)
        self.record_metric("output.height", result.height)
        self.record_metric("output.peak", result.peak)
        for notice in result.notices:
            print(notice)  # Cog's way of logging: the prediction's `logs`
        return Path(result.path)


# Cog's builder reads `Path` above and gives the two inputs `format: uri`, which a web form shows as a field
# for a file. A running server reads the annotations of the function instead: of a `Path` it makes a file, any
# file of this disk or what any address gives, without limits, and in a thread whose start a cancel can break
# for good. Told that they are text, it hands them over as they came, and LuxScaler fetches them.
Predictor.predict.__annotations__.update(tile_input=str, global_reference=str | None)
