"""The wheel works outside the checkout: it carries packages, starters, weights, templates and migrations."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROBE = """
import sys
from pathlib import Path
import aisc
from aisc.engine.packages import package_path
from aisc.ledger import open_ledger
from aisc.sandbox.starters import starter_folder
from aisc.victims.builtin import builtin_names, builtin_package
from aisc.victims.package import load_package
place = Path(sys.argv[1])
assert Path(aisc.__file__).is_relative_to(place), aisc.__file__
for name in ("face", "driving", "deepfake", "round"):
    assert package_path(name).is_relative_to(place), package_path(name)
for track, script in (("face", "attack.py"), ("driving", "attack.py"), ("deepfake", "run.py")):
    assert (starter_folder(track) / script).is_relative_to(place)
    assert (starter_folder(track) / script).is_file()
assert len(builtin_names("verifier")) == 8
for name in builtin_names("verifier"):
    load_package(builtin_package(name))
open_ledger("sqlite:///" + str(place / "ledger.db"), create=True).close()
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    target = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(target)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    return next(target.glob("*.whl"))


def test_everything_is_found_inside_the_installed_wheel(wheel, tmp_path):
    place = tmp_path / "site"
    install = ["install", "--quiet", "--no-deps", "--no-index", "--disable-pip-version-check", "--target", str(place)]
    subprocess.run([sys.executable, "-m", "pip", *install, str(wheel)], check=True)
    environment = {**os.environ, "PYTHONPATH": str(place)}
    command = [sys.executable, "-c", PROBE, str(place)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_wheel_holds_no_tests_and_no_caches(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert not [name for name in names if "__pycache__" in name or name.startswith(("tests/", "components/"))]
