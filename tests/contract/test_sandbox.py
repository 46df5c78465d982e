"""One contract for every sandbox driver, on real daemons and a real kernel; hostile programs are in tests/hostile."""

import json
import os
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import docker
import pytest

from aisc.errors import UsageError
from aisc.sandbox import running, starters
from aisc.sandbox.base_image import static_busybox, write_base_image
from aisc.sandbox.choose import Choice, available_drivers, choose_driver, named_driver
from aisc.sandbox.contract import MIB, Limits, SandboxDriver, SandboxRequest, SandboxResult, Verdict
from aisc.sandbox.disclosure import team_report
from aisc.sandbox.image_archive import check_image
from aisc.sandbox.kept_image import CheckedImage
from aisc.sandbox.running import Task, run_image
from tests.services import docker_daemon

pytestmark = pytest.mark.xdist_group("sandbox")  # leftovers are looked for on the whole machine
HINT = "run 'sudo tests/services/install_sandbox.sh' and the tests as root"
SMALL = Limits(
    wall_seconds=30,
    memory_bytes=96 * MIB,
    processes=32,
    tmp_bytes=8 * MIB,
    shm_bytes=8 * MIB,
    output_bytes=8 * MIB,
    output_files=4,
    log_bytes=16 << 10,
)


class Rig(NamedTuple):
    found: dict[str, SandboxDriver]
    reasons: list[str]
    url: str
    images: Path


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    images = tmp_path_factory.mktemp("images")
    for folder in (images, *images.parents[:2]):
        folder.chmod(0o711)
    with ExitStack() as stack:
        url = "unix:///nowhere"
        if not docker_daemon.why_not():
            url = stack.enter_context(docker_daemon.running_docker()).url
        found, reasons = available_drivers(images, url)
        yield Rig({driver.name: driver for driver in found}, reasons, url, images)


@pytest.fixture(params=["docker+runsc", "docker+runc", "bubblewrap"])
def driver(request: pytest.FixtureRequest, rig: Rig) -> SandboxDriver:
    if request.param not in rig.found:
        pytest.skip(f"{request.param} not here ({' '.join(rig.reasons)}): {HINT}")
    return rig.found[request.param]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> CheckedImage:
    return made_image(tmp_path_factory.mktemp("image"), b"#!/bin/sh\necho first program\n")


def made_image(place: Path, program: bytes) -> CheckedImage:
    try:
        static_busybox()
    except UsageError as error:
        pytest.skip(f"{error}: {HINT}")
    write_base_image(place / "image.tar", {"program": program})
    (place / "images").mkdir()
    checked = check_image(place / "image.tar", place / "images").image
    assert checked is not None
    return checked


Run = Callable[..., SandboxResult]


@pytest.fixture
def run(driver: SandboxDriver, image: CheckedImage, tmp_path: Path) -> Run:
    driver.admit(image)
    (tmp_path / "input").mkdir()
    (tmp_path / "input" / "probe.txt").write_text("hidden image")

    def runs(script: str, outputs: tuple[str, ...] = (), limits: Limits = SMALL, digest: str = "") -> SandboxResult:
        output = tmp_path / f"output-{time.monotonic_ns()}"
        output.mkdir()
        command = ("/bin/sh", "-c", script) if script else ("/opt/program",)
        request = SandboxRequest(digest or image.digest, command, tmp_path / "input", output, outputs, limits)
        result = driver.run(request)
        assert {path.name for path in output.iterdir()} == set(result.outputs)
        return result

    return runs


def leftovers() -> list[str]:
    mounts = [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if "/aisc-sandbox-" in line]
    return mounts + [str(place) for place in Path("/sys/fs/cgroup").glob("**/aisc-sandbox/*/")]


def test_an_honest_program_reads_its_input_and_its_output_arrives(driver: SandboxDriver, run: Run) -> None:
    result = run("cat /input/probe.txt >/output/result.csv; echo said; echo done >&2", ("result.csv",))
    assert result.verdict is Verdict.COMPLETED, result
    assert result.outputs == ("result.csv",)
    assert sorted(result.log.split()) == [b"done", b"said"]
    assert result.driver == driver.name
    assert result.evidence.exit_code == 0
    assert 0 < result.evidence.wall_seconds < 30
    assert result.evidence.cpu_seconds > 0
    assert 0 < result.evidence.peak_memory_bytes < 96 * MIB
    assert leftovers() == []


STARTER = """
import os, subprocess, sys
assert sys.argv[1::2] == ["--method", "--input", "--output"], sys.argv
sys.exit(subprocess.run(["/bin/sh", "-c", os.environ["AISC_SCRIPT"]]).returncode)
"""


@pytest.mark.parametrize("name", ["docker+runsc", "docker+runc", "bubblewrap", "process"])
@pytest.mark.parametrize(
    ("script", "verdict", "outputs"),
    [
        ("cat $AISC_INPUT/probe.txt >$AISC_OUTPUT/result.csv", Verdict.COMPLETED, ("result.csv",)),
        ("echo x >$AISC_OUTPUT/result.csv; exit 3", Verdict.CRASHED, ()),
        ("sleep 1000", Verdict.TIMEOUT, ()),
        ("yes", Verdict.OUTPUT_LIMIT, ()),
        ("for n in 1 2 3 4 5; do echo >$AISC_OUTPUT/$n; done", Verdict.OUTPUT_LIMIT, ()),
        ("truncate -s 9M $AISC_OUTPUT/result.csv", Verdict.OUTPUT_LIMIT, ()),
    ],
)
def test_F03_a_starter_as_a_process_gets_the_verdicts_of_a_sandbox(
    rig: Rig,
    image: CheckedImage,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    script: str,
    verdict: Verdict,
    outputs: tuple[str, ...],
) -> None:
    for folder in ("input", "output"):
        (tmp_path / folder).mkdir()
    (tmp_path / "input" / "probe.txt").write_text("probe")
    limits = replace(SMALL, wall_seconds=2 if verdict is Verdict.TIMEOUT else 60)
    environment = {"AISC_SCRIPT": script, "AISC_INPUT": "/input", "AISC_OUTPUT": "/output"}
    command = ("/bin/sh", "-c", script)
    request = SandboxRequest(
        image.digest, command, tmp_path / "input", tmp_path / "output", ("result.csv",), limits, environment
    )
    if name == "process":
        (tmp_path / "kit").mkdir()
        (tmp_path / "kit" / "run.py").write_text(STARTER)
        monkeypatch.setattr(starters, "starter_folder", lambda _: tmp_path / "kit")
        result = starters.run_starter("deepfake", "fused-novelty", request)
    elif name in rig.found:
        rig.found[name].admit(image)
        result = rig.found[name].run(request)
    else:
        pytest.skip(f"{name} not here ({' '.join(rig.reasons)}): {HINT}")
    assert (result.verdict, result.outputs, result.driver) == (verdict, outputs, name), result
    assert {path.name for path in (tmp_path / "output").iterdir()} == set(outputs)


def test_T18_from_the_archive_to_the_output_and_a_second_time_by_a_look_up(
    driver: SandboxDriver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_image(tmp_path, b"#!/bin/sh\ncp /input/probe.txt /output/result.csv\n")
    (tmp_path / "input").mkdir()
    (tmp_path / "input" / "probe.txt").write_text("probe")
    task = Task(tmp_path / "input", ("result.csv",), SMALL, command=("/opt/program",))
    choice = Choice(driver, ())
    ran = []
    for number in range(2):
        output = tmp_path / f"output-{number}"
        output.mkdir()
        ran.append(run_image(tmp_path / "image.tar", task, output, tmp_path / "cache", choose=lambda *_: choice))
        assert ran[-1].result.verdict is Verdict.COMPLETED, ran[-1].result
        assert ran[-1].confined
        assert (output / "result.csv").read_text() == "probe"
        monkeypatch.setattr(running, "check_image", lambda *_: pytest.fail("checked twice"))
    assert ran[0].program == ran[1].program
    assert leftovers() == []


def test_the_input_is_mounted_and_not_copied(driver: SandboxDriver, image: CheckedImage, tmp_path: Path) -> None:
    """A file of a terabyte without blocks: a copy of it would fill every disk, and reading its end is instant."""
    driver.admit(image)
    for folder in ("input", "output"):
        (tmp_path / folder).mkdir()
    with (tmp_path / "input" / "giant").open("wb") as giant:
        giant.truncate(1 << 40)
    command = ("/bin/sh", "-c", "stat -c %s /input/giant; touch /input/x")
    result = driver.run(SandboxRequest(image.digest, command, tmp_path / "input", tmp_path / "output", (), SMALL))
    assert result.log.splitlines()[0] == str(1 << 40).encode()
    assert result.verdict is Verdict.CRASHED  # nothing can be written there


def test_T02_the_environment_is_the_allow_list(run: Run) -> None:
    names = {line.split(b"=")[0] for line in run("tr '\\0' '\\n' </proc/1/environ; env").log.splitlines()}
    assert names - {b"SHLVL", b"PWD", b"OLDPWD"} == {b"HOME", b"HOSTNAME", b"LANG", b"PATH", b"TMPDIR"}


@pytest.mark.parametrize(("script", "code"), [("exit 7", 7), ("exit 255", 255), ("sh -c 'kill -9 $$'; exit $?", 137)])
def test_F03_the_exit_status_is_reported(run: Run, script: str, code: int) -> None:
    result = run(script)
    assert result.verdict is Verdict.CRASHED
    assert result.evidence.exit_code == code


def test_F03_a_program_that_is_not_there_is_the_teams_fault(
    driver: SandboxDriver, image: CheckedImage, tmp_path: Path
) -> None:
    driver.admit(image)
    request = SandboxRequest(image.digest, ("/no/such/program",), tmp_path, tmp_path, (), SMALL)
    assert driver.run(request).verdict is Verdict.CRASHED
    assert leftovers() == []


def test_F03_an_image_that_was_not_admitted_is_our_fault(run: Run) -> None:
    result = run("true", digest="sha256:" + "0" * 64)
    assert result.verdict is Verdict.PLATFORM_FAULT
    assert result.evidence.platform
    assert leftovers() == []


def test_a_missing_output_is_found(run: Run) -> None:
    result = run("true", ("result.csv",))
    assert [finding.code for finding in result.findings] == ["OUTPUT_MISSING"]


def test_T41_the_canary_of_the_input_is_in_nothing_that_a_team_reads(run: Run) -> None:
    result = run("cat /input/probe.txt; cat /input/probe.txt >&2; exit 9", ("result.csv",))
    assert b"hidden image" in result.log
    assert "hidden" not in json.dumps(team_report(result).as_json())


def test_the_images_own_entry_point_runs(driver: SandboxDriver, tmp_path: Path) -> None:
    place = tmp_path / "own"
    place.mkdir()
    image = made_image(place, b"x")
    driver.admit(image)
    request = SandboxRequest(image.digest, (), tmp_path, place / "images", (), SMALL)
    result = driver.run(request)
    assert (result.verdict, result.log) == (Verdict.COMPLETED, b"")  # a shell that reads nothing ends


def test_T18_an_image_retagged_afterwards_changes_nothing(
    rig: Rig, driver: SandboxDriver, run: Run, image: CheckedImage, tmp_path: Path
) -> None:
    assert run("").log == b"first program\n"
    other_place = tmp_path / "other"
    other_place.mkdir()
    other = made_image(other_place, b"#!/bin/sh\necho second program\n")
    driver.admit(other)
    if driver.name.startswith("docker"):
        client = docker.DockerClient(base_url=rig.url)
        client.api.tag(image.digest, "team/program", "latest")
        client.api.tag(other.digest, "team/program", "latest", force=True)
    assert run("").log == b"first program\n"
    assert run("", digest=other.digest).log == b"second program\n"


def test_two_runs_at_once_do_not_meet(run: Run) -> None:
    results: list[SandboxResult] = []
    threads = [
        threading.Thread(target=lambda n=n: results.append(run(f"echo {n} >/tmp/x; sleep 1; cat /tmp/x; ls /tmp")))
        for n in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(result.log for result in results) == [b"0\nx\n", b"1\nx\n", b"2\nx\n"]
    assert leftovers() == []


def test_T09_a_run_leaves_no_process_mount_or_group(run: Run) -> None:
    result = run("for i in 1 2 3; do setsid sleep 1000 & done; sleep 0.2; exit 0")
    assert result.verdict is Verdict.COMPLETED
    assert leftovers() == []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            assert b"sleep\x001000" not in (folder / "cmdline").read_bytes()
        except OSError:
            continue


def test_T08_cpu_time_is_limited_too(run: Run) -> None:
    limits = Limits(wall_seconds=3, cpus=0.3, memory_bytes=96 * MIB, tmp_bytes=MIB, shm_bytes=MIB, output_bytes=MIB)
    result = run("while :; do :; done", limits=limits)
    assert result.verdict is Verdict.TIMEOUT
    assert result.evidence.cpu_seconds < 0.3 * result.evidence.wall_seconds + 0.8


def test_a_gpu_is_refused_where_there_is_none(run: Run) -> None:
    with pytest.raises(UsageError, match="SANDBOX_NO_GPU"):
        run("true", limits=Limits(gpus=1))


def test_F03_a_container_lost_while_it_runs_is_our_fault(rig: Rig, driver: SandboxDriver, run: Run) -> None:
    if not driver.name.startswith("docker"):
        pytest.skip("only a daemon can lose a container: bubblewrap has none")
    client = docker.DockerClient(base_url=rig.url)

    def lose() -> None:
        while not (running := client.containers.list(filters={"label": "aisc=sandbox"})):
            time.sleep(0.05)
        running[0].remove(force=True)

    thread = threading.Thread(target=lose)
    thread.start()
    result = run("sleep 20")
    thread.join()
    assert result.verdict is Verdict.PLATFORM_FAULT, result
    assert leftovers() == []


def test_docker_keeps_no_container(rig: Rig, driver: SandboxDriver, run: Run) -> None:
    if not driver.name.startswith("docker"):
        pytest.skip("only Docker keeps containers: bubblewrap has none")
    run("exit 1")
    assert docker.DockerClient(base_url=rig.url).containers.list(all=True) == []


def test_the_strongest_driver_is_chosen_and_named(rig: Rig) -> None:
    if not rig.found:
        pytest.skip(f"no sandbox here: {HINT}")
    choice = choose_driver(rig.images, rig.url)
    assert choice.driver.name == next(iter(rig.found))
    assert choice.driver.name in choice.aloud
    assert len(choice.passed_over) == 3 - len(rig.found)
    for name in rig.found:
        assert named_driver(name, rig.images, rig.url).driver.name == name


def test_without_any_sandbox_nothing_runs_and_the_remedy_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="SANDBOX_NONE") as refused:
        choose_driver(tmp_path / "images", "unix:///nowhere")
    assert "apt-get install" in refused.value.remedy


def test_the_same_busybox_gives_the_same_digest(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    digests = {made_image(tmp_path / name, b"x").digest for name in ("a", "b")}
    assert len(digests) == 1
    with tarfile.open(tmp_path / "a" / "image.tar") as tar:
        assert all(member.mtime == 0 for member in tar)
    assert os.path.getsize(tmp_path / "a" / "image.tar") < 4 * MIB
