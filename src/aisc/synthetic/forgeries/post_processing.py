"""What happens to a picture on its way to a viewer: resizing, blur, JPEG; mild in training, stronger in the tests.

The strength is what makes the task hard: traces of a generator are faint, and each of these steps wipes some out.
"""

from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from aisc.errors import PlatformError
from aisc.synthetic.forgeries.fingerprints import SIDE, Picture


class PostProcessing(NamedTuple):
    """How often and how strongly; the steps are drawn apart for each picture.

    Attributes:
        resize: Chance of resizing to another size and back.
        factors: Smallest and largest factor of the side.
        blur: Chance of a Gaussian blur.
        sigmas: Smallest and largest standard deviation in pixels.
        jpeg: Chance of a JPEG compression.
        qualities: Lowest and highest quality, both included.
    """

    resize: float
    factors: tuple[float, float]
    blur: float
    sigmas: tuple[float, float]
    jpeg: float
    qualities: tuple[int, int]


TRAINING: Final = PostProcessing(0.2, (0.95, 1.15), 0.2, (0.25, 0.40), 0.3, (90, 98))
TEST: Final = PostProcessing(0.3, (0.92, 1.15), 0.3, (0.25, 0.45), 0.4, (85, 97))


def post_process(picture: Picture, way: PostProcessing, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Send a picture, float32 RGB in grey levels, on its way; gives uint8 RGB of the same size."""
    if rng.random() < way.resize:
        side = round(SIDE * rng.uniform(*way.factors))
        picture = _resized(_resized(picture, side), SIDE)
    if rng.random() < way.blur:
        picture = np.asarray(cv2.GaussianBlur(picture, (5, 5), rng.uniform(*way.sigmas)), np.float32)
    pixels = np.clip(np.rint(picture), 0, 255).astype(np.uint8)
    if rng.random() < way.jpeg:
        pixels = _compressed(pixels, int(rng.integers(way.qualities[0], way.qualities[1] + 1)))
    return pixels


def _resized(picture: Picture, side: int) -> Picture:
    way = cv2.INTER_AREA if side < picture.shape[0] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(picture, (side, side), interpolation=way), np.float32)


def _compressed(pixels: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    done, encoded = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = cv2.imdecode(encoded, cv2.IMREAD_COLOR_RGB) if done else None
    if decoded is None:
        raise PlatformError("JPEG_CODEC", "OpenCV cannot compress a picture of this program's own making.")
    return decoded.astype(np.uint8, copy=False)
