"""Programs: what needs a proven sandbox, what does not, and what a team reads of a run."""

import hashlib
import io
import json
import tarfile

import pytest

from aisc.errors import PlatformError, UsageError
from aisc.evaluations import programs
from aisc.evaluations.programs import check_archive, prove_sandbox, run_program, task_of
from aisc.sandbox import running, starters
from aisc.sandbox.contract import MIB, Evidence, SandboxResult, Verdict
from aisc.sandbox.image_archive import check_image
from aisc.sandbox.starters import LARGEST_NAME
from aisc.submission.findings import Finding
from aisc.tracks.deepfake import DeepfakeLimits

STAGE = "deepfake/preliminary"
LIMITS = DeepfakeLimits(wall_seconds=30)
STARTER = json.dumps({"format": "aisc.starter/1", "track": "deepfake", "name": "random"}).encode()


def prove(contest, limits=LIMITS):
    """Prepare a round of what is queued; gives what it said."""
    from aisc.stages.sweep_stage import sweep_stage

    sweep_stage(contest.bench, contest.season, STAGE)
    said = []
    prove_sandbox(contest.bench, contest.bench.ledger.stages.pinned(STAGE), limits, said.append)
    return said


def run(contest, content, limits=LIMITS):
    """Run a program once; gives what became of it."""
    receipt = contest.submit(content)
    bench, plan = contest.claimed(receipt)
    for name in ("input", "output"):
        (contest.folder / name).mkdir(exist_ok=True)
    archive = contest.folder / "archive"
    archive.write_bytes(content)
    task = task_of(limits, contest.folder / "input", ("result.csv",), limits.wall_seconds)
    return run_program(bench, plan, archive, limits, task, contest.folder / "output")


def no_sandbox(images):
    raise UsageError("SANDBOX_NONE", "No sandbox works on this machine.", "As root on Debian: apt-get install …")


def smallest_image() -> bytes:
    """An image's archive that is as short as the name of a starter: one compressed layer, no padding at the end."""
    import gzip

    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        member = tarfile.TarInfo("program")
        member.size, member.mode = 5, 0o755
        tar.addfile(member, io.BytesIO(b"#!/x\n"))
    diff = "sha256:" + hashlib.sha256(layer.getvalue()).hexdigest()
    config = {"architecture": "amd64", "os": "linux", "config": {"Cmd": ["/program"]}}
    config["rootfs"] = {"type": "layers", "diff_ids": [diff]}
    raw = json.dumps(config).encode()
    name = hashlib.sha256(raw).hexdigest() + ".json"
    manifest = json.dumps([{"Config": name, "RepoTags": None, "Layers": ["l"]}]).encode()
    packed = b""
    for file, data in (("manifest.json", manifest), (name, raw), ("l", gzip.compress(layer.getvalue(), 9))):
        member = tarfile.TarInfo(file)
        member.size = len(data)
        packed += member.tobuf() + data + bytes(-len(data) % 512)
    return packed + bytes(1024)


def test_an_image_as_small_as_a_starter_s_name_still_asks_for_a_proven_sandbox(contest):
    archive = smallest_image()
    assert len(archive) <= LARGEST_NAME
    (contest.folder / "small.tar").write_bytes(archive)
    assert check_image(contest.folder / "small.tar", contest.folder).image is not None
    contest.driver.escapes = ("GAINED root",)
    contest.submit(archive)
    with pytest.raises(PlatformError, match="SANDBOX_NOT_CONFORMANT"):
        prove(contest)
    with pytest.raises(PlatformError, match="SANDBOX_NOT_CONFORMANT"):
        run(contest, archive)
    assert contest.driver.requests == []


def test_a_round_of_strangers_programs_begins_on_a_proven_driver_alone(contest):
    contest.driver.escapes = ("GAINED root",)
    contest.submit(contest.image())
    with pytest.raises(PlatformError, match=r"SANDBOX_NOT_CONFORMANT.*T01_a: GAINED root"):
        prove(contest)
    contest.driver.escapes = ()
    said = prove(contest)
    assert said == [
        {"sandbox": "sandbox: driver+x (not docker+runsc: no daemon)"},
        {"sandbox": "sandbox driver+x: 1 attacks tried, 1 blocked", "failures": []},
    ]
    assert contest.driver.proofs == 2
    assert prove(contest) == said
    assert contest.driver.proofs == 2, "a fresh proof is taken as it is"


def test_an_organizers_exception_is_said_aloud_with_the_failures(contest):
    contest.driver.escapes = ("GAINED root",)
    contest.submit(contest.image())
    said = prove(contest, LIMITS.model_copy(update={"sandbox_exception": "ticket 7, mended by Friday"}))
    assert said[1] == {
        "sandbox": "sandbox driver+x: 1 attacks tried, 0 blocked; exception: ticket 7, mended by Friday",
        "failures": ["T01_a: GAINED root"],
    }


@pytest.mark.parametrize("content", [STARTER, STARTER.replace(b"deepfake", b"nowhere"), b"no archive"])
def test_a_round_of_starters_and_of_what_is_refused_anyway_needs_no_sandbox(contest, monkeypatch, content):
    monkeypatch.setattr(programs, "machine_choice", no_sandbox)
    contest.submit(content)
    assert prove(contest) == [{"sandbox": "not needed: no image waits"}]


def test_without_a_sandbox_a_stranger_s_program_stops_the_round_with_what_to_install(contest, monkeypatch):
    monkeypatch.setattr(programs, "machine_choice", no_sandbox)
    contest.submit(STARTER, "Blue")
    contest.submit(contest.image())
    with pytest.raises(UsageError, match="SANDBOX_NONE") as caught:
        prove(contest)
    assert "apt-get install" in caught.value.remedy


def test_a_run_proves_the_driver_itself_where_no_round_did(contest):
    contest.driver.escapes = ("GAINED root",)
    with pytest.raises(PlatformError, match="SANDBOX_NOT_CONFORMANT"):
        run(contest, contest.image())
    assert contest.driver.requests == []


def test_a_run_does_not_fall_back_to_another_driver_than_its_round_s(contest, monkeypatch):
    archive = contest.image()
    contest.submit(archive)
    prove(contest)
    monkeypatch.setattr(programs, "machine_choice", running.machine_choice)
    with pytest.raises(PlatformError, match=r"SANDBOX_CHANGED.*driver\+x"):
        run(contest, archive)
    assert contest.driver.requests == []


def test_a_completed_run_tells_the_team_nothing_and_organizers_everything(contest):
    evidence = Evidence(exit_code=0, wall_seconds=2.5, peak_memory_bytes=7 * MIB)
    contest.driver.answer = lambda _: SandboxResult(
        Verdict.COMPLETED, evidence, "", ("result.csv",), log=b"hi\x1b[2J\n"
    )
    outcome = run(contest, contest.image())
    assert outcome.completed
    assert not outcome.findings.refused
    assert outcome.findings.listed == []
    record = outcome.record
    assert (record["verdict"], record["driver"], record["confined"]) == ("COMPLETED", "driver+x", True)
    assert record["evidence"]["wall_seconds"] == 2.5
    assert record["log"] == ["hi\\x1b[2J", ""]
    (request,) = contest.driver.requests
    assert record["program"] == request.image
    assert (request.limits.wall_seconds, request.limits.memory_bytes) == (30, LIMITS.memory_mib * MIB)
    assert json.loads(json.dumps(record))["evidence"]["exit_code"] == 0, "a record is plain JSON"


@pytest.mark.parametrize("verdict", [verdict for verdict in Verdict if verdict not in {"COMPLETED", "PLATFORM_FAULT"}])
def test_T43_a_team_reads_a_code_and_one_sentence_that_depend_on_the_verdict_alone(contest, verdict):
    texts = set()
    told = Finding("OUTPUT_LINK", "secret", "secret", "…", "refused")
    for place, (seconds, findings) in enumerate([(1.0, ()), (29.0, (told,))]):
        evidence = Evidence(exit_code=place, wall_seconds=seconds)
        ended = SandboxResult(verdict, evidence, "", (), findings, b"secret" * place)
        contest.driver.answer = lambda _, ended=ended: ended
        outcome = run(contest, contest.image(f"p{place}"))
        (finding,) = outcome.findings.listed
        assert (finding.code, finding.where, finding.effect) == (verdict.value, "", "refused")
        assert not outcome.completed
        texts.add(finding.message.partition(" (")[0])
        assert "secret" not in finding.message
    assert len(texts) == 1


def test_a_fault_of_the_sandbox_is_ours_and_gives_the_attempt_back(contest):
    contest.driver.answer = lambda _: SandboxResult(Verdict.PLATFORM_FAULT, Evidence(platform="disk gone"), "")
    with pytest.raises(PlatformError, match=r"SANDBOX_FAULT.*driver\+x.*disk gone"):
        run(contest, contest.image())


def test_a_program_that_is_too_slow_times_out_as_a_starter_too(contest, monkeypatch):
    kit = contest.folder / "deepfake"
    kit.mkdir()
    (kit / "run.py").write_text("import time; print('begun', flush=True); time.sleep(60)")
    monkeypatch.setattr(starters, "starter_folder", lambda track: contest.folder / track)
    outcome = run(contest, STARTER, LIMITS.model_copy(update={"wall_seconds": 1}))
    assert [finding.code for finding in outcome.findings.listed] == ["TIMEOUT"]
    assert (outcome.record["driver"], outcome.record["confined"]) == ("process", False)
    assert contest.driver.requests == []
    assert contest.driver.proofs == 0


def test_T18_the_same_archive_again_costs_a_look_up_and_runs_under_the_same_digest(contest, monkeypatch):
    checks = []

    def counted(archive, kept, limits):
        checks.append(archive)
        return check_image(archive, kept, limits)

    monkeypatch.setattr(running, "check_image", counted)
    images = running.images_cache(contest.bench.cache)
    for number, content in enumerate((contest.image(), contest.image(), contest.image("other"))):
        archive = contest.folder / f"{number}.tar"
        archive.write_bytes(content)
        check_archive(archive, LIMITS, images)
    assert len(checks) == 2
    for name in ("one", "two"):
        receipt = contest.submit(contest.image(), name)
        assert contest.evaluate(receipt).state == "refused"
    assert len(checks) == 2
    assert len({request.image for request in contest.driver.requests}) == 1


def test_narrower_limits_of_a_later_stage_judge_a_known_image_anew(contest):
    archive = contest.folder / "image.tar"
    archive.write_bytes(contest.image())
    images = running.images_cache(contest.bench.cache)
    program, findings = check_archive(archive, LIMITS, images)
    assert program["kind"] == "image"
    assert findings.counts == {}
    archive.write_bytes(contest.image() + bytes(2 * MIB))
    program, findings = check_archive(archive, LIMITS.model_copy(update={"max_archive_mib": 1}), images)
    assert program == {}
    assert list(findings.counts) == ["IMAGE_TOO_LARGE"]
