"""The kit's pictures in, a submission's zip out, and the rules of the stage checked in between."""

import json
import zipfile
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

SIDE = 112
Pictures = NDArray[np.uint8]
"""RGB, uint8 `(n, 112, 112, 3)`."""


class Limits(NamedTuple):
    """What the stage allows in each image, from `stage.json`."""

    patches: int
    pixels: int
    connectivity: int


class Pairs(NamedTuple):
    """Faces to change, and the faces that they shall be taken for."""

    names: list[str]
    originals: Pictures
    compares: Pictures


def read_limits(kit: Path) -> Limits:
    """Read the stage's limits; the area is rounded down to whole pixels."""
    limits = json.loads((kit / "stage.json").read_text(encoding="utf-8"))["limits"]
    return Limits(limits["patches"], int(limits["area"] * SIDE * SIDE), limits["connectivity"])


def read_pairs(kit: Path, images: int | None = None) -> Pairs:
    """Read all pairs of the kit, or the first `images` of them."""
    names = sorted(path.stem for path in (kit / "pairs").glob("[0-9][0-9][0-9][0-9].png"))[:images]
    if not names:
        raise SystemExit(f"{kit / 'pairs'} holds no 0001.png: give the folder of the kit.")
    originals = np.stack([_read(kit / "pairs" / f"{name}.png") for name in names])
    compares = np.stack([_read(kit / "pairs" / f"{name}_compare.png") for name in names])
    return Pairs(names, originals, compares)


def _read(path: Path) -> Pictures:
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None or picture.shape != (SIDE, SIDE, 3):
        raise SystemExit(f"{path} is missing or no {SIDE} x {SIDE} picture: take it from the kit again.")
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def change_everywhere(originals: Pictures, changed: Pictures, masks: NDArray[np.bool_]) -> Pictures:
    """Take `changed` inside the masks and make sure that every pixel there really differs.

    A pixel that kept its colour counts as unchanged. It would cut a patch in two, and a sixth patch loses the image.

    Args:
        originals: The kit's pictures, `(n, h, w, 3)` uint8.
        changed: The attack's pictures, the same shape and dtype.
        masks: Where they may differ, `(n, h, w)` bool.
    """
    result = np.where(masks[..., None], changed, originals)
    same = masks & (result == originals).all(axis=-1)
    green = result[..., 1]
    green[same] = np.where(green[same] < 255, green[same] + 1, 254)
    return result


def broken_rules(original: Pictures, changed: Pictures, limits: Limits) -> list[str]:
    """Name what one picture `(h, w, 3)` breaks: an empty list is a legal picture."""
    differs = (original != changed).any(axis=-1)
    regions = cv2.connectedComponents(differs.astype(np.uint8), connectivity=limits.connectivity)[0] - 1
    pixels = int(differs.sum())
    broken = []
    if regions > limits.patches:
        broken.append(f"{regions} patches, {limits.patches} are allowed")
    if pixels > limits.pixels:
        broken.append(f"{pixels} changed pixels, {limits.pixels} are allowed")
    return broken


def write_submission(path: Path, names: list[str], pictures: Pictures) -> None:
    """Write the zip: the same pictures give the same bytes, whenever it is made."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:  # a PNG is compressed already
        for name, picture in zip(names, pictures, strict=True):
            done, encoded = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
            if not done:
                raise OSError(f"OpenCV could not encode {name}.png")
            archive.writestr(zipfile.ZipInfo(f"{name}.png", (1980, 1, 1, 0, 0, 0)), encoded.tobytes())
