"""Each generator's trace is where theory puts it, and post-processing wears it down."""

import cv2
import numpy as np
import pytest

from aisc.synthetic.forgeries import fingerprints
from aisc.synthetic.forgeries.methods import METHODS
from aisc.synthetic.forgeries.post_processing import TEST, TRAINING, PostProcessing, post_process

rng = np.random.default_rng(6)
FACE = cv2.GaussianBlur(rng.normal(128, 400, (112, 112, 3)).astype(np.float32), (0, 0), 6) + rng.normal(
    0, 3, (112, 112, 3)
).astype(np.float32)
UNTOUCHED = PostProcessing(0, (1, 1), 0, (0, 0), 0, (90, 90))


def spectrum(picture):
    grey = picture.mean(axis=2)
    return np.abs(np.fft.fft2(grey - cv2.GaussianBlur(grey, (0, 0), 2))) / grey.size


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_a_trace_is_small_deterministic_and_keeps_shape_and_type(method):
    before = FACE.copy()
    one, again, other = (method.leave(FACE, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert one.shape == FACE.shape
    assert one.dtype == np.float32
    np.testing.assert_array_equal(FACE, before)
    np.testing.assert_array_equal(one, again)
    assert (one != other).mean() > 0.2
    if method.name not in {"blend-seam", "warp-flow"}:
        assert 0.3 < np.sqrt(np.square(one - FACE).mean()) < 14, "grey levels"


def test_two_methods_never_leave_the_same():
    left = [method.leave(FACE, np.random.default_rng(1)) for method in METHODS]
    for k, one in enumerate(left):
        for other in left[:k]:
            assert np.abs(one - other).mean() > 0.5


def test_waves_stand_at_their_frequencies():
    ratio = spectrum(fingerprints.spectral_peaks(FACE, np.random.default_rng(1))) / (spectrum(FACE) + 1e-3)
    for place in ((0, 28), (28, 0), (14, 42), (42, 14)):
        assert ratio[place] > 10 * np.median(ratio)


def test_uneven_overlap_shows_at_half_the_sampling_rate():
    ratio = spectrum(fingerprints.transposed_conv(FACE, np.random.default_rng(1))) / (spectrum(FACE) + 1e-3)
    assert min(ratio[56, 0], ratio[0, 56]) > 10 * np.median(ratio)


def test_sub_pixel_gains_repeat_every_four_pixels():
    change = fingerprints.pixel_shuffle(np.full((112, 112, 3), 128, np.float32), np.random.default_rng(1)) - 128
    np.testing.assert_allclose(change[4:], change[:-4])
    assert np.abs(change[2:] - change[:-2]).max() > 1


def test_the_codec_rounds_coefficients_of_its_own_blocks():
    made = fingerprints.dct_codec(FACE, np.random.default_rng(1))

    def silent(at):
        block = np.stack(
            [
                cv2.dct(np.ascontiguousarray(made[y : y + 8, x : x + 8, 0]))
                for y in range(at[0], 104, 8)
                for x in range(at[1], 104, 8)
            ]
        )
        return (np.abs(block[:, 1:, 1:]) < 1e-2).mean()

    own = silent((3, 3))
    assert own > 0.5
    assert silent((0, 0)) < own / 2


def test_nearest_neighbours_come_in_pairs_and_the_median_takes_grain_out():
    repeated = fingerprints.nearest_upscale(FACE, np.random.default_rng(1))
    steps = np.abs(np.diff(repeated, axis=1)).mean(axis=(0, 2))
    assert np.quantile(steps, 0.2) < 0.8 * np.quantile(steps, 0.8)
    calm = fingerprints.median_denoise(FACE, np.random.default_rng(1))
    assert cv2.Laplacian(calm, cv2.CV_32F).std() < 0.7 * cv2.Laplacian(FACE, cv2.CV_32F).std()


def test_sharpening_overshoots_at_an_edge():
    edge = np.full((112, 112, 3), 60, np.float32)
    edge[:, 56:] = 180
    made = fingerprints.sharpen_halo(edge, np.random.default_rng(1))
    assert made.max() > 190
    assert made.min() < 50


def test_nothing_happens_to_a_picture_that_is_sent_untouched():
    sent = post_process(FACE, UNTOUCHED, np.random.default_rng(1))
    np.testing.assert_array_equal(sent, np.clip(np.rint(FACE), 0, 255).astype(np.uint8))


def test_tests_are_processed_more_often_and_more_strongly_than_training():
    assert TEST.resize > TRAINING.resize
    assert TEST.blur > TRAINING.blur
    assert TEST.jpeg > TRAINING.jpeg
    assert TEST.qualities[0] < TRAINING.qualities[0]
    changes = []
    for way in (TRAINING, TEST):
        sent = [post_process(FACE, way, np.random.default_rng(seed)).astype(np.float32) for seed in range(200)]
        changes.append(np.mean([np.abs(picture - np.rint(FACE)).mean() for picture in sent]))
    assert changes[1] > 1.2 * changes[0]
