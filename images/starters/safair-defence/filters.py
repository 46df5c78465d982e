"""What stands in front of a classifier: JPEG and blur as in Dziugaite et al. 2016 and Xu et al. 2018, or a network."""

import io

import numpy as np
from PIL import Image, ImageFilter
from task import Pixels

QUALITY = 40
RADIUS = 1.0
"""Of the Gaussian blur, in pixels."""


def jpeg_blur(pixels: Pixels) -> Pixels:
    """Store a picture as JPEG, read it back, and blur it; uint8 `(112, 112, 3)` both times."""
    stored = io.BytesIO()
    Image.fromarray(pixels).save(stored, format="JPEG", quality=QUALITY)
    with Image.open(stored) as picture:
        return np.asarray(picture.filter(ImageFilter.GaussianBlur(RADIUS)))
