"""Makes the picture at the top of the README: ./.venv/bin/python benchmarks/readme_picture.py

Left the sample tile enlarged ×4 by a cubic, middle LuxScaler, right with hdr_boost 4, shown two stops darker:
what an SDR picture shows as one white is lamps of different brightness there.
"""

import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from luxscaler.color import encode_srgb
from luxscaler.io.read import read_picture
from luxscaler.pipeline.request import UpscaleRequest
from luxscaler.pipeline.stages import process
from luxscaler.upscaling.model_cache import Models

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "docs" / "sample"
TARGET = ROOT / "docs" / "before-after.webp"
BOX = (0, 340, 420, 768)
"""left, top, right, bottom of what is shown, in pixels of the result."""
GAP = 8


def main() -> None:
    """Upscale, cut, place side by side, save."""
    models = Models()
    with tempfile.TemporaryDirectory() as folder:
        plain = upscaled(models, Path(folder) / "plain.exr", 1.0)
        boosted = upscaled(models, Path(folder) / "boosted.exr", 4.0)
    tile = Image.fromarray(to_bytes(read_picture(SAMPLE / "tile.png").rgb))
    cubic = tile.resize((plain.shape[1], plain.shape[0]), Image.Resampling.BICUBIC)
    panels = [cubic, Image.fromarray(to_bytes(plain)), Image.fromarray(to_bytes(boosted / 4.0))]
    width, height = BOX[2] - BOX[0], BOX[3] - BOX[1]
    sheet = Image.new("RGB", (3 * width + 2 * GAP, height), "white")
    for index, panel in enumerate(panels):
        sheet.paste(panel.crop(BOX), (index * (width + GAP), 0))
    sheet.save(TARGET, quality=88)


def upscaled(models: Models, path: Path, boost: float) -> np.ndarray:
    """The sample tile through the pipeline, as linear light."""
    request = UpscaleRequest(SAMPLE / "tile.png", SAMPLE / "master.jpg", output_format="exr", hdr_boost=boost)
    process(request, models, path)
    return read_picture(path).rgb


def to_bytes(linear: np.ndarray) -> np.ndarray:
    """Linear light → 8-bit sRGB, clipped."""
    return np.round(encode_srgb(np.clip(linear, 0.0, 1.0)) * 255.0).astype(np.uint8)


if __name__ == "__main__":
    main()
