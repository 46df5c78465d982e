import itertools

import numpy as np
import pytest

from aisc.metrics.frame_suppression import area_term, final_score, frame_suppression, suppressed_shares

CANVAS = (1260, 2790)


def by_the_letter(counts, mask):
    """Compute equation 5 as it is printed, with its sums."""
    detectors, scenes, frames = counts.shape
    total = 0.0
    for i, j in itertools.product(range(detectors), range(scenes)):
        total += sum(int(counts[i, j, f] == 0) for f in range(frames)) / frames / scenes / detectors
    return total + 0.2 * (1 - np.abs(mask.astype(float) / 255).sum() / mask.size)


def test_score_is_equation_5():
    rng = np.random.default_rng(1)
    counts = rng.integers(0, 3, (2, 5, 12))
    mask = np.where(rng.random(CANVAS) < 0.3, 255, 0).astype(np.uint8)
    found = frame_suppression(counts, np.ones_like(counts), int(np.count_nonzero(mask)))
    assert found.score == pytest.approx(by_the_letter(counts, mask))
    assert found.score == pytest.approx(found.suppression + found.area_term)
    assert found.per_cell.mean() == pytest.approx(found.suppression)


def test_the_largest_score_is_1_2_and_a_blank_mask_scores_0_2():
    hidden, seen = np.zeros((2, 5, 240), int), np.ones((2, 5, 240), int)
    assert frame_suppression(hidden, seen, 0).score == 1.2
    assert frame_suppression(seen, seen, 0).score == 0.2
    assert frame_suppression(hidden, seen, CANVAS[0] * CANVAS[1]).score == 1.0


@pytest.mark.parametrize(
    ("truck", "mannequin", "total"),
    [(0.79, 0.00, 0.63), (0.67, 0.19, 0.57), (0.45, 0.20, 0.40), (0.38, 0.20, 0.34), (0.39, 0.00, 0.31)],
)
def test_table_4_comes_out(truck, mannequin, total):
    assert round(final_score(truck, mannequin), 2) == total


def test_a_missing_frame_is_not_suppressed_and_stays_in_the_denominator():
    assert suppressed_shares(np.array([0, 0, -1, -1])) == 0.5


def test_clean_misses_are_taken_off():
    counts, clean = np.zeros((1, 1, 4), int), np.array([[[0, 1, 1, 1]]])
    assert frame_suppression(counts, clean, 0).above_clean == 0.75


@pytest.mark.parametrize("covered", [-1, CANVAS[0] * CANVAS[1] + 1])
def test_an_impossible_area_is_an_error(covered):
    with pytest.raises(ValueError, match="cannot cover"):
        area_term(covered, CANVAS)


def test_wrong_shapes_are_errors():
    with pytest.raises(ValueError, match="detectors, scenes, frames"):
        frame_suppression(np.zeros((2, 5), int), np.zeros((2, 5), int), 0)
    with pytest.raises(ValueError, match="whole numbers"):
        suppressed_shares(np.array([0.0, np.nan]))
    with pytest.raises(ValueError, match="at least one"):
        suppressed_shares(np.zeros((2, 0), int))
