"""Recognises unsupported architectures by their state dicts, so that errors can name them."""

import re
from collections.abc import Mapping

from torch import Tensor

from luxscaler.errors import WeightsError

_SIGNATURES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("SRFormer", (r"layers\.0\.residual_group\.blocks\.0\.attn\.aligned_relative_position_index",)),
    ("SPSR", (r"f_HR_conv1\.0\.weight",)),
    ("EDSR", (r"head\.0\.weight", r"body\.0\.body\.0\.weight", r"tail\.0\.0\.weight")),
    ("SRResNet", (r"conv_first\.weight", r"(body|recon_trunk)\.0\.conv1\.weight", r"up_?conv1\.weight")),
    ("SRResNet", (r"model\.1\.sub\.0\.res\.0\.weight",)),
    ("SOFVSR", (r"OFR\..*",)),
    ("RIFE", (r"(flownet\.)?block0\.conv0\.0\.0\.weight",)),
    ("AdaCode", (r"weight_predictor\.blocks\.0\.swin_blks\.0\.residual_group\.blocks\.0\.norm1\.weight",)),
    ("FeMaSR", (r"multiscale_encoder\.in_conv\.weight", r"quantize_group\.0\.embedding\.weight")),
    ("CodeFormer", (r"position_emb", r"quantize\.embedding\.weight")),
    ("DDColor", (r"refine_net\.0\.0\.weight_orig", r"encoder\.arch\.downsample_layers\.0\.0\.weight")),
    ("MAT", (r"(model\.)?synthesis\.first_stage\.conv_first\.conv\.resample_filter",)),
    ("MIRNet2", (r"body\.0\.body\.0\.dau_top\.gcnet\.conv_mask\.weight",)),
    ("MPRNet", (r"shallow_feat1\.0\.weight", r"stage1_encoder\.encoder_level1\.0\.body\.2\.weight")),
    ("Restormer", (r"patch_embed\.proj\.weight", r"encoder_level1\.0\.attn\.qkv_dwconv\.weight")),
    ("M3SNet", (r"intro\.weight", r"encoders\.0\.0\.sca\.1\.weight", r"encoders\.0\.0\.conv5\.weight")),
)
_TWO_BY_TWO = "ESRGAN 2C2"
_FIRST = ("model.0.weight", "conv_first.weight")


def unsupported_name(state: Mapping[str, Tensor]) -> str:
    """The name of a state dict's architecture if it is a known unsupported one; else empty."""
    first = next((state[name] for name in _FIRST if name in state), None)
    if first is not None and tuple(first.shape[2:]) == (2, 2):
        return _TWO_BY_TWO
    for name, patterns in _SIGNATURES:
        if all(any(re.fullmatch(pattern, key) for key in state) for pattern in patterns):
            return name
    return ""


def unsupported_error(name: str) -> WeightsError:
    """The error for an unsupported architecture."""
    return WeightsError(f"architecture {name} is not supported: neither by LuxScaler nor by spandrel")
