"""The probes that defences are shown: FGSM, BIM and PGD on the stage's surrogate, computed once for all of them.

Where a stage probes white box, each defence is shown the same three once more, on the model that it has handed over:
computed once for each model, by a process that may not do much else.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aisc.evaluations.assets import stage_data
from aisc.evaluations.safair_inputs import (
    TASK_FILE,
    Hidden,
    defence_facts,
    fresh_names,
    open_hidden,
    surrogate_of,
    write_pictures,
)
from aisc.identity import Version, digest
from aisc.store import hash_file
from aisc.tracks.safair import seconds_allowed
from aisc.tracks.safair_limits import DefenceLimits
from aisc.victims.model_process import Goals, ProbeSettings, SubmittedModel
from aisc.workbench import Workbench

PROBES: Final = ("fgsm", "bim", "pgd")
SETS: Final = ("clean", *PROBES)
"""What a defence is shown, without being told which picture is of which."""
WHITE_BOX: Final = tuple(f"white-box {name}" for name in PROBES)
"""What it is shown besides where a stage probes white box."""

Pictures = Mapping[str, NDArray[np.uint8]]
"""By set, uint8 RGB `(n, 112, 112, 3)`, in the order of the hidden images."""


class Batch(NamedTuple):
    """One folder with all sets mixed.

    Attributes:
        folder: What programs see as ``/input``.
        names: File names by set, in the order of the hidden images.
    """

    folder: Path
    names: dict[str, tuple[str, ...]]


def probed_pictures(bench: Workbench, version: Version, hidden: Hidden) -> dict[str, NDArray[np.uint8]]:
    """Give the pictures of each of :data:`SETS`; a probe is computed once for a whole stage."""
    found = {"clean": hidden.pictures}
    for name in PROBES:

        def make(target: Path, name: str = name) -> None:
            _save(target, _on_surrogate(bench, version, hidden, name))

        made_of = _made_of(version, surrogate_of(version).sha256, name)
        found[name] = np.load(bench.derived(f"{name}.npy", made_of, make), mmap_mode="r")
    return found


def white_box_pictures(
    bench: Workbench, version: Version, hidden: Hidden, model: SubmittedModel
) -> dict[str, NDArray[np.uint8]]:
    """Give the pictures of each of :data:`WHITE_BOX`; a probe is computed once for a model, whoever hands it over.

    Raises:
        RuleBrokenError: ``MODEL_COST``.
        PlatformError: ``MODEL_READER``, ``MODEL_PROBE``.
    """
    limits, sha256 = DefenceLimits.model_validate(version.limits), hash_file(model.path)[0]
    goals, seconds = Goals(*_truth(hidden)), seconds_allowed(len(hidden.faces.names), limits)
    found = {}
    for name, shown in zip(PROBES, WHITE_BOX, strict=True):
        probe = ProbeSettings(name, **_settings(limits, name), epsilon=limits.epsilon, seed=version.seed)

        def make(target: Path, probe: ProbeSettings = probe) -> None:
            _save(target, model.attacked(np.asarray(hidden.pictures), goals, probe, seconds))

        path = bench.derived(f"{name}.npy", _made_of(version, sha256, name), make)
        found[shown] = np.load(path, mmap_mode="r")
    return found


def probe_facts(version: Version, hidden: Hidden, probed: Pictures) -> dict[str, Any]:
    """Tell what was computed, for the run's page: settings, and the largest and the mean change of each probe."""
    limits = DefenceLimits.model_validate(version.limits)
    facts = {}
    for name in PROBES:
        change = np.abs(probed[name].astype(np.int16) - hidden.pictures)
        facts[name] = _settings(limits, name) | {
            "largest_change": int(change.max(initial=0)), "mean_change": round(float(change.mean()), 3),
        }  # fmt: skip
    return {"surrogate": surrogate_of(version).name, "images": len(hidden.faces.names), "probes": facts}


def defence_batch(bench: Workbench, version: Version) -> Batch:
    """Lay out the one folder of a stage: every image four times, under random names in random order (T38)."""
    hidden = open_hidden(bench, version)
    limits = DefenceLimits.model_validate(version.limits)

    def make(folder: Path) -> None:
        mixed_batch(folder, probed_pictures(bench, version, hidden), hidden, limits)

    made_of = {name: _made_of(version, surrogate_of(version).sha256, name) for name in PROBES}
    folder = bench.cached(f"defence-{digest({**made_of, 'hours': limits.hours})}", make)
    return Batch(folder, _names(hidden, SETS))


def mixed_batch(folder: Path, pictures: Pictures, hidden: Hidden, limits: DefenceLimits) -> Batch:
    """Write all sets into one folder, an image as often as there are sets, under random names (T38)."""
    folder.mkdir(exist_ok=True)
    names = _names(hidden, tuple(pictures))
    named = [pair for one in pictures for pair in zip(names[one], pictures[one], strict=True)]
    write_batch(folder, named, hidden, limits)
    return Batch(folder, names)


def write_batch(
    folder: Path, named: list[tuple[str, NDArray[np.uint8]]], hidden: Hidden, limits: DefenceLimits
) -> None:
    """Write named pictures and ``task.json``."""
    write_pictures(folder, [name for name, _ in named], [picture for _, picture in named])
    facts = defence_facts(hidden.described, len(named), limits)
    (folder / TASK_FILE).write_text(json.dumps(facts, indent=2) + "\n")


def _names(hidden: Hidden, sets: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    return {one: fresh_names(hidden.secret, one, len(hidden.faces.names)) for one in sets}


def _settings(limits: DefenceLimits, name: str) -> dict[str, Any]:
    if name == "fgsm":
        return {"steps": 1, "step": float(limits.epsilon), "random_start": False}
    return {"steps": limits.steps, "step": limits.step, "random_start": name == "pgd"}


def _made_of(version: Version, model_sha256: str, name: str) -> dict[str, str]:
    limits = DefenceLimits.model_validate(version.limits)
    return {
        "data": stage_data(version).sha256,
        "model": model_sha256,
        "probe": f"{name} {_settings(limits, name)} {limits.epsilon}",
        "seed": str(version.seed),
        "code": version.code,
    }


def _save(target: Path, pictures: NDArray[np.uint8]) -> None:
    with target.open("wb") as file:
        np.save(file, pictures)


def _truth(hidden: Hidden) -> tuple[NDArray[np.generic], NDArray[np.int64]]:
    faces = hidden.faces
    return faces.people if hidden.task == "reid" else faces.attributes, faces.goals


def _on_surrogate(bench: Workbench, version: Version, hidden: Hidden, name: str) -> NDArray[np.uint8]:
    # torch is needed here alone: a run whose probes are there already never imports it.
    from aisc.attacks.objectives import attribute_signs, away_from, flip
    from aisc.attacks.projected import Probe, attack_pictures
    from aisc.victims.classifier_models import load_classifier
    from aisc.victims.classifier_package import load_classifier_package

    limits = DefenceLimits.model_validate(version.limits)
    model = load_classifier(load_classifier_package(bench.asset(surrogate_of(version))))
    reid = hidden.task == "reid"
    goals = hidden.faces.people if reid else attribute_signs(hidden.faces.attributes, hidden.faces.goals)
    probe = Probe(name, **_settings(limits, name))  # type: ignore[arg-type]
    return attack_pictures(
        model, away_from if reid else flip, np.array(hidden.pictures), goals, probe,
        epsilon=limits.epsilon, seed=version.seed,
    )  # fmt: skip
