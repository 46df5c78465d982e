"""The probes that defences are shown: FGSM, BIM and PGD on the stage's surrogate, computed once for all of them."""

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
from aisc.tracks.safair_limits import DefenceLimits
from aisc.workbench import Workbench

SETS: Final = ("clean", "fgsm", "bim", "pgd")
"""What a defence is shown, without being told which picture is of which."""


class Batch(NamedTuple):
    """One folder with all sets mixed.

    Attributes:
        folder: What programs see as ``/input``.
        names: File names by set, in the order of the hidden images.
    """

    folder: Path
    names: dict[str, tuple[str, ...]]


def probed_pictures(bench: Workbench, version: Version, hidden: Hidden) -> dict[str, NDArray[np.uint8]]:
    """Give the pictures of each set, uint8 RGB `(n, 112, 112, 3)`; a probe is computed once for a whole stage."""
    limits = DefenceLimits.model_validate(version.limits)
    found = {"clean": hidden.pictures}
    for name in SETS[1:]:

        def make(target: Path, name: str = name) -> None:
            with target.open("wb") as file:
                np.save(file, _computed(bench, version, hidden, limits, name))

        path = bench.derived(f"{name}.npy", _made_of(version, limits, name), make)
        found[name] = np.load(path, mmap_mode="r")
    return found


def probe_facts(version: Version, hidden: Hidden, probed: dict[str, NDArray[np.uint8]]) -> dict[str, Any]:
    """Tell what was computed, for the run's page: settings, and the largest and the mean change of each probe."""
    limits = DefenceLimits.model_validate(version.limits)
    facts = {}
    for name in SETS[1:]:
        change = np.abs(probed[name].astype(np.int16) - hidden.pictures)
        facts[name] = _settings(limits, name) | {
            "largest_change": int(change.max(initial=0)), "mean_change": round(float(change.mean()), 3),
        }  # fmt: skip
    return {"surrogate": surrogate_of(version).name, "images": len(hidden.faces.names), "probes": facts}


def defence_batch(bench: Workbench, version: Version) -> Batch:
    """Lay out the one folder of a stage: every image four times, under random names in random order (T38)."""
    hidden = open_hidden(bench, version)
    limits = DefenceLimits.model_validate(version.limits)
    names = {name: fresh_names(hidden.secret, name, len(hidden.faces.names)) for name in SETS}

    def make(folder: Path) -> None:
        probed = probed_pictures(bench, version, hidden)
        write_batch(
            folder,
            [(one, picture) for name in SETS for one, picture in zip(names[name], probed[name], strict=True)],
            hidden,
            limits,
        )

    made_of = {name: _made_of(version, limits, name) for name in SETS[1:]}
    return Batch(bench.cached(f"defence-{digest({**made_of, 'hours': limits.hours})}", make), names)


def write_batch(
    folder: Path, named: list[tuple[str, NDArray[np.uint8]]], hidden: Hidden, limits: DefenceLimits
) -> None:
    """Write named pictures and ``task.json``."""
    import json

    write_pictures(folder, [name for name, _ in named], [picture for _, picture in named])
    facts = defence_facts(hidden.described, len(named), limits)
    (folder / TASK_FILE).write_text(json.dumps(facts, indent=2) + "\n")


def _settings(limits: DefenceLimits, name: str) -> dict[str, Any]:
    if name == "fgsm":
        return {"steps": 1, "step": float(limits.epsilon), "random_start": False}
    return {"steps": limits.steps, "step": limits.step, "random_start": name == "pgd"}


def _made_of(version: Version, limits: DefenceLimits, name: str) -> dict[str, str]:
    return {
        "data": stage_data(version).sha256,
        "surrogate": surrogate_of(version).sha256,
        "probe": f"{name} {_settings(limits, name)} {limits.epsilon}",
        "seed": str(version.seed),
        "code": version.code,
    }


def _computed(
    bench: Workbench, version: Version, hidden: Hidden, limits: DefenceLimits, name: str
) -> NDArray[np.uint8]:
    # torch is needed here alone: a run whose probes are there already never imports it.
    from aisc.attacks.objectives import attribute_signs, away_from, flip
    from aisc.attacks.projected import Probe, attack_pictures
    from aisc.victims.classifier_models import load_classifier
    from aisc.victims.classifier_package import load_classifier_package

    model = load_classifier(load_classifier_package(bench.asset(surrogate_of(version))))
    reid = hidden.task == "reid"
    goals = hidden.faces.people if reid else attribute_signs(hidden.faces.attributes, hidden.faces.goals)
    probe = Probe(name, **_settings(limits, name))  # type: ignore[arg-type]
    return attack_pictures(
        model, away_from if reid else flip, np.array(hidden.pictures), goals, probe,
        epsilon=limits.epsilon, seed=version.seed,
    )  # fmt: skip
