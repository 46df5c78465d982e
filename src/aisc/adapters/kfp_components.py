"""How a function becomes a component, and pipelines become packages."""

import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from kfp import compiler, dsl
from kfp.dsl import pipeline_context
from kfp.dsl.graph_component import GraphComponent

from aisc import __version__

EVALUATOR_IMAGE = f"aisc/evaluator:{__version__}"


def evaluator_component(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a component that runs in the evaluator image; its source travels in the package, the image brings aisc."""
    make: Callable[[Callable[..., Any]], Callable[..., Any]] = dsl.component(
        base_image=EVALUATOR_IMAGE, install_kfp_package=False
    )
    return make(function)


def compile_packages(checkout: Path, target: Path) -> list[Path]:
    """Compile every pipeline of a checkout; a package is called as its pipeline.

    Args:
        checkout: Folder that holds ``pipelines/`` and ``components/``.
        target: Where the YAML files go.

    Returns:
        The written files, by name.
    """
    sys.path.insert(0, str(checkout))
    # Our own keys say what is done already; kfp's cache would skip a step without asking the ledger.
    pipeline_context.Pipeline._execution_caching_default = False
    try:
        written = []
        for source in sorted((checkout / "pipelines").glob("[a-z]*.py")):
            for pipeline in _pipelines_of(import_module(f"pipelines.{source.stem}")):
                package = target / f"{pipeline.name}.yaml"
                compiler.Compiler().compile(pipeline, str(package))
                written.append(package)
        return sorted(written)
    finally:
        sys.path.remove(str(checkout))


def _pipelines_of(module: ModuleType) -> list[GraphComponent]:
    """Give the pipelines that a module holds."""
    return [value for value in vars(module).values() if isinstance(value, GraphComponent)]
