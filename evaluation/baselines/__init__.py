"""Published expansions of SDR to HDR, and plain blends, by their names in the tables.

"Gain" methods multiply the three channels alike, which keeps the hue; BT.2446-1 A and its blends do not. No
library makes a gain map of SDR alone (libultrahdr wants the HDR rendering or a map): what players do with SDR
on an HDR display, libplacebo's curves, stands for it.
"""

from functools import partial

from evaluation.baselines.curves import akyuz, landis, quartic, untouched
from evaluation.baselines.local import banterle, banterle_wide, durand_dorsey_inverse, kovaleski_oliveira
from evaluation.baselines.standards import (
    blend,
    bt2446_a,
    bt2446_c,
    libplacebo_bt2446a,
    libplacebo_spline,
)
from evaluation.expansion import Expansion

UNTOUCHED = "SDR untouched"
SMOOTH = "BT.2446-1 A"
"""The smooth curve that a method's tearing is held against."""

BASELINES: dict[str, Expansion] = {
    UNTOUCHED: untouched,
    "Landis 2002": landis,
    "Akyüz 2007": akyuz,
    "Banterle 2006": banterle,
    "Banterle 2006, wide map": banterle_wide,
    "Kovaleski–Oliveira 2014": kovaleski_oliveira,
    "Durand–Dorsey inverted": durand_dorsey_inverse,
    SMOOTH: bt2446_a,
    "BT.2446-1 C": bt2446_c,
    "libplacebo spline": libplacebo_spline,
    "libplacebo BT.2446a": libplacebo_bt2446a,
    "25 % BT.2446-1 A": partial(blend, share=0.25),
    "50 % BT.2446-1 A": partial(blend, share=0.5),
    "75 % BT.2446-1 A": partial(blend, share=0.75),
    "pinned quartic": quartic,
}
