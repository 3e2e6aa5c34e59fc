"""One curve for all frames of a shot, so that nothing flickers.

Noise, grain and motion change what the network sees from frame to frame, and so the gain that it gives.
For a shot the gain is decided once: its white is the brightest of the frames, each frame is looked at under
that white, and the shares of the boost, at every knot and region, are averaged over the frames. The same map
is then used for all of them. So in every frame the same light at the same place gets the same gain, to the
bit; and what moves across the picture gets a gain that changes as smoothly as the map does between its
16 × 16 regions. A mean of curves that never fall never falls, and none exceeds the boost. What this gives up:
where a shot changes its light or its scene, its frames share a mean; such a shot is better cut in two.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from luxscaler.geometry import NO_WRAP, Wrap
from luxscaler.hdr.analysis import analyse
from luxscaler.hdr.expand import ToneStatistics, white_of
from luxscaler.hdr.network import GainNetwork, gain_network

Frame = TypeVar("Frame")


def shot_statistics(
    frames: Sequence[Frame],
    tones_of: Callable[[Frame], Tensor | None],
    boost: float,
    *,
    wrap: Wrap = NO_WRAP,
    network: GainNetwork | None = None,
) -> ToneStatistics:
    """The statistics with which every frame of the shot is expanded.

    tones_of: gives the (H, W, 3) float32 linear light of a frame, the whole of it at any size; it is called
    once for each frame, and again for those less bright than the brightest, where the shot holds HDR. boost:
    1 to 49; at 1 only the white is measured. wrap: as in `analyse`. network: another than the fitted one.
    Black frames do not count, nor do those for which `tones_of` gives None.
    """
    network = network or gain_network()
    seen: dict[int, tuple[float, Tensor | None]] = {}
    for number, frame in enumerate(frames):
        tones = tones_of(frame)
        if tones is None:
            continue
        white = white_of(tones)
        seen[number] = white, _shares(tones, white, boost, wrap, network)
    peak = max((white for white, _ in seen.values()), default=0.0)
    for number, (white, _) in seen.items():
        if 0.0 < white < peak:
            tones = tones_of(frames[number])
            seen[number] = peak, None if tones is None else _shares(tones, peak, boost, wrap, network)
    return ToneStatistics(peak, None, wrap, _mean(shares for _, shares in seen.values()))


def _shares(tones: Tensor, white: float, boost: float, wrap: Wrap, network: GainNetwork) -> Tensor | None:
    if white <= 0.0 or boost == 1.0:
        return None
    return network.shares_of(analyse(tones, white, wrap), boost, wrap)


def _mean(shares: Iterable[Tensor | None]) -> Tensor | None:
    known = [each.double() for each in shares if each is not None]
    return torch.stack(known).mean(0).float() if known else None
