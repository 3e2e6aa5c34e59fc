"""JPEG without a file is what libjpeg makes of a picture."""

from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image

from luxscaler.training.jpeg import through_jpeg
from tests.support.training_files import picture


@pytest.mark.parametrize("quality", [10, 40, 75, 95])
def test_as_libjpeg(quality: int) -> None:
    image = picture(4, 93)
    file = BytesIO()
    image.save(file, "JPEG", quality=quality, subsampling="4:2:0")
    reference = np.asarray(Image.open(file).convert("RGB"), np.float32)
    source = torch.from_numpy(np.array(image, np.float32)).permute(2, 0, 1)[None] / 255
    made = (through_jpeg(source, quality)[0].permute(1, 2, 0) * 255).numpy()
    ours, theirs = np.abs(made - reference).mean(), np.abs(reference - np.asarray(image, np.float32)).mean()
    assert made.shape == reference.shape
    assert ours < 0.25 * theirs + 0.5, (ours, theirs)
