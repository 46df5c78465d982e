"""The recipes: from the training set to a network, one function a published solution."""

from collections.abc import Callable
from typing import NamedTuple

import grouping
import numpy as np
import torch
from album import NAMELESS, Album
from grouping import Groups, Known
from lesson import Lesson, describe, measure_statistics, teach
from network import Classifier, FingerprintNetwork
from numpy.typing import NDArray
from pool import Pool

BASIC = 12_000
"""Pictures shown in a first lesson."""
FURTHER = 6_000
"""Pictures shown in each later one."""
MANY = 12
"""Groups from which `clean_merge` starts."""
BELIEVED = 0.6
"""Share of each group that `pseudo_entropy` believes: its most confident pictures."""


class Material(NamedTuple):
    """What a recipe works with.

    Attributes:
        album: The training set.
        pool: The views to learn from; `True` asks for pictures with their range stretched.
        basic: Gives a copy of the network that learned the named methods alone.
        seed: Fixes everything that is drawn.
    """

    album: Album
    pool: Callable[[bool], Pool]
    basic: Callable[[], FingerprintNetwork]
    seed: int


def untrained(material: Material) -> FingerprintNetwork:
    """Leave the weights as drawn; only what is usual and the batch statistics are measured."""
    pool = material.pool(False)
    network = _fresh(pool, material.seed, stretch=False)
    measure_statistics(network, pool, material.seed)
    return network


def supervised(material: Material) -> FingerprintNetwork:
    """Learn the named methods by plain cross entropy."""
    pool = material.pool(False)
    network = _fresh(pool, material.seed, stretch=False)
    teach(network, pool, material.album.classes, Lesson(BASIC), material.seed)
    return network


def fused_novelty(material: Material) -> FingerprintNetwork:
    """AISC report 2.3.1: semi-supervised features, labels by semi-supervised k-means, supervised learning; twice."""
    album, pool, network = material.album, material.pool(False), material.basic()
    # The nameless as one class, and two views of a picture that must agree: features that know the nameless too.
    first = np.where(album.classes == NAMELESS, len(album.methods), album.classes)
    teach(network, pool, first, Lesson(FURTHER, agreement=0.5), material.seed + 1)
    for turn in (2, 3):
        features, known = _split(network, pool, album)
        count = grouping.guess_count(features, material.seed)
        groups = grouping.semi_supervised_k_means(features, known, count, material.seed)
        teach(network, pool, _classes(album, groups), Lesson(FURTHER), material.seed + turn)
    return network


def pseudo_entropy(material: Material) -> FingerprintNetwork:
    """AISC report 2.3.2: labels from class probabilities, believed where they are confident; twice."""
    album, pool, network = material.album, material.pool(False), material.basic()
    features, _ = _split(network, pool, album)
    # These features know the named methods alone, and show fewer groups than there are.
    count = grouping.guess_count(features, material.seed, grouping.PROMISED)
    classes = _classes(album, grouping.k_means(features, count, material.seed))
    for turn in (1, 2):
        head = teach(network, pool, classes, Lesson(FURTHER), material.seed + turn)
        shares = _probabilities(network, head, pool)[album.classes == NAMELESS, len(album.methods) :]
        classes = _classes(album, _believed(shares))
    teach(network, pool, classes, Lesson(FURTHER), material.seed + 3)
    return network


def clean_merge(material: Material) -> FingerprintNetwork:
    """AISC report 2.3.3: cleaning, learning named against nameless, many groups, merging of similar ones."""
    album, pool = _cleaned(material.album, material.pool(False))
    network, nameless = material.basic(), album.classes == NAMELESS
    teach(network, pool, nameless.astype(np.int64), Lesson(FURTHER // 2), material.seed + 1)
    # The names again, which the two sides let the network forget, before it says which groups are alike.
    teach(network, pool, np.where(nameless, len(album.methods), album.classes), Lesson(FURTHER), material.seed + 2)
    groups = grouping.merged_groups(*_split(network, pool, album), MANY, material.seed)
    teach(network, pool, _classes(album, groups), Lesson(FURTHER + FURTHER // 2), material.seed + 3)
    return network


def range_extra_class(material: Material) -> FingerprintNetwork:
    """AISC report 2.3.4: every picture's range is stretched, and the nameless are one more class."""
    album, pool = material.album, material.pool(True)
    network = _fresh(pool, material.seed, stretch=True)
    classes = np.where(album.classes == NAMELESS, len(album.methods), album.classes)
    teach(network, pool, classes, Lesson(BASIC + FURTHER), material.seed)
    return network


def centre_spectral(material: Material) -> FingerprintNetwork:
    """AISC report 2.3.5: cross entropy and centre loss; named first, then spectral groups, then those anew."""
    album, pool, network = material.album, material.pool(False), material.basic()
    lesson = Lesson(FURTHER, centre=0.5)
    teach(network, pool, album.classes, lesson, material.seed + 1)
    for turn in (2, 3):
        features, _ = _split(network, pool, album)
        count = grouping.guess_count(features, material.seed)
        groups = grouping.spectral(features, count, material.seed)
        teach(network, pool, _classes(album, groups), lesson, material.seed + turn)
    return network


RECIPES: dict[str, Callable[[Material], FingerprintNetwork]] = {
    "untrained": untrained,
    "supervised": supervised,
    "range-extra-class": range_extra_class,
    "centre-spectral": centre_spectral,
    "clean-merge": clean_merge,
    "pseudo-entropy": pseudo_entropy,
    "fused-novelty": fused_novelty,
}


def _fresh(pool: Pool, seed: int, *, stretch: bool) -> FingerprintNetwork:
    torch.manual_seed(seed)
    network = FingerprintNetwork(stretch=stretch)
    network.know(torch.from_numpy(pool.lines[0]))
    return network


def _split(network: FingerprintNetwork, pool: Pool, album: Album) -> tuple[grouping.Features, Known]:
    """Give the features of the nameless pictures, and those of the named ones with their classes."""
    features = describe(network, pool)
    named = album.classes != NAMELESS
    return features[~named], Known(features[named], album.classes[named])


def _classes(album: Album, groups: Groups) -> NDArray[np.int64]:
    """Give every picture's class: the named ones theirs, the nameless their group behind them."""
    classes = album.classes.copy()
    classes[album.classes == NAMELESS] = np.where(groups == NAMELESS, NAMELESS, groups + len(album.methods))
    print(f"  groups of the nameless: {np.bincount(groups + 1)[1:].tolist()}, {(groups < 0).sum()} in none", flush=True)
    return classes


def _probabilities(network: FingerprintNetwork, head: Classifier, pool: Pool) -> NDArray[np.float32]:
    """Give the probabilities `(n, classes)` of the pictures as they are."""
    with torch.no_grad():
        logits = head(torch.from_numpy(describe(network, pool, unit=False)))
    return np.asarray(torch.softmax(logits, 1).numpy(), np.float32)


def _believed(shares: NDArray[np.float32]) -> Groups:
    """Give each picture's most probable group, or `NAMELESS` to the doubtful part of each group."""
    likeliest, sure = shares.argmax(1), shares.max(1)
    for group in np.unique(likeliest):
        members = likeliest == group
        members &= sure < np.quantile(sure[members], 1 - BELIEVED)
        likeliest[members] = NAMELESS
    return np.asarray(likeliest, np.int64)


def _cleaned(album: Album, pool: Pool) -> tuple[Album, Pool]:
    """Leave out the hundredth of the pictures with the least texture: what was smoothed bare shows no method."""
    rough = np.abs(np.diff(album.pixels.astype(np.int16), axis=2)).mean((1, 2, 3))
    kept = rough > np.quantile(rough, 0.01)
    cleaned = Album(album.pixels[kept], album.classes[kept], album.methods)
    return cleaned, Pool(pool.pixels[:, kept], pool.lines[:, kept])
