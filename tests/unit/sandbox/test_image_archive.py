"""Images that teams upload: caps before unpacking, digests, configuration (T05, T18, T19)."""

import gzip
import hashlib
import io
import json
import platform
import tarfile
import tracemalloc
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from aisc.sandbox.contract import Verdict
from aisc.sandbox.finish import refused_result
from aisc.sandbox.image_archive import check_image
from aisc.sandbox.image_rules import ImageLimits
from aisc.sandbox.kept_image import CheckedImage, docker_archive

MACHINE = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
OTHER = "arm64" if MACHINE == "amd64" else "amd64"


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def tar_of(files: Mapping[str, bytes | tarfile.TarInfo]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in files.items():
            if isinstance(data, tarfile.TarInfo):
                data.name = name
                tar.addfile(data)
            else:
                member = tarfile.TarInfo(name)
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


LAYER = tar_of({"bin/program": b"#!/bin/sh\n", "etc/name": b"x"})


def config_of(layers: list[bytes], run: Mapping[str, Any] | None = None, **changes: Any) -> bytes:
    config = {
        "architecture": MACHINE,
        "os": "linux",
        "config": {"Cmd": ["/bin/program"], "Env": ["PATH=/bin"], **(run or {})},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{sha(layer)}" for layer in layers]},
    }
    return json.dumps({**config, **changes}).encode()


def docker_save(config: bytes, layers: list[bytes], **more: bytes | tarfile.TarInfo) -> bytes:
    names = [f"{number}/layer.tar" for number in range(len(layers))]
    manifest = json.dumps([{"Config": "config.json", "RepoTags": ["team/program:latest"], "Layers": names}]).encode()
    return tar_of({"manifest.json": manifest, "config.json": config, **dict(zip(names, layers, strict=True)), **more})


def oci(config: bytes, layers: list[bytes]) -> bytes:
    blobs = {f"blobs/sha256/{sha(data)}": data for data in (config, *layers)}
    manifest = json.dumps(
        {"config": {"digest": f"sha256:{sha(config)}"}, "layers": [{"digest": f"sha256:{sha(x)}"} for x in layers]}
    ).encode()
    index = json.dumps({"manifests": [{"digest": f"sha256:{sha(manifest)}"}]}).encode()
    return tar_of({"index.json": index, f"blobs/sha256/{sha(manifest)}": manifest, **blobs})


def check(place: Path, data: bytes, limits: ImageLimits | None = None) -> tuple[CheckedImage | None, set[str]]:
    (place / "image.tar").write_bytes(data)
    (place / "images").mkdir(exist_ok=True)
    verdict = check_image(place / "image.tar", place / "images", limits)
    if verdict.image is None:
        assert list((place / "images").iterdir()) == [], "a refused image leaves nothing"
    return verdict.image, set(verdict.findings.counts)


def codes(place: Path, data: bytes, limits: ImageLimits | None = None) -> set[str]:
    image, found = check(place, data, limits)
    assert (image is None) == bool(found)
    return found


def test_a_saved_image_is_named_by_the_digest_of_its_configuration(tmp_path: Path) -> None:
    config = config_of([LAYER], {"Entrypoint": ["/bin/program"], "Cmd": ["--fast"], "WorkingDir": "/app"})
    image, _ = check(tmp_path, docker_save(config, [LAYER]))
    assert image is not None
    assert image.digest == f"sha256:{sha(config)}"
    assert image.config.command == ("/bin/program", "--fast")
    assert image.config.working_folder == "/app"
    assert image.layer(image.config.layers[0]).read_bytes() == LAYER


@pytest.mark.parametrize("packed", [False, True])
def test_an_oci_archive_gives_the_same_image(tmp_path: Path, packed: bool) -> None:
    config = config_of([LAYER])
    first, _ = check(tmp_path, docker_save(config, [LAYER]))
    again, found = check(tmp_path, oci(config, [gzip.compress(LAYER) if packed else LAYER]))
    assert found == set()
    assert first == again


def test_what_docker_loads_holds_only_what_was_checked(tmp_path: Path) -> None:
    config = config_of([LAYER])
    image, _ = check(tmp_path, docker_save(config, [LAYER], unchecked=b"x" * 1000))
    assert image is not None
    with tarfile.open(fileobj=io.BytesIO(b"".join(docker_archive(image)))) as tar:
        names = tar.getnames()
        manifest = json.load(tar.extractfile("manifest.json"))  # type: ignore[arg-type]
        assert tar.extractfile(manifest[0]["Config"]).read() == config  # type: ignore[union-attr]
        assert tar.extractfile(manifest[0]["Layers"][0]).read() == LAYER  # type: ignore[union-attr]
    assert manifest[0]["RepoTags"] is None
    assert len(names) == 3


def test_T18_a_retagged_image_has_the_same_digest_and_a_changed_one_another(tmp_path: Path) -> None:
    config = config_of([LAYER])
    renamed = docker_save(config, [LAYER]).replace(b"team/program:latest", b"team/program:newest")
    other = tar_of({"bin/program": b"#!/bin/other\n"})
    images = [
        check(tmp_path, data)[0]
        for data in (docker_save(config, [LAYER]), renamed, docker_save(config_of([other]), [other]))
    ]
    assert all(images)
    assert images[0].digest == images[1].digest != images[2].digest  # type: ignore[union-attr]


def test_T18_a_layer_swapped_under_its_digest_is_refused(tmp_path: Path) -> None:
    other = tar_of({"bin/program": b"#!/bin/evil\n"})
    assert codes(tmp_path, docker_save(config_of([LAYER]), [other])) == {"IMAGE_DIGEST"}
    assert codes(tmp_path, oci(config_of([LAYER]), [other])) == {"IMAGE_DIGEST"}


@pytest.mark.parametrize(
    ("run", "code"),
    [
        ({"Env": ["LD_PRELOAD=/evil.so"]}, "IMAGE_ENV"),
        ({"Env": ["LD_LIBRARY_PATH=/evil"]}, "IMAGE_ENV"),
        ({"Env": ["NVIDIA_VISIBLE_DEVICES=all"]}, "IMAGE_ENV"),
        ({"Env": ["NVIDIA_DRIVER_CAPABILITIES=all"]}, "IMAGE_ENV"),
        ({"Env": ["DOCKER_HOST=tcp://x"]}, "IMAGE_ENV"),
        ({"Env": ["KUBERNETES_SERVICE_HOST=x"]}, "IMAGE_ENV"),
        ({"Env": ["http_proxy=x"]}, "IMAGE_ENV"),
        ({"Env": ["no value"]}, "IMAGE_ENV"),
        ({"Env": ["PATH=a\0b"]}, "IMAGE_ENV"),
        ({"Env": "PATH=/bin"}, "IMAGE_ENV"),
        ({"Env": ["PATH=" + "x" * 5000]}, "IMAGE_ENV"),
        ({"Entrypoint": "/bin/sh -c evil"}, "IMAGE_ENTRYPOINT"),
        ({"Entrypoint": [], "Cmd": []}, "IMAGE_ENTRYPOINT"),
        ({"Entrypoint": None, "Cmd": None}, "IMAGE_ENTRYPOINT"),
        ({"Entrypoint": ["a\0b"]}, "IMAGE_ENTRYPOINT"),
        ({"Entrypoint": [""]}, "IMAGE_ENTRYPOINT"),
        ({"Entrypoint": [1]}, "IMAGE_ENTRYPOINT"),
        ({"Entrypoint": ["x"] * 100}, "IMAGE_ENTRYPOINT"),
        ({"Entrypoint": ["x" * 5000]}, "IMAGE_ENTRYPOINT"),
        ({"Volumes": {"/data": {}}}, "IMAGE_VOLUME"),
        ({"WorkingDir": "../x"}, "IMAGE_WORKDIR"),
        ({"WorkingDir": "/a/../../b"}, "IMAGE_WORKDIR"),
        ({"WorkingDir": 7}, "IMAGE_WORKDIR"),
    ],
)
def test_T05_bad_configurations_are_refused_with_their_code(tmp_path: Path, run: dict[str, Any], code: str) -> None:
    assert codes(tmp_path, docker_save(config_of([LAYER], run), [LAYER])) == {code}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"os": "windows"}, "IMAGE_PLATFORM"),
        ({"architecture": OTHER}, "IMAGE_PLATFORM"),
        ({"config": None}, "IMAGE_CONFIG"),
        ({"config": []}, "IMAGE_CONFIG"),
        ({"rootfs": {"diff_ids": []}}, "IMAGE_CONFIG"),
        ({"rootfs": {"diff_ids": ["latest"]}}, "IMAGE_CONFIG"),
        ({"rootfs": {"diff_ids": [f"sha256:{sha(LAYER)}"] * 2}}, "IMAGE_CONFIG"),
        ({"rootfs": None}, "IMAGE_CONFIG"),
    ],
)
def test_T05_odd_configurations_are_refused_with_their_code(tmp_path: Path, changes: dict[str, Any], code: str) -> None:
    assert codes(tmp_path, docker_save(config_of([LAYER], **changes), [LAYER])) == {code}


def test_F03_a_refused_image_is_a_verdict_with_its_codes(tmp_path: Path) -> None:
    (tmp_path / "image.tar").write_bytes(docker_save(config_of([LAYER], {"Volumes": {"/x": {}}}), [LAYER]))
    (tmp_path / "images").mkdir()
    result = refused_result("docker+runsc", check_image(tmp_path / "image.tar", tmp_path / "images").findings)
    assert result.verdict is Verdict.IMAGE_REFUSED
    assert result.evidence.image_codes == ("IMAGE_VOLUME",)


@pytest.mark.parametrize("config", [b"", b"[]", b"nonsense", b"[" * 100_000, b'{"a":' * 50_000, b" " * (2 << 20)])
def test_T05_configurations_made_to_hurt_the_parser_are_refused(tmp_path: Path, config: bytes) -> None:
    assert codes(tmp_path, docker_save(config, [LAYER])) == {"IMAGE_CONFIG"}


def test_T19_a_thousand_layers_are_refused_from_the_manifest(tmp_path: Path) -> None:
    config = config_of([LAYER] * 1000)
    names = json.dumps([{"Config": "config.json", "Layers": ["0/layer.tar"] * 1000}]).encode()
    data = tar_of({"manifest.json": names, "config.json": config, "0/layer.tar": LAYER})
    assert codes(tmp_path, data) == {"IMAGE_TOO_MANY_LAYERS"}


def test_T19_a_giant_archive_is_refused_unread(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    with (tmp_path / "image.tar").open("wb") as file:
        file.truncate(ImageLimits().archive_bytes + 1)
    verdict = check_image(tmp_path / "image.tar", tmp_path / "images")
    assert set(verdict.findings.counts) == {"IMAGE_TOO_LARGE"}


def test_T19_a_layer_that_unpacks_to_a_giant_is_stopped_in_bounded_memory(tmp_path: Path) -> None:
    giant = bytes(64 << 20)
    data = oci(config_of([giant]), [gzip.compress(giant)])
    del giant
    (tmp_path / "image.tar").write_bytes(data)
    (tmp_path / "images").mkdir()
    tracemalloc.start()
    verdict = check_image(tmp_path / "image.tar", tmp_path / "images", ImageLimits(unpacked_bytes=8 << 20))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert set(verdict.findings.counts) == {"IMAGE_TOO_LARGE"}
    assert peak < 16 << 20


def test_T19_the_cap_holds_for_all_layers_together(tmp_path: Path) -> None:
    layers = [tar_of({f"f{number}": bytes(500_000)}) for number in range(4)]
    limits = ImageLimits(unpacked_bytes=1_200_000)
    assert codes(tmp_path, docker_save(config_of(layers), layers), limits) == {"IMAGE_TOO_LARGE"}


def test_T19_entries_are_counted_over_all_layers(tmp_path: Path) -> None:
    layers = [tar_of({f"{layer}-{number}": b"" for number in range(60)}) for layer in range(3)]
    assert codes(tmp_path, docker_save(config_of(layers), layers), ImageLimits(entries=150)) == {"IMAGE_ARCHIVE"}
    assert codes(tmp_path, docker_save(config_of(layers), layers), ImageLimits(entries=180)) == set()


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XGLTYPE])
def test_T19_a_header_that_claims_gigabytes_takes_no_memory(tmp_path: Path, kind: bytes) -> None:
    header = tarfile.TarInfo("x")
    header.type, header.size = kind, 3 << 30
    (tmp_path / "images").mkdir()
    with (tmp_path / "image.tar").open("wb") as file:
        file.write(header.tobuf(tarfile.GNU_FORMAT))
        file.truncate(4 << 30)
    tracemalloc.start()
    verdict = check_image(tmp_path / "image.tar", tmp_path / "images")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert set(verdict.findings.counts) == {"IMAGE_ARCHIVE"}
    assert peak < 4 << 20


def link(kind: bytes, target: str = "config.json") -> tarfile.TarInfo:
    member = tarfile.TarInfo()
    member.type, member.linkname = kind, target
    return member


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_T19_the_archive_holds_ordinary_files_only(tmp_path: Path, kind: bytes) -> None:
    data = docker_save(config_of([LAYER]), [LAYER], odd=link(kind, "/etc/passwd"))
    assert codes(tmp_path, data) == {"IMAGE_MEMBER"}


@pytest.mark.parametrize("name", ["/etc/passwd", "../../etc/passwd", "a/../../b"])
def test_T19_layers_cannot_leave_the_image(tmp_path: Path, name: str) -> None:
    for layer in (tar_of({name: b"x"}), tar_of({"a": link(tarfile.LNKTYPE, name)})):
        assert codes(tmp_path, docker_save(config_of([layer]), [layer])) == {"IMAGE_PATH"}


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_T19_layers_hold_no_devices(tmp_path: Path, kind: bytes) -> None:
    layer = tar_of({"dev/x": link(kind)})
    assert codes(tmp_path, docker_save(config_of([layer]), [layer])) == {"IMAGE_DEVICE"}


@pytest.mark.parametrize(
    "data",
    [b"", b"nonsense" * 1000, gzip.compress(docker_save(config_of([LAYER]), [LAYER])), tar_of({"a": b"x"})],
    ids=["empty", "no tar", "compressed", "no manifest"],
)
def test_other_files_are_refused(tmp_path: Path, data: bytes) -> None:
    assert codes(tmp_path, data) == {"IMAGE_ARCHIVE"}


def test_an_archive_cut_anywhere_is_refused_or_whole(tmp_path: Path) -> None:
    data = docker_save(config_of([LAYER]), [LAYER])
    whole = codes(tmp_path, data)
    assert whole == set()
    for folder in (tmp_path / "images").iterdir():
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()
    for end in range(0, len(data) - 15_000, 997):
        image, found = check(tmp_path, data[:end])
        assert image is None, end
        assert found


def test_two_images_in_one_archive_are_refused(tmp_path: Path) -> None:
    entry = {"Config": "config.json", "Layers": ["0/layer.tar"]}
    data = tar_of({"manifest.json": json.dumps([entry, entry]).encode()})
    assert codes(tmp_path, data) == {"IMAGE_SEVERAL"}


def test_a_name_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    config = config_of([LAYER])
    data = docker_save(config, [LAYER], **{"./config.json": config})
    assert codes(tmp_path, data) == {"IMAGE_MEMBER"}
