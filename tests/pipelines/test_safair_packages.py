"""The packages of the SAFAIR tracks: what each asks for, in which order."""

from pathlib import Path

import pytest
import yaml

COMPILED = Path(__file__).parents[2] / "pipelines" / "compiled"


def _tasks(package: dict) -> dict[str, dict]:
    graphs = [package["root"], *package["components"].values()]
    return {name: task for graph in graphs for name, task in graph.get("dag", {}).get("tasks", {}).items()}


@pytest.mark.parametrize("task", ["reid", "attributes"])
@pytest.mark.parametrize(("side", "asks"), [("attack", "query-victims"), ("defence", "perturb-images")])
def test_each_track_has_a_package_of_its_name(task, side, asks):
    package = yaml.safe_load((COMPILED / f"{task}-{side}.yaml").read_text())
    assert package["pipelineInfo"]["name"] == f"{task}-{side}"
    tasks = _tasks(package)
    assert asks in tasks
    assert ({"query-victims", "perturb-images"} - {asks}).isdisjoint(tasks)


def test_a_defence_runs_after_its_probes_are_there():
    tasks = _tasks(yaml.safe_load((COMPILED / "reid-defence.yaml").read_text()))
    assert "perturb-images" in tasks["run-submission"]["dependentTasks"]
