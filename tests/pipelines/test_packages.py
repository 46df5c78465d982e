"""The compiled packages are the goldens: what is committed is what compiles, image and command included."""

import re
from pathlib import Path

import pytest
import yaml

from aisc.adapters.kfp_components import EVALUATOR_IMAGE, compile_packages

ROOT = Path(__file__).parents[2]
COMPILED = ROOT / "pipelines" / "compiled"


def _normal(text: str) -> str:
    """Leave out the SDK's version, which every release of kfp writes."""
    return re.sub(r"sdkVersion: kfp-[\d.]+", "sdkVersion: kfp", text)


def test_recompiling_changes_nothing(tmp_path):
    fresh = compile_packages(ROOT, tmp_path)
    assert {path.name for path in fresh} == {path.name for path in COMPILED.glob("*.yaml")}
    for path in fresh:
        assert _normal(path.read_text()) == _normal((COMPILED / path.name).read_text()), path.name


@pytest.fixture(params=sorted(COMPILED.glob("*.yaml")), ids=lambda path: path.stem)
def package(request):
    return yaml.safe_load(request.param.read_text())


def test_every_task_runs_our_image_and_installs_nothing(package):
    executors = package["deploymentSpec"]["executors"]
    assert executors
    for name, executor in executors.items():
        container = executor["container"]
        assert container["image"] == EVALUATOR_IMAGE, name
        assert "pip install" not in " ".join(container["command"]), name


def test_kfp_caches_no_task(package):
    graphs = [package["root"], *package["components"].values()]
    tasks = [task for graph in graphs for task in graph.get("dag", {}).get("tasks", {}).values()]
    assert tasks
    assert not any(task.get("cachingOptions", {}).get("enableCache") for task in tasks)


def test_no_condition_reads_what_a_team_can_write(package):
    graphs = [package["root"], *package["components"].values()]
    conditions = [
        task["triggerPolicy"]["condition"]
        for graph in graphs
        for task in graph.get("dag", {}).get("tasks", {}).values()
        if "triggerPolicy" in task
    ]
    for condition in conditions:
        own_words = r"(validate-submission-Output.*== 'accepted'|run-submission-Output.*== 'completed')"
        assert re.search(own_words, condition), condition
