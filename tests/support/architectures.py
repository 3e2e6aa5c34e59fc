"""A small network with random weights of every architecture that spandrel knows, as a state dict."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

from luxscaler.weights.spandrel_loader import foreign_architectures

_SWIN = {"embed_dim": 12, "depths": [2, 2], "num_heads": [2, 2], "window_size": 8}


@dataclass(frozen=True)
class Sample:
    """A network to build."""

    architecture: str
    """Folder of spandrel.architectures."""
    module: str
    """Below its `__arch`."""
    name: str
    """Of the class."""
    sizes: Mapping[str, Any] = field(default_factory=dict)

    def state(self, seed: int = 5) -> dict[str, Tensor]:
        """Its state dict, with weights of its own initialisation, seeded."""
        foreign_architectures()  # imports spandrel, beside whatever torchvision there is
        module = import_module(f"spandrel.architectures.{self.architecture}.__arch.{self.module}")
        torch.manual_seed(seed)
        network: nn.Module = getattr(module, self.name)(**self.sizes)
        return network.state_dict()


SAMPLES = (
    Sample("Compact", "SRVGG", "SRVGGNetCompact", {"num_feat": 12, "num_conv": 4}),
    Sample("SwiftSRGAN", "SwiftSRGAN", "Generator", {"num_channels": 16, "num_blocks": 2}),
    Sample(
        "HAT", "HAT", "HAT", {**_SWIN, "window_size": 16, "upscale": 2, "squeeze_factor": 6, "num_feat": 16}
    ),
    Sample(
        "GRL",
        "grl",
        "GRL",
        {
            "embed_dim": 16,
            "upscale": 2,
            "upsampler": "pixelshuffle",
            "depths": [2, 2],
            "num_heads_window": [2, 2],
            "num_heads_stripe": [2, 2],
        },
    ),
    Sample("Swin2SR", "Swin2SR", "Swin2SR", {**_SWIN, "upscale": 2, "upsampler": "pixelshuffle"}),
    Sample("SwinIR", "SwinIR", "SwinIR", {**_SWIN, "upscale": 2, "upsampler": "pixelshuffle"}),
    Sample("GFPGAN", "gfpganv1_clean_arch", "GFPGANv1Clean", {"channel_multiplier": 1, "narrow": 0.125}),
    Sample(
        "RestoreFormer", "restoreformer_arch", "RestoreFormer", {"ch": 32, "n_embed": 64, "num_res_blocks": 2}
    ),
    Sample("LaMa", "LaMa", "LaMa", {"in_nc": 4}),
    Sample("OmniSR", "OmniSR", "OmniSR", {"num_feat": 16, "res_num": 1, "up_scale": 2}),
    Sample("SCUNet", "SCUNet", "SCUNet", {"config": [1] * 7, "dim": 64}),
    Sample("FBCNN", "FBCNN", "FBCNN", {"nc": [8, 16, 32, 512]}),
    Sample("Uformer", "Uformer", "Uformer", {"embed_dim": 8, "depths": [2, 1, 1, 1, 1, 1, 1, 1, 2]}),
    Sample("RGT", "rgt", "RGT", {"embed_dim": 16, "depth": [2, 2], "num_heads": [2, 2]}),
    Sample(
        "DAT", "DAT", "DAT", {"embed_dim": 16, "depth": [2, 2], "num_heads": [2, 2], "split_size": [8, 8]}
    ),
    Sample("CRAFT", "CRAFT", "CRAFT", {"embed_dim": 12, "depths": [2], "num_heads": [6], "upscale": 2}),
    Sample(
        "KBNet",
        "kbnet_s",
        "KBNet_s",
        {"width": 8, "middle_blk_num": 1, "enc_blk_nums": [1, 1, 1, 1], "dec_blk_nums": [1, 1, 1, 1]},
    ),
    Sample("DITN", "DITN_Real", "DITN_Real", {"dim": 12, "ITL_blocks": 2, "SAL_blocks": 2, "upscale": 2}),
    Sample(
        "MMRealSR",
        "mmrealsr_arch",
        "MMRRDBNet_test",
        {
            "num_in_ch": 3,
            "num_out_ch": 3,
            "num_feat": 64,
            "num_block": 1,
            "num_grow_ch": 8,
            "num_feats": [64, 64, 64, 64],
            "num_blocks": [1, 1, 1, 1],
        },
    ),
    Sample("SPAN", "span", "SPAN", {"num_in_ch": 3, "num_out_ch": 3, "feature_channels": 12, "upscale": 2}),
    Sample("RealCUGAN", "upcunet_v3", "UpCunet2x", {}),
    Sample("SAFMN", "safmn", "SAFMN", {"dim": 12, "n_blocks": 2, "upscaling_factor": 2}),
    Sample("SAFMNBCIE", "safmn_bcie", "SAFMN_BCIE", {"dim": 12, "n_blocks": 2, "num_layers": 2}),
    Sample("DCTLSA", "dctlsa", "DCTLSA", {"nf": 20, "upscale": 2}),
    Sample(
        "FFTformer",
        "fftformer_arch",
        "FFTformer",
        {"dim": 8, "num_blocks": [1, 1, 1], "num_refinement_blocks": 1},
    ),
    Sample(
        "NAFNet",
        "NAFNet_arch",
        "NAFNet",
        {"width": 8, "middle_blk_num": 1, "enc_blk_nums": [1, 1], "dec_blk_nums": [1, 1]},
    ),
    Sample(
        "ATD",
        "atd_arch",
        "ATD",
        {
            **_SWIN,
            "embed_dim": 24,
            "upscale": 2,
            "upsampler": "pixelshuffle",
            "category_size": 64,
            "num_tokens": 16,
        },
    ),
    Sample("MixDehazeNet", "MixDehazeNet", "MixDehazeNet", {"embed_dims": [8, 16, 32, 16, 8]}),
    Sample("DRUNet", "network_unet", "DRUNet", {"in_nc": 4, "out_nc": 3, "nc": [8, 16, 32, 64], "nb": 4}),
    Sample("DnCNN", "network_dncnn", "DnCNN", {"in_nc": 3, "out_nc": 3, "nc": 12, "nb": 5}),
    Sample(
        "IPT", "ipt", "IPT", {"patch_size": 24, "n_feats": 8, "scale": [2], "num_heads": 2, "num_layers": 1}
    ),
    Sample(
        "DRCT",
        "drct_arch",
        "DRCT",
        {**_SWIN, "embed_dim": 24, "window_size": 16, "upscale": 2, "upsampler": "pixelshuffle", "gc": 8},
    ),
    Sample("ESRGAN", "RRDB", "RRDBNet", {"num_filters": 12, "num_blocks": 1}),
    Sample("PLKSR", "RealPLKSR", "RealPLKSR", {"dim": 16, "n_blocks": 2, "upscaling_factor": 2}),
    Sample("RetinexFormer", "retinexformer_arch", "RetinexFormer", {"n_feat": 8, "stage": 1}),
    Sample("HVICIDNet", "cidnet", "CIDNet", {"channels": [8, 8, 16, 32], "heads": [1, 2, 4, 8]}),
    Sample(
        "SeemoRe",
        "seemore_arch",
        "SeemoRe",
        {"scale": 2, "embedding_dim": 16, "num_layers": 2, "num_experts": 3},
    ),
    Sample("MoSR", "mosr_arch", "MoSR", {"upscale": 2, "n_block": 2, "dim": 16}),
    Sample(
        "MoESR", "MoESR", "MoESR", {"scale": 2, "dim": 16, "n_blocks": 2, "n_block": 2, "upsample_dim": 16}
    ),
    Sample(
        "RCAN",
        "rcan_arch",
        "RCAN",
        {"scale": 2, "n_resgroups": 2, "n_resblocks": 2, "n_feats": 16, "reduction": 4},
    ),
    Sample(
        "FDAT",
        "fdat",
        "FDAT",
        {"scale": 2, "embed_dim": 16, "num_groups": 2, "depth_per_group": 2, "num_heads": 2, "mid_dim": 16},
    ),
    Sample(
        "AuraSR",
        "aura_sr",
        "UnetUpsampler",
        {
            "dim": 8,
            "image_size": 64,
            "input_image_size": 16,
            "style_network": {"dim_in": 16, "dim_out": 64, "depth": 2},
            "self_attn_dim_head": 8,
        },
    ),
)
