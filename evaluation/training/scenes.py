"""Scenes for training: parts and views of HDR pictures, mirrored, with other colours and contrast.

HDR pictures are few, so many scenes are made of each: panoramas are seen through lenses of many angles, all
pictures are cut, and light is raised to a power near 1.
"""

import math

import numpy as np
import torch
from numpy.random import Generator
from torch.nn import functional as F

from luxscaler.color import luminance
from luxscaler.picture import FloatArray

SIDE = 512
"""Longest side of a picture before it is varied."""
VIEW_SHARE, CUT_SHARE = 0.45, 0.35
"""How often a panorama is looked at through a lens, and a picture is cut."""
VIEW_SIDES = ((192, 192), (144, 288), (168, 216), (216, 168))
"""Rows and columns of views."""
SEAM = 8
"""Columns repeated behind a panorama's last, so that a view may cross its seam."""
LEAST_SIDE = 96
TINY = 1e-7


def fitted(rgb: FloatArray) -> FloatArray:
    """Reduced by areas to at most SIDE a side."""
    height, width = rgb.shape[:2]
    if max(height, width) <= SIDE:
        return rgb
    ratio = SIDE / max(height, width)
    planes = torch.from_numpy(np.ascontiguousarray(rgb)).permute(2, 0, 1)[None]
    size = (max(1, round(height * ratio)), max(1, round(width * ratio)))
    return F.interpolate(planes, size, mode="area")[0].permute(1, 2, 0).numpy()


def varied(scene: FloatArray, is_panorama: bool, rng: Generator) -> FloatArray:
    """A scene made of (H, W, 3) linear light, at most SIDE a side."""
    kind = rng.random()
    if is_panorama and kind < VIEW_SHARE:
        scene = view(scene, rng)
    elif kind < VIEW_SHARE + CUT_SHARE:
        scene = _cut(scene, rng)
    if rng.random() < 0.5:
        scene = scene[:, ::-1]
    scene = scene * np.exp(rng.normal(0, 0.12, 3)).astype(np.float32)
    if rng.random() < 0.5:
        light = np.maximum(luminance(scene), TINY)
        power = np.float32(np.exp(rng.normal(0, 0.2)) - 1)
        scene = scene * ((light / np.median(light)) ** power)[..., None]
    return np.ascontiguousarray(scene, np.float32)


def view(panorama: FloatArray, rng: Generator) -> FloatArray:
    """An equirectangular panorama through a lens of 55° to 110°, tilted by at most 20°."""
    rows, columns = VIEW_SIDES[rng.integers(0, len(VIEW_SIDES))]
    reach = math.tan(math.radians(rng.uniform(55, 110)) / 2)
    tilt, turn = rng.uniform(-0.35, 0.35), rng.uniform(0, 2 * math.pi)
    y, x = np.meshgrid(
        (np.arange(rows) + 0.5) / rows * 2 - 1, (np.arange(columns) + 0.5) / columns * 2 - 1, indexing="ij"
    )
    ray = np.stack([x * reach, -y * reach * rows / columns, np.ones_like(x)], -1)
    ray /= np.linalg.norm(ray, axis=-1, keepdims=True)
    up = ray[..., 1] * math.cos(tilt) + ray[..., 2] * math.sin(tilt)
    ahead = ray[..., 2] * math.cos(tilt) - ray[..., 1] * math.sin(tilt)
    longitude, latitude = np.arctan2(ray[..., 0], ahead) + turn, np.arcsin(np.clip(up, -1, 1))
    width = panorama.shape[1]
    planes = torch.from_numpy(np.ascontiguousarray(panorama)).permute(2, 0, 1)[None]
    planes = torch.cat([planes, planes[..., :SEAM]], -1)
    across = (longitude / (2 * math.pi)) % 1 * width / (width + SEAM) * 2 - 1
    at = torch.from_numpy(np.stack([across, -latitude / (math.pi / 2)], -1).astype(np.float32))
    seen = F.grid_sample(planes, at[None], align_corners=False, padding_mode="border")
    return seen[0].permute(1, 2, 0).numpy()


def _cut(scene: FloatArray, rng: Generator) -> FloatArray:
    height, width = scene.shape[:2]
    part = rng.uniform(0.4, 1)
    rows = min(max(LEAST_SIDE, int(height * part)), height)
    columns = min(max(LEAST_SIDE, int(width * min(1, part * rng.uniform(0.7, 1.4)))), width)
    top, left = int(rng.integers(0, height - rows + 1)), int(rng.integers(0, width - columns + 1))
    return scene[top : top + rows, left : left + columns]
