"""What strict validation of a face submission costs, against merely decoding the same images.

Run: ``python tests/benchmarks/validation.py [--images 1500] [--rounds 7]``. Prints one line per kind of archive and
exits with 1 if a ratio is over ``--most``. Both sides run on one thread, in turns within one process, and the median
of the paired ratios is taken, so that a busy machine slows both alike.
"""

import argparse
import io
import statistics
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from aisc.submission.images import image_names, read_images


def photos(n: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Make images that compress like photographs: smooth light with the noise of a sensor."""
    coarse = rng.normal(128, 50, (n, 10, 10, 3)).astype(np.float32)
    smooth = np.stack([cv2.resize(image, (112, 112), interpolation=cv2.INTER_CUBIC) for image in coarse])
    return np.clip(smooth + rng.normal(0, 4, smooth.shape), 0, 255).astype(np.uint8)


def patched(images: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Put five legal patches on each image: 15 by 15 pixels of noise, 1125 in all."""
    out = images.copy()
    for y, x in ((20, 20), (20, 70), (50, 45), (80, 20), (80, 70)):
        out[:, y : y + 15, x : x + 15] ^= rng.integers(1, 256, (len(images), 15, 15, 3), dtype=np.uint8)
    return out


def by_opencv(image: NDArray[np.uint8]) -> bytes:
    return cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1].tobytes()


def by_pillow(image: NDArray[np.uint8]) -> bytes:
    out = io.BytesIO()
    Image.fromarray(image).save(out, "PNG")
    return out.getvalue()


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def decode_only(encoded: list[bytes]) -> None:
    for data in encoded:
        cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)


def measure(
    encode: Callable[[NDArray[np.uint8]], bytes], method: int, originals: NDArray[np.uint8], rounds: int, folder: Path
) -> tuple[float, float, float]:
    """Give the median ratio, and the best time per image of decoding and of validating, in microseconds."""
    encoded = [encode(image) for image in patched(originals, np.random.default_rng(1))]
    path = folder / "submission.zip"
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in zip(image_names(len(encoded)), encoded, strict=True):
            archive.writestr(name, data)
    out = np.empty_like(originals)
    report = read_images(path, originals, out)  # warms both sides up, and shows that nothing is skipped
    if not report.legal.all() or not (report.images["patches"] == 5).all():
        raise SystemExit(f"the archive of the benchmark is not valid: {report.findings.counts}")
    pairs = [
        (seconds(lambda: decode_only(encoded)), seconds(lambda: read_images(path, originals, out)))
        for _ in range(rounds)
    ]
    per_image = [1e6 * min(column) / len(encoded) for column in zip(*pairs, strict=True)]
    return statistics.median(checked / decoded for decoded, checked in pairs), per_image[0], per_image[1]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=1500)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--most", type=float, default=1.3, help="largest ratio that passes")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    originals = photos(options.images, np.random.default_rng(0))
    worst = 0.0
    with tempfile.TemporaryDirectory() as folder:
        for label, encode, method in (
            ("OpenCV, stored", by_opencv, zipfile.ZIP_STORED),
            ("OpenCV, deflated", by_opencv, zipfile.ZIP_DEFLATED),
            ("Pillow, stored", by_pillow, zipfile.ZIP_STORED),
            ("Pillow, deflated", by_pillow, zipfile.ZIP_DEFLATED),
        ):
            ratio, decode, check = measure(encode, method, originals, options.rounds, Path(folder))
            print(f"{label:17} decode {decode:6.1f} us/image  validate {check:6.1f} us/image  ratio {ratio:.2f}")
            worst = max(worst, ratio)
    print(f"worst ratio {worst:.2f} (limit {options.most:.2f}), {options.images} images")
    return int(worst > options.most)


if __name__ == "__main__":
    sys.exit(main())
