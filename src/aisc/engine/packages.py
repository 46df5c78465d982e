"""Where the compiled packages are: inside an installed wheel, or in the checkout."""

from importlib import resources
from pathlib import Path

from aisc.errors import PlatformError


def package_path(name: str) -> Path:
    """Give the compiled package of a pipeline; raises ``PACKAGE_MISSING``."""
    installed = Path(str(resources.files("aisc.engine"))) / "compiled" / f"{name}.yaml"
    checkout = Path(__file__).parents[3] / "pipelines" / "compiled" / f"{name}.yaml"
    for path in (installed, checkout):
        if path.is_file():
            return path
    raise PlatformError(
        "PACKAGE_MISSING", f"There is no compiled package {name!r}.", "Reinstall aisc, or run 'aisc pipelines compile'."
    )
