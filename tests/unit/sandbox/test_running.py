"""What is looked at before anything runs; runs themselves are in the contract tests."""

import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from aisc.errors import PlatformError
from aisc.sandbox import starters
from aisc.sandbox.base_image import write_image
from aisc.sandbox.choose import Choice
from aisc.sandbox.contract import Evidence, SandboxRequest, SandboxResult, Verdict
from aisc.sandbox.image_rules import ImageLimits
from aisc.sandbox.kept_image import CheckedImage
from aisc.sandbox.running import Ran, Task, run_image


class Recorder:
    """A driver that only writes down what it is asked for."""

    name = "recorder"

    def __init__(self) -> None:
        self.admitted: list[CheckedImage] = []
        self.requests: list[SandboxRequest] = []

    def versions(self) -> Mapping[str, str]:
        return {}

    def admit(self, image: CheckedImage) -> None:
        self.admitted.append(image)

    def run(self, request: SandboxRequest) -> SandboxResult:
        self.requests.append(request)
        return SandboxResult(Verdict.COMPLETED, Evidence(exit_code=0), self.name)


def image(place: Path, text: bytes = b"x", **config: object) -> Path:
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        member = tarfile.TarInfo("program")
        member.size = len(text)
        tar.addfile(member, io.BytesIO(text))
    write_image(place / "image.tar", layer.getvalue(), {"Cmd": ["/program"], **config})
    return place / "image.tar"


def run(archive: Path, place: Path, driver: Recorder, **more: object) -> Ran:
    for folder in ("input", "output"):
        (place / folder).mkdir(exist_ok=True)
    task = Task(place / "input", ("result.csv",), **more)  # type: ignore[arg-type]
    return run_image(archive, task, place / "output", place / "cache", choose=lambda *_: Choice(driver, ()))


def test_T18_an_image_runs_by_its_digest(tmp_path: Path) -> None:
    driver = Recorder()
    ran = run(image(tmp_path), tmp_path, driver)
    assert isinstance(ran.program, CheckedImage)
    (request,) = driver.requests
    assert driver.admitted == [ran.program]
    assert request.image == ran.program.digest
    assert (request.command, request.outputs) == ((), ("result.csv",))
    assert ran.confined


def test_other_bytes_under_the_same_name_are_another_image(tmp_path: Path) -> None:
    driver = Recorder()
    for text in (b"one", b"two", b"one"):
        run(image(tmp_path, text), tmp_path, driver)
    digests = [request.image for request in driver.requests]
    assert digests[0] == digests[2] != digests[1]


def test_T19_an_image_known_under_wide_caps_is_judged_anew_under_narrow_ones(tmp_path: Path) -> None:
    driver = Recorder()
    archive = image(tmp_path)
    assert run(archive, tmp_path, driver).result.verdict is Verdict.COMPLETED
    narrow = run(archive, tmp_path, driver, image_limits=ImageLimits(archive_bytes=100))
    assert narrow.result.verdict is Verdict.IMAGE_REFUSED
    assert narrow.result.evidence.image_codes == ("IMAGE_TOO_LARGE",)
    assert len(driver.requests) == 1


def test_an_image_that_is_gone_from_the_cache_is_checked_again(tmp_path: Path) -> None:
    driver = Recorder()
    ran = run(image(tmp_path), tmp_path, driver)
    assert isinstance(ran.program, CheckedImage)
    for path in ran.program.folder.iterdir():
        path.unlink()
    ran.program.folder.rmdir()
    again = run(tmp_path / "image.tar", tmp_path, driver)
    assert again.program == ran.program
    assert isinstance(again.program, CheckedImage)
    assert again.program.layer(again.program.config.layers[0]).exists()


def test_T05_a_refused_image_asks_for_no_driver(tmp_path: Path) -> None:
    driver = Recorder()
    ran = run(image(tmp_path, Env=["LD_PRELOAD=/x.so"]), tmp_path, driver)
    assert ran.program is None
    assert (ran.result.verdict, ran.result.driver) == (Verdict.IMAGE_REFUSED, "none")
    assert ran.result.evidence.image_codes == ("IMAGE_ENV",)
    assert [finding.code for finding in ran.result.findings] == ["IMAGE_ENV"]
    assert driver.admitted == driver.requests == []


def test_what_is_neither_image_nor_starter_is_refused(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("hello")
    ran = run(tmp_path / "note.txt", tmp_path, Recorder())
    assert ran.result.verdict is Verdict.IMAGE_REFUSED


def test_a_starter_runs_as_a_process_and_is_marked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kit = tmp_path / "deepfake"
    kit.mkdir()
    (kit / "run.py").write_text("import os; open(os.environ['AISC_OUTPUT'] + '/result.csv', 'w').write('x')")
    monkeypatch.setattr(starters, "starter_folder", lambda track: tmp_path / track)
    driver = Recorder()
    named = {"format": "aisc.starter/1", "track": "deepfake", "name": "random"}
    (tmp_path / "starter.json").write_text(json.dumps(named))
    ran = run(tmp_path / "starter.json", tmp_path, driver)
    assert (ran.result.verdict, ran.result.driver, ran.confined) == (Verdict.COMPLETED, "process", False)
    assert (tmp_path / "output" / "result.csv").read_text() == "x"
    assert driver.requests == []
    (tmp_path / "starter.json").write_text(json.dumps({**named, "track": "nowhere"}))
    refused = run(tmp_path / "starter.json", tmp_path, driver)
    assert refused.result.evidence.image_codes == ("STARTER_UNKNOWN",)


def test_a_driver_that_cannot_take_an_image_is_our_fault(tmp_path: Path) -> None:
    class Full(Recorder):
        def admit(self, image: CheckedImage) -> None:
            raise PlatformError("SANDBOX_ADMIT", "full")

    with pytest.raises(PlatformError, match="SANDBOX_ADMIT"):
        run(image(tmp_path), tmp_path, Full())


@pytest.mark.parametrize("name", ["docker+runsc", "docker+runc", "no-such-driver"])
def test_a_run_does_not_fall_back_to_another_driver_than_its_rounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere")
    for folder in ("input", "output"):
        (tmp_path / folder).mkdir()
    task = Task(tmp_path / "input", ())
    with pytest.raises(PlatformError, match=f"SANDBOX_CHANGED.*{name.replace('+', '.')}"):
        run_image(image(tmp_path), task, tmp_path / "output", tmp_path / "cache", name)
