"""Layers laid over each other where no daemon does it: deleted is deleted, and nothing leaves the folder."""

import io
import os
import stat
import tarfile
from pathlib import Path

import pytest

from aisc.sandbox.image_layers import lay_over
from aisc.submission.findings import RuleBrokenError


def entry(
    name: str, kind: bytes = tarfile.REGTYPE, data: bytes = b"", target: str = "", mode: int = 0o644
) -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.mode, member.size = kind, target, mode, len(data)
    return member, data


def laid(place: Path, *layers: list[tuple[tarfile.TarInfo, bytes]]) -> Path:
    paths = []
    for number, entries in enumerate(layers):
        paths.append(place / f"{number}.tar")
        with tarfile.open(paths[-1], "w") as tar:
            for member, data in entries:
                tar.addfile(member, io.BytesIO(data))
    root = place / "root"
    root.mkdir()
    lay_over(paths, root, 1000)
    return root


def test_later_layers_win_and_delete(tmp_path: Path) -> None:
    root = laid(
        tmp_path,
        [entry("a/one", data=b"1"), entry("a/two", data=b"2"), entry("b/three", data=b"3"), entry("c", data=b"4")],
        [
            entry("a/one", data=b"new"),
            entry("a/.wh.two"),
            entry("b/.wh..wh..opq"),
            entry("b/four", data=b"4"),
            entry(".wh.c"),
        ],
    )
    found = {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}
    assert found == {"a/one": b"new", "b/four": b"4"}


def test_a_file_replaces_a_folder_and_the_other_way_round(tmp_path: Path) -> None:
    root = laid(
        tmp_path,
        [entry("a/x", data=b"1"), entry("b", data=b"2")],
        [entry("a", data=b"file"), entry("b", tarfile.DIRTYPE, mode=0o755), entry("b/y", data=b"3")],
    )
    assert (root / "a").read_bytes() == b"file"
    assert (root / "b" / "y").read_bytes() == b"3"


def test_set_user_id_is_dropped_and_hard_links_hold(tmp_path: Path) -> None:
    root = laid(tmp_path, [entry("su", data=b"x", mode=0o4755), entry("also", tarfile.LNKTYPE, target="su")])
    assert stat.S_IMODE((root / "su").stat().st_mode) == 0o755
    assert (root / "also").samefile(root / "su")


@pytest.mark.parametrize("target", ["/etc", "..", "../../outside", "/"])
def test_T19_no_path_leads_through_a_link(tmp_path: Path, target: str) -> None:
    (tmp_path / "outside").mkdir()
    for member in (
        entry("way/planted", data=b"x"),
        entry("way/folder", tarfile.DIRTYPE),
        entry("way/.wh.passwd"),
        entry("own", tarfile.LNKTYPE, target="way/passwd"),
    ):
        for old in ("root", "0.tar"):
            os.system(f"rm -rf {tmp_path / old}")  # noqa: S605 - a path of ours
        with pytest.raises(RuleBrokenError, match="IMAGE_PATH"):
            laid(tmp_path, [entry("way", tarfile.SYMTYPE, target=target), member])
    assert list((tmp_path / "outside").iterdir()) == []


def test_T19_a_link_is_replaced_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("untouched")
    root = laid(tmp_path, [entry("x", tarfile.SYMTYPE, target=str(tmp_path / "victim")), entry("x", data=b"planted")])
    assert (tmp_path / "victim").read_text() == "untouched"
    assert (root / "x").read_bytes() == b"planted"
