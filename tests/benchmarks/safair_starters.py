"""How good the SAFAIR starters are, and whether they order as they must: prints tables, ends with 1 if not.

    python tests/benchmarks/safair_starters.py --task reid --images 200

Pictures are made anew (``--seed``), every starter runs as the program that a participant would hand in, and answers are
judged by the tracks' own scoring. Attacks meet the undefended classifier, which they are computed on, and the one that
was trained adversarially; defences meet the probes of their stage, and then every attack.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from aisc.attacks.objectives import attribute_signs, away_from, flip
from aisc.attacks.projected import PROBES, attack_pictures
from aisc.datasets.attribute_faces import Faces, FacesDescription, read_description, read_faces, read_pictures
from aisc.evaluations.safair_inputs import (
    attack_facts,
    defence_facts,
    fresh_names,
    write_attack_inputs,
    write_pictures,
    write_surrogate,
)
from aisc.submission.altered_images import read_altered
from aisc.submission.predictions import Answers, ask_attributes, ask_people, read_predictions
from aisc.synthetic.attributes.album import CIRCLE
from aisc.synthetic.attributes.dataset import FacesSpec, make_faces
from aisc.tracks.safair import score_attack, score_defence
from aisc.tracks.safair_limits import AttackLimits, DefenceLimits
from aisc.victims.builtin import builtin_package
from aisc.victims.classifier import answers as said
from aisc.victims.classifier import open_classifier
from aisc.victims.classifier_models import load_classifier
from aisc.victims.classifier_package import Task, load_classifier_package

STARTERS = Path(__file__).parents[2] / "images" / "starters"
ATTACKS = ("noise", "fgsm", "bim", "pgd", "mi", "targeted-pgd", "cw", "own-pgd")
DEFENCES = ("none", "jpeg-blur", "denoising", "fgsm-training", "pgd-training")
FLOOR = DefenceLimits().floor
AGAIN = 8
"""Pictures that are shown a second time, under other names and alone."""


class World(NamedTuple):
    """Hidden pictures of one task.

    Attributes:
        task: Which.
        described: Of the dataset.
        faces: The truth.
        pictures: uint8 RGB `(n, 112, 112, 3)`.
    """

    task: Task
    described: FacesDescription
    faces: Faces
    pictures: NDArray[np.uint8]


class Attacked(NamedTuple):
    """What one attack did."""

    pixels: NDArray[np.uint8]
    counted: NDArray[np.bool_]
    largest: int
    differing: int
    seconds: float


def make_world(task: Task, images: int, seed: int) -> World:
    """Render hidden pictures under a seed that no shipped model was trained with."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        make_faces(FacesSpec(task, seed, hidden=images, train=1, val=1), folder)
        faces = read_faces(folder, "hidden")
        return World(task, read_description(folder), faces, read_pictures(folder, "hidden", faces.names))


def run_attack(world: World, method: str) -> Attacked:
    """Run an attack on all pictures, and once more on a few under other names."""
    started = time.monotonic()
    everything = np.arange(len(world.pictures))
    pixels, counted, largest = _attack(world, method, everything, world.faces.names)
    seconds = time.monotonic() - started
    few = np.random.default_rng(0).permutation(everything)[:AGAIN]
    again, _, _ = _attack(world, method, few, fresh_names(b"again", method, len(few)))
    differing = int((again != pixels[few]).any(axis=(1, 2, 3)).sum())
    return Attacked(pixels, counted, largest, differing, seconds)


def _attack(
    world: World, method: str, chosen: NDArray[np.int64], names: tuple[str, ...]
) -> tuple[NDArray[np.uint8], NDArray[np.bool_], int]:
    with tempfile.TemporaryDirectory() as place:
        given, made = Path(place, "input"), Path(place, "output")
        given.mkdir()
        write_surrogate(builtin_package(f"{world.task}-undefended"), given)
        facts = attack_facts(world.described, len(chosen), AttackLimits())
        write_attack_inputs(given, names, world.pictures[chosen], world.faces.goals[chosen], facts)
        _run("safair-attack", method, given, made)
        pixels = np.empty_like(world.pictures[chosen])
        report = read_altered(made, names, world.pictures[chosen], pixels)
        return pixels, report.counts, int(report.changes.max())


def run_defence(world: World, method: str, sets: dict[str, NDArray[np.uint8]]) -> dict[str, Answers]:
    """Show a defence all sets in one folder under names that tell nothing."""
    names = {name: fresh_names(b"secret", name, len(world.pictures)) for name in sets}
    with tempfile.TemporaryDirectory() as place:
        given, made = Path(place, "input"), Path(place, "output")
        given.mkdir()
        everything = [(one, picture) for name in sets for one, picture in zip(names[name], sets[name], strict=True)]
        write_pictures(given, [name for name, _ in everything], [picture for _, picture in everything])
        facts = defence_facts(world.described, len(everything), DefenceLimits())
        (given / "task.json").write_text(json.dumps(facts))
        _run("safair-defence", method, given, made)
        order = [name for one in sets for name in names[one]]
        reid = world.task == "reid"
        question = ask_people(order, CIRCLE) if reid else ask_attributes(order, world.described.attributes)
        found = read_predictions(made / "predictions.csv", question).answers
    if found is None:
        raise SystemExit(f"{method}: the table is refused.")
    values = found.values.reshape(len(sets), len(world.pictures), -1)
    answered = found.answered.reshape(len(sets), -1)
    return {name: Answers(*one) for name, *one in zip(sets, values, answered, strict=True)}


def _run(starter: str, method: str, given: Path, made: Path) -> None:
    words = [sys.executable, "-B", str(STARTERS / starter / "run.py"), "--method", method]
    subprocess.run([*words, "--input", str(given), "--output", str(made)], check=True, stdout=subprocess.DEVNULL)


def probes_of(world: World) -> dict[str, NDArray[np.uint8]]:
    """Compute the probes of a defence's stage on the surrogate."""
    model = load_classifier(load_classifier_package(builtin_package(f"{world.task}-undefended")))
    reid = world.task == "reid"
    goals = world.faces.people if reid else attribute_signs(world.faces.attributes, world.faces.goals)
    aim = away_from if reid else flip
    return {probe.name: attack_pictures(model, aim, world.pictures, goals, probe) for probe in PROBES}


def show_attacks(world: World, attacked: dict[str, Attacked]) -> dict[str, dict[str, float]]:
    """Print a row an attack; give its delta on each of the two shipped classifiers, and what is left on the first.

    Target hits are those on the undefended one; seconds are of the wall, for all pictures.
    """
    deltas: dict[str, dict[str, float]] = {}
    everything = np.ones(len(world.pictures), bool)
    columns = ("undefended", "fgsm")
    print("attack         undefended   trained against FGSM   target hits, %   largest   count   differ   seconds")
    models = {name: open_classifier(builtin_package(f"{world.task}-{name}")) for name in columns}
    clean = {
        name: Answers(said(world.task, model.logits(world.pictures)), everything) for name, model in models.items()
    }
    for method, one in attacked.items():
        scores = {
            name: score_attack(
                world.task, clean[name], Answers(said(world.task, model.logits(one.pixels)), everything), one.counted,
                world.faces, AttackLimits(), seed=1,
            )
            for name, model in models.items()
        }  # fmt: skip
        deltas[method] = {name: score.value for name, score in scores.items()}
        deltas[method]["left"] = float(scores["undefended"].parts["final accuracy"])
        hits = scores["undefended"].parts.get("target hits, %", float("nan"))
        lost = f"{scores['undefended'].value:10.1f} {scores['fgsm'].value:22.1f} {hits:16.1f}"
        seen = f"{one.largest:9d} {one.counted.sum():7d} {one.differing:8d} {one.seconds:9.0f}"
        print(f"{method:14} {lost} {seen}", flush=True)
    return deltas


def show_defences(world: World, attacked: dict[str, Attacked]) -> dict[str, dict[str, float]]:
    """Print a row a defence: clean accuracy, deltas under the probes, the weighted one, deltas under every attack."""
    sets = {"clean": world.pictures, **probes_of(world)}
    sets |= {f"attack {method}": one.pixels for method, one in attacked.items()}
    print(f"\ndefence         clean   fgsm    bim    pgd  weighted  | {'  '.join(f'{name:>7.7}' for name in attacked)}")
    found: dict[str, dict[str, float]] = {}
    for method in DEFENCES:
        answers = run_defence(world, method, sets)
        probed = {probe.name: answers[probe.name] for probe in PROBES}
        score = score_defence(world.task, answers["clean"], probed, world.faces, DefenceLimits(), seed=1)
        clean = float(score.parts["initial accuracy"])
        met = [_met(world, answers["clean"], answers[f"attack {name}"], one) for name, one in attacked.items()]
        under = [clean - float(score.parts[f"accuracy under {probe.name.upper()}"]) for probe in PROBES]
        found[method] = {"clean": clean, "weighted": score.value}
        cells = "  ".join(f"{delta:7.1f}" for delta in met)
        print(
            f"{method:14} {clean:6.1f} {' '.join(f'{one:6.1f}' for one in under)} {score.value:9.1f}  | {cells}",
            flush=True,
        )
    return found


def _met(world: World, clean: Answers, altered: Answers, one: Attacked) -> float:
    return score_attack(world.task, clean, altered, one.counted, world.faces, AttackLimits(), seed=1).value


def broken(
    attacked: dict[str, Attacked], attacks: dict[str, dict[str, float]], defences: dict[str, dict[str, float]]
) -> list[str]:
    """Name what does not hold."""
    plain = {name: deltas["undefended"] for name, deltas in attacks.items()}
    # Where both leave nothing, there is nothing that pgd could be ahead by.
    stronger = plain["pgd"] > plain["fgsm"] or attacks["pgd"]["left"] == attacks["fgsm"]["left"] == 0
    hard = {name: deltas["fgsm"] for name, deltas in attacks.items()}
    weighted = {name: one["weighted"] for name, one in defences.items()}
    trained = max(weighted["fgsm-training"], weighted["pgd-training"])
    between = [weighted["jpeg-blur"], weighted["denoising"]]
    holds = {
        "pgd > fgsm > noise on the undefended classifier": stronger and plain["fgsm"] > plain["noise"],
        "pgd takes 50 points of the undefended classifier": plain["pgd"] >= 50,
        "own-pgd is best on the trained classifier": hard["own-pgd"] == max(hard.values()) and hard["own-pgd"] > 0,
        "adversarial training < the filters < none": trained < min(between) and max(between) < weighted["none"],
        "clean accuracies reach the floor": min(one["clean"] for one in defences.values()) >= FLOOR,
        "all but cw stay within ε": all(one.counted.all() for name, one in attacked.items() if name != "cw"),
        "cw is over ε on some images, not on all": bool(
            attacked["cw"].counted.any() and not attacked["cw"].counted.all()
        ),
        "the same picture is altered in the same way": not any(one.differing for one in attacked.values()),
    }
    return [name for name, does in holds.items() if not does]


def main() -> int:
    """Run every starter; 1 if something does not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=("reid", "attributes"), nargs="+", default=["reid", "attributes"])
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--seed", type=int, default=4711)
    options = parser.parse_args()
    wrong = []
    for task in options.task:
        world = make_world(task, options.images, options.seed)
        print(f"\n{task}, {options.images} pictures, seed {options.seed}")
        methods = [name for name in ATTACKS if task == "reid" or name != "targeted-pgd"]
        attacked = {method: run_attack(world, method) for method in methods}
        wrong += [
            f"{task}: {one}" for one in broken(attacked, show_attacks(world, attacked), show_defences(world, attacked))
        ]
    print("\nbroken: " + "; ".join(wrong) if wrong else "\nall of it holds")
    return bool(wrong)


if __name__ == "__main__":
    raise SystemExit(main())
