"""Which generators there are, and who knows of them when: Y_l, Y_u, Y_h and Y_new of RULES.md A, all disjoint."""

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np

from aisc.datasets.forgery_sets import Group, Stage
from aisc.synthetic.forgeries import fingerprints
from aisc.synthetic.forgeries.fingerprints import Picture


class Method(NamedTuple):
    """A generator.

    Attributes:
        name: Its label.
        group: Who knows of it: named in training, unnamed in training, hidden until the evaluation, new in the final.
        leave: Gives a picture its trace.
    """

    name: str
    group: Group
    leave: Callable[[Picture, np.random.Generator], Picture]


METHODS: Final = (
    Method("transposed-conv", "labelled", fingerprints.transposed_conv),
    Method("blend-seam", "labelled", fingerprints.blend_seam),
    Method("spectral-peaks", "labelled", fingerprints.spectral_peaks),
    Method("median-denoise", "labelled", fingerprints.median_denoise),
    Method("dct-codec", "unlabelled", fingerprints.dct_codec),
    Method("warp-flow", "unlabelled", fingerprints.warp_flow),
    Method("sharpen-halo", "unlabelled", fingerprints.sharpen_halo),
    Method("pixel-shuffle", "hidden", fingerprints.pixel_shuffle),
    Method("nearest-upscale", "hidden", fingerprints.nearest_upscale),
    Method("diffusion-residue", "new", fingerprints.diffusion_residue),
    Method("vector-quantised", "new", fingerprints.vector_quantised),
)
BY_NAME: Final = {method.name: method for method in METHODS}


def methods_of(*groups: Group) -> tuple[Method, ...]:
    """Give the methods of some groups, in their fixed order."""
    return tuple(method for method in METHODS if method.group in groups)


def known_methods(stage: Stage) -> tuple[Method, ...]:
    """Give the methods that a stage's gallery shows: Y_tr in the preliminary, Y_tr and Y_h later."""
    if stage == "preliminary":
        return methods_of("labelled", "unlabelled")
    return methods_of("labelled", "unlabelled", "hidden")
