"""``aisc victims``: the models that submissions are run against."""

import tempfile
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Literal

import cv2
import numpy as np
import typer

from aisc.cli.console import DEFAULT_SEASON, Json, SeasonFile, emit, progress, say, table
from aisc.cli.exporting import export
from aisc.cli.serving import serve
from aisc.cli.workspace import open_workspace
from aisc.errors import UsageError
from aisc.victims.builtin import builtin_names, builtin_package, kind_of
from aisc.victims.calibration import DEFAULT_FALSE_ACCEPT_RATE, LabelledFaces, calibrate
from aisc.victims.importing import Declaration, import_victim
from aisc.victims.package import InputDescription, load_package, write_package
from aisc.victims.verifier import make_verifier

app = typer.Typer(help="Train, import, calibrate, export, serve and list victims.", no_args_is_help=True)
Rule = Annotated[Literal["false-accept-rate", "best-accuracy"], typer.Option(help="What the threshold is chosen by.")]
Rate = Annotated[float, typer.Option("--false-accept-rate", help="Target of that rule.")]
Faces = Annotated[
    Path | None, typer.Option(help="Calibrate on these: a folder a person of 112 x 112 images; else synthetic faces.")
]


@app.command()
def train(
    name: Annotated[str, typer.Argument(help="A shipped network's name.")],
    to: Annotated[Path, typer.Option(help="Folder for albums, checkpoints and the package.")] = Path("trained"),
    jobs: Annotated[int, typer.Option(min=1, help="Processes that render.")] = 2,
    as_json: Json = False,
) -> None:
    """Make a network from nothing by its recipe; a second call goes on where the first one stopped.

    Example: aisc victims train surrogate-plain --to trained/
    """
    recipe = import_module(_RECIPES[kind_of(builtin_package(name))])
    with progress(name) as tick:
        recipe.train(name, to, jobs=jobs, report=lambda step: tick(step.done, step.total))
    _show([_load(to / name)], as_json)


@app.command("import")
def import_(
    source: Annotated[
        str, typer.Argument(help="A victim's folder, a shipped victim's name, or a TorchScript or ONNX file.")
    ],
    name: Annotated[str | None, typer.Option(help="Name in the season; needed for a model file.")] = None,
    colours: Annotated[Literal["rgb", "bgr"], typer.Option(help="Order of the model's input colours.")] = "rgb",
    layout: Annotated[Literal["nchw", "nhwc"], typer.Option(help="Layout of the model's input.")] = "nchw",
    mean: Annotated[float, typer.Option(help="Subtracted from grey levels 0 to 255.")] = 127.5,
    scale: Annotated[float, typer.Option(help="Multiplied after that.")] = 1 / 127.5,
    mirror: Annotated[bool, typer.Option(help="Add the mirror image's embedding.")] = True,
    rule: Rule = "false-accept-rate",
    rate: Rate = DEFAULT_FALSE_ACCEPT_RATE,
    faces: Faces = None,
    season: SeasonFile = DEFAULT_SEASON,
    as_json: Json = False,
) -> None:
    """Bring a victim into the store; a model file is tried out and calibrated first.

    Example: aisc victims import model.onnx --name arcface --colours bgr --faces ./calibration
    """
    path = Path(source)
    with open_workspace(season) as workspace, tempfile.TemporaryDirectory() as scratch:
        if path.is_file():
            if name is None:
                raise UsageError("VICTIM_NAME_MISSING", "A model file has no name.", "Give it one with --name.")
            declared = InputDescription(
                colours=colours, layout=layout, mean=(mean, mean, mean), scale=(scale, scale, scale)
            )
            folder = Path(scratch, name)
            import_victim(path, Declaration(name, declared, mirror, rule, rate), _faces(faces), folder)
        else:
            folder = path if path.is_dir() else builtin_package(source)
        description = _load(folder)
        asset = workspace.bench.register("victim", name or str(description["name"]), folder)
    if not as_json:
        say(f"Victim {asset.name} is {asset.sha256[:12]} from now on.")
    _show([description], as_json)


@app.command("calibrate")
def calibrate_(
    name: Annotated[str, typer.Argument(help="A victim of the season.")],
    rule: Rule = "false-accept-rate",
    rate: Rate = DEFAULT_FALSE_ACCEPT_RATE,
    faces: Faces = None,
    season: SeasonFile = DEFAULT_SEASON,
    as_json: Json = False,
) -> None:
    """Choose a victim's threshold anew; the result is a new version of the victim.

    Example: aisc victims calibrate vgg --false-accept-rate 0.0001
    """
    with open_workspace(season) as workspace, tempfile.TemporaryDirectory() as scratch:
        package = load_package(workspace.bench.asset(workspace.bench.ledger.assets.current("victim", name)))
        threshold, record = calibrate(make_verifier(package), _faces(faces), rule, rate)
        changed = package.description.model_copy(update={"threshold": threshold, "calibration": record})
        workspace.bench.register("victim", name, write_package(Path(scratch, name), changed, package.weights).folder)
    _show([changed.model_dump(mode="json")], as_json)


app.command()(export)
app.command()(serve)


@app.command("list")
def list_victims(as_json: Json = False) -> None:
    """List the networks that ship with aisc and how good they are at their task.

    Example: aisc victims list
    """
    _show([_load(builtin_package(name)) for name in builtin_names()], as_json, listed=True)


_RECIPES = {
    "verifier": "aisc.synthetic.faces.recipe",
    "detector": "aisc.synthetic.driving.recipe",
    "classifier": "aisc.synthetic.attributes.recipe",
}
COLUMNS = {
    ("face-verification",): ["Verifier", "Family", "Threshold", "False accepts", "True accepts", "Best accuracy"],
    ("object-detection",): ["Detector", "Design", "Threshold", "Precision", "Recall", "False alarms a frame"],
    ("reid", "attributes"): ["Classifier", "Task", "Defence", "Clean", "FGSM", "BIM", "PGD"],
}


def _load(folder: Path) -> dict[str, Any]:
    """Check a package of any kind and give its description."""
    if kind_of(folder) == "detector":
        from aisc.victims.detector_package import load_detector_package  # brings torch, which verifiers need not

        return load_detector_package(folder).description.model_dump(mode="json")
    if kind_of(folder) == "classifier":
        from aisc.victims.classifier_package import load_classifier_package

        return load_classifier_package(folder).description.model_dump(mode="json")
    return load_package(folder).description.model_dump(mode="json")


def _row(one: dict[str, Any]) -> tuple[object, ...]:
    if one["task"] == "object-detection":
        record = one["measured"]
        figures = (f"{record['precision']:.3f}", f"{record['recall_album']:.3f}", f"{record['false_alarms']:.2f}")
        return (one["name"], one["design"] or one["format"], f"{one['confidence']:.4f}", *figures)
    if one["task"] in ("reid", "attributes"):
        record = one["measured"]
        under = [f"{record['probes'][name]:.1f}" for name in ("fgsm", "bim", "pgd")]
        return (one["name"], one["task"], one["defence"], f"{record['clean']:.1f}", *under)
    record = one["calibration"]
    family = one["architecture"]["family"] if one["architecture"] else one["format"]
    return (
        one["name"],
        family,
        f"{one['threshold']:.4f}",
        f"{record['false_accept_rate']:.2e}",
        f"{record['true_accept_rate']:.3f}",
        f"{record['best_accuracy']:.3f}",
    )


def _show(found: list[dict[str, Any]], as_json: bool, *, listed: bool = False) -> None:
    def render() -> None:
        for tasks, columns in COLUMNS.items():
            if rows := [_row(one) for one in found if one["task"] in tasks]:
                table("", columns, rows)

    emit(found if listed else found[0], as_json, render)


def _faces(folder: Path | None) -> LabelledFaces:
    """Read a folder a person, or render the synthetic calibration faces."""
    if folder is None:
        from aisc.synthetic.faces.recipe import calibration_faces

        return calibration_faces(jobs=2)
    images, people = [], []
    for person, place in enumerate(sorted(path for path in folder.iterdir() if path.is_dir())):
        for file in sorted(place.iterdir()):
            image = cv2.imread(str(file), cv2.IMREAD_COLOR)
            if image is None or image.shape != (112, 112, 3):
                raise UsageError(
                    "FACES_IMAGE", f"{file} is no image of 112 x 112 pixels.", "Align faces first (MTCNN)."
                )
            images.append(image[:, :, ::-1])
            people.append(person)
    if not images:
        raise UsageError("FACES_EMPTY", f"{folder} holds no folder of images.", "Make one folder a person.")
    return LabelledFaces(np.stack(images), np.array(people), f"imported faces: {folder.name}")
