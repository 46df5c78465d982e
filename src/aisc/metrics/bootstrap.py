"""How far a mean could have come out otherwise: percentile bootstrap over images (Efron and Tibshirani 1993, ch. 13).

Drawing n images with replacement is drawing how often each *distinct* value occurs, a multinomial count. Outcomes take
few values (with three victims four: 0, 1/3, 2/3, 1), so ten thousand resamples of 3000 images cost a millisecond.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

_CELLS_AT_ONCE: Final = 1 << 20


class Interval(NamedTuple):
    """A mean and the interval around it, in the unit of the values."""

    low: float
    mean: float
    high: float


def mean_interval(
    values: NDArray[np.float64], *, level: float = 0.95, resamples: int = 10_000, seed: int = 0
) -> Interval:
    """Give the percentile interval of a mean over images.

    Args:
        values: ``(n,)`` finite: one outcome per image, such as the share of victims that it deceives.
        level: Coverage, in (0, 1).
        resamples: How many samples are drawn.
        seed: Fixes the draw: the same values and seed give the same interval.

    Returns:
        The interval; its ends meet when all values agree.

    Raises:
        ValueError: No values, values that are not finite, or a level or number of resamples out of range.

    >>> low, mean, high = mean_interval(np.repeat([0.0, 1.0], [1100, 1900]))
    >>> round(low, 3), round(mean, 3), round(high, 3)
    (0.616, 0.633, 0.651)
    """
    return combined_interval([(1.0, values)], level=level, resamples=resamples, seed=seed)


def combined_interval(
    weighted: Sequence[tuple[float, NDArray[np.float64]]],
    *,
    level: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> Interval:
    """Give the interval of a weighted sum of means over groups that are drawn apart, such as two kinds of scenes.

    Args:
        weighted: The weight of a group's mean and the group's outcomes, ``(n,)`` finite; one pair a group.
        level: As in :func:`mean_interval`.
        resamples: As in :func:`mean_interval`.
        seed: As in :func:`mean_interval`.

    Raises:
        ValueError: As in :func:`mean_interval`.

    >>> combined_interval([(0.75, np.ones(5)), (0.25, np.zeros(3))])
    Interval(low=0.75, mean=0.75, high=0.75)
    """
    if not 0 < level < 1 or resamples < 1:
        raise ValueError(f"level lies in (0, 1) and resamples is positive, not {level} and {resamples}")
    rng = np.random.default_rng(seed)
    total, mean = np.zeros(resamples), 0.0
    for weight, values in weighted:
        if values.ndim != 1 or not values.size or not np.isfinite(values).all():
            raise ValueError("values are (n,) finite numbers, at least one")
        distinct, counts = np.unique(values, return_counts=True)
        total += weight * _resampled_means(distinct, counts, resamples, rng)
        mean += weight * float(values.mean())
    low, high = np.quantile(total, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), mean, float(high))


def paired_difference(
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    *,
    level: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> Interval:
    """Give the interval of ``mean(first) - mean(second)`` for two submissions over the same images.

    Both submissions meet the same images in each resample, so what makes an image easy for everyone cancels out: the
    interval is narrower than two separate ones suggest. When it excludes 0, the two differ at this level.

    Args:
        first: ``(n,)`` finite: one outcome per image.
        second: ``(n,)`` finite: the other submission's outcomes on the same images, in the same order.
        level: As in :func:`mean_interval`.
        resamples: As in :func:`mean_interval`.
        seed: As in :func:`mean_interval`.

    Returns:
        The interval of the difference.

    Raises:
        ValueError: The shapes differ, or as in :func:`mean_interval`.

    >>> paired_difference(np.ones(5), np.zeros(5))
    Interval(low=1.0, mean=1.0, high=1.0)
    """
    if first.shape != second.shape:
        raise ValueError(f"both submissions have one outcome per image, not {first.shape} and {second.shape}")
    return mean_interval(first - second, level=level, resamples=resamples, seed=seed)


def _resampled_means(
    values: NDArray[np.float64], counts: NDArray[np.int64], resamples: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Draw the means of ``resamples`` samples, a bounded number of counts in memory at a time."""
    n = int(counts.sum())
    rows = max(1, _CELLS_AT_ONCE // len(values))
    drawn = (rng.multinomial(n, counts / n, size=min(rows, resamples - at)) for at in range(0, resamples, rows))
    return np.concatenate([block @ values for block in drawn]) / n
