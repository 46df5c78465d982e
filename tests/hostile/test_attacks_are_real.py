"""An attack that can never win proves nothing: with one wall taken away, each of these gains what it is after.

The same programs run under bubblewrap with a single isolation left out; the sandbox's drivers have no such switch.
"""

import os
import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from aisc.sandbox.attacks import read_corpus
from aisc.sandbox.base_image import compiled, static_busybox, write_base_image
from aisc.sandbox.corpus_witness import Witness, witnessing
from aisc.sandbox.image_archive import check_image
from aisc.sandbox.image_layers import lay_over

pytestmark = [
    pytest.mark.xdist_group("sandbox"),
    pytest.mark.skipif(
        shutil.which("bwrap") is None or shutil.which("busybox") is None or os.geteuid() != 0,
        reason="bubblewrap, busybox or root missing: run 'sudo tests/services/install_sandbox.sh', test as root",
    ),
]
ATTACKS = {attack.name: attack for attack in read_corpus()}
WALLS = ("--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-user")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    static_busybox()
    place = tmp_path_factory.mktemp("root")
    programs = {
        name: data
        for name, attack in ATTACKS.items()
        if (data := compiled(attack.source) if attack.source.suffix == ".c" else attack.source.read_bytes()) is not None
    }
    write_base_image(place / "image.tar", programs)
    (place / "images").mkdir()
    image = check_image(place / "image.tar", place / "images").image
    assert image is not None
    (place / "root").mkdir()
    lay_over([image.layer(layer) for layer in image.config.layers], place / "root", 10_000)
    return place / "root"


def weakened(
    root: Path, witness: Witness, name: str, *extra: str, without: str = "", role: str = "", meet: int = 0
) -> str:
    command = ["bwrap", "--die-with-parent", *(wall for wall in WALLS if wall != without)]
    command += ["--bind", str(root), "/", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]  # noqa: S108
    command += ["--ro-bind", str(witness.input_folder), "/input", *extra, f"/opt/{name}", role]
    environment = {**os.environ, **({"AISC_MEET": str(meet)} if meet else {})}
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment).stdout


@pytest.mark.parametrize("name", ["T12_tcp", "T20_victims", "T01_service_account"])
def test_T12_T20_listener_is_reached_without_the_network_wall(root: Path, tmp_path: Path, name: str) -> None:
    with witnessing(tmp_path) as witness:
        assert "GAINED" in weakened(root, witness, name, without="--unshare-net")
        assert any("TCP" in complaint for complaint in witness.complaints())


def test_T13_datagram_arrives_without_the_network_wall(root: Path, tmp_path: Path) -> None:
    with witnessing(tmp_path) as witness:
        weakened(root, witness, "T13_dns", without="--unshare-net")
        assert any("UDP" in complaint for complaint in witness.complaints())


def test_T15_other_processes_are_seen_without_the_process_wall(root: Path, tmp_path: Path) -> None:
    with witnessing(tmp_path) as witness:
        assert "GAINED process" in weakened(root, witness, "T15_proc", without="--unshare-pid")


def test_T02_secret_is_read_where_the_host_is_mounted(root: Path, tmp_path: Path) -> None:
    with witnessing(tmp_path) as witness:
        said = weakened(root, witness, "T02_secret_volume", "--ro-bind", str(tmp_path), str(tmp_path))
        assert witness.secret in said


def test_T02_environment_is_seen_where_it_is_inherited(root: Path, tmp_path: Path) -> None:
    with witnessing(tmp_path) as witness:
        assert witness.secret in weakened(root, witness, "T02_environment")


def test_T10_other_folders_are_written_where_the_root_is_writable(root: Path, tmp_path: Path) -> None:
    with witnessing(tmp_path) as witness:
        assert "GAINED /opt" in weakened(root, witness, "T10_elsewhere", "--chmod", "0777", "/opt")
    (root / "opt" / "planted").unlink()


@pytest.mark.parametrize(
    ("name", "wall", "extra"),
    [
        ("T14_memory", "--unshare-ipc", ()),
        ("T14_flock", "", ()),
        ("T14_files", "", ("--bind", "{shared}", "/dev/shm")),  # noqa: S108
        ("T14_keyring", "--unshare-user", ()),
    ],
)
def test_T14_note_passes_without_the_wall(
    root: Path, tmp_path: Path, name: str, wall: str, extra: tuple[str, ...]
) -> None:
    (tmp_path / "shared").mkdir()
    filled = tuple(word.format(shared=tmp_path / "shared") for word in extra)
    with witnessing(tmp_path) as witness, ThreadPoolExecutor(1) as beside:
        # Both begin at once and look for each other later, however busy the machine is.
        meeting = int(time.time() + 3)
        writer = beside.submit(weakened, root, witness, name, *filled, without=wall, role="writer", meet=meeting)
        said = weakened(root, witness, name, *filled, without=wall, role="reader", meet=meeting)
        writer.result()
    assert "GAINED" in said
