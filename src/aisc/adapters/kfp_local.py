"""Run a compiled package on this machine with ``kfp.local``: the very file that a cluster runs."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def run_package(package: Path, arguments: Mapping[str, Any], root: Path) -> None:
    """Run every task of a package as a subprocess of this interpreter.

    ``kfp.local`` is no sandbox: tasks see the whole environment, so only our own components run this way.

    Args:
        package: Compiled pipeline (YAML).
        arguments: The pipeline's parameters.
        root: Where the tasks' artifacts go.

    Raises:
        RuntimeError: A task failed; its output is above in the log.
    """
    from kfp import components, local

    # Images are a cluster's affair; kfp warns about every one of ours that it does not start.
    warnings.filterwarnings("ignore", message="You may be attemping to run a task", category=RuntimeWarning)
    local.init(runner=local.SubprocessRunner(use_venv=False), pipeline_root=str(root), raise_on_error=True)
    components.load_component_from_file(str(package))(**arguments)
