"""Archives from media: what leads outside, is no file, or is larger than it may be is refused; nothing is written."""

from __future__ import annotations

import io
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from isoalign.dicom import media
from isoalign.dicom.errors import UnsafeArchive
from isoalign.dicom.media import packed_members


def zipped(folder: Path, name: str, content: bytes = b"x", *, mode: int = 0) -> Path:
    path = folder / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        entry = zipfile.ZipInfo(name)
        entry.external_attr = mode << 16
        packed.writestr(entry, content, zipfile.ZIP_DEFLATED)
    return path


def tarred(folder: Path, name: str, content: bytes = b"x") -> Path:
    path = folder / "a.tar.gz"
    with tarfile.open(path, "w:gz") as packed:
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        packed.addfile(entry, io.BytesIO(content))
    return path


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_files_in_folders_are_read(tmp_path: Path, pack: Callable[..., Path]) -> None:
    ((name, content),) = packed_members(pack(tmp_path, "case/ct/1.dcm", b"abc" * 1000))
    assert name.endswith(":case/ct/1.dcm")
    assert content == b"abc" * 1000


@pytest.mark.parametrize("name", ["../outside", "a/../../outside", "/etc/outside", "..\\outside", "\\outside"])
def test_zip_paths_that_lead_outside(tmp_path: Path, name: str) -> None:
    with pytest.raises(UnsafeArchive, match="outside"):
        list(packed_members(zipped(tmp_path, name)))


def test_a_link_in_a_zip(tmp_path: Path) -> None:
    with pytest.raises(UnsafeArchive, match="link"):
        list(packed_members(zipped(tmp_path, "plan.dcm", b"/etc/passwd", mode=stat.S_IFLNK | 0o777)))


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_a_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pack: Callable[..., Path]) -> None:
    """A file that inflates a thousandfold: refused by the size that the archive states, before it is unpacked."""
    bomb = pack(tmp_path, "1.dcm", bytes(2_000_000))
    assert bomb.stat().st_size < 10_000
    monkeypatch.setattr(media, "LARGEST_MEMBER_BYTES", 1_000_000)
    with pytest.raises(UnsafeArchive, match="exceed"):
        list(packed_members(bomb))


def test_a_zip_that_states_less_than_it_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = zipped(tmp_path, "1.dcm", bytes(2_000_000))
    content = bomb.read_bytes()
    bomb.write_bytes(content.replace((2_000_000).to_bytes(4, "little"), (1000).to_bytes(4, "little")))
    monkeypatch.setattr(media, "LARGEST_MEMBER_BYTES", 1_000_000)
    with pytest.raises(UnsafeArchive):
        list(packed_members(bomb))


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_many_entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pack: Callable[..., Path]) -> None:
    monkeypatch.setattr(media, "MOST_MEMBERS", 0)
    with pytest.raises(UnsafeArchive, match="more than 0 entries"):
        list(packed_members(pack(tmp_path, "1.dcm")))


@pytest.mark.parametrize("ending", [".zip", ".tar", ".tar.xz"])
def test_garbage(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a{ending}"
    path.write_bytes(b"PK\x03\x04 nothing of the kind" * 50)
    with pytest.raises(UnsafeArchive, match="cannot be unpacked"):
        list(packed_members(path))


def test_an_encrypted_zip(tmp_path: Path) -> None:
    path = zipped(tmp_path, "1.dcm", b"abc")
    content = bytearray(path.read_bytes())
    content[6] |= 1  # general purpose flag of the local header, then of the central directory
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(UnsafeArchive, match="encrypted"):
        list(packed_members(path))
