"""``isoalign dicom import`` and ``export`` as a user meets them."""

from __future__ import annotations

import json
import struct
import zipfile
from pathlib import Path

import pydicom
import pytest

from isoalign.cli import main
from isoalign.dicom.objects import write_file
from isoalign.dicom.objects.examples import example_objects

NAMES = ("CT", "RTIMAGE", "RTSTRUCT", "REG 3D/3D", "RTIONPLAN")


@pytest.fixture
def medium(tmp_path: Path) -> Path:
    """Some objects loose, one in a zip, and a DICOMDIR that is not read."""
    folder = tmp_path / "medium"
    folder.mkdir()
    objects = example_objects()
    for name in NAMES:
        write_file(objects[name], folder / f"{name.replace('/', '')}.dcm")
    with zipfile.ZipFile(folder / "more.zip", "w") as packed:
        packed.write(write_file(objects["DRR"], tmp_path / "drr.dcm"), "deep/drr.dcm")
    (folder / "DICOMDIR").write_bytes(b"not read")
    return folder


def facts(capsys: pytest.CaptureFixture[str]) -> dict:
    return dict(json.loads(capsys.readouterr().out))


def test_import_and_export_again(medium: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store, out = tmp_path / "store", tmp_path / "out"
    assert main(["dicom", "import", str(store), str(medium), "--json"]) == 0
    shown = facts(capsys)
    assert (shown["imported"], shown["known"]) == (5, 0), "a Spatial Registration is not imported"
    assert main(["dicom", "import", str(store), str(medium), "--json"]) == 0
    shown = facts(capsys)
    assert (shown["imported"], shown["known"]) == (0, 5)
    assert main(["dicom", "export", str(out), str(store / "received"), "--json"]) == 0
    assert facts(capsys)["exported"] == 4, "a plan is not exported"
    written = sorted(out.iterdir())
    assert sorted(path.name[:2] for path in written) == ["CT", "RI", "RI", "RS"]
    assert {str(pydicom.dcmread(path).file_meta.TransferSyntaxUID) for path in written} == {"1.2.840.10008.1.2"}
    assert main(["dicom", "export", str(out), str(store / "received")]) == 3
    assert "exists already" in capsys.readouterr().err


def test_filters(medium: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def imported(number: int, *options: str) -> int:
        assert main(["dicom", "import", str(tmp_path / str(number)), str(medium), "--json", *options]) == 0
        return int(facts(capsys)["imported"])

    assert imported(1, "--kind", "ct", "--kind", "plan") == 2
    assert imported(2, "--patient", "P-1", "--kind", "rt-image") == 2
    assert imported(3, "--patient", "somebody else") == 0
    assert imported(4, "--series", str(example_objects()["CT"].SeriesInstanceUID)) == 1
    assert main(["dicom", "import", str(tmp_path / "5"), str(medium), "--kind", "registration"]) == 2
    assert "Spatial Registration" in capsys.readouterr().err


def test_another_object_under_a_known_uid_is_put_aside(
    medium: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "store"
    assert main(["dicom", "import", str(store), str(medium / "CT.dcm")]) == 0
    capsys.readouterr()
    other = pydicom.dcmread(medium / "CT.dcm")
    other.PatientComments = "changed"
    other.save_as(medium / "CT.dcm")
    assert main(["dicom", "import", str(store), str(medium / "CT.dcm"), "--json"]) == 3
    shown = capsys.readouterr()
    assert "not imported" in shown.err
    assert len(json.loads(shown.out)["conflicts"]) == 1
    assert len(list((store / "received" / "quarantine").iterdir())) == 1


def test_an_object_that_is_not_whole_is_refused(
    medium: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = pydicom.dcmread(medium / "CT.dcm")
    del image.FrameOfReferenceUID
    image.save_as(medium / "CT.dcm")
    assert main(["dicom", "import", str(tmp_path / "store"), str(medium / "CT.dcm")]) == 3
    assert "(0020,0052)" in capsys.readouterr().err


def test_sequences_that_are_nested_too_deeply_are_refused_in_words(
    medium: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Regression: such a file ended the commands with an unexpected error."""
    opening = struct.pack("<HHI", 0x0040, 0xA730, 0xFFFFFFFF) + struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    closing = struct.pack("<HHI", 0xFFFE, 0xE00D, 0) + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    deep = medium / "CT.dcm"
    deep.write_bytes(deep.read_bytes() + opening * 3000 + closing * 3000)
    for command in (["import", str(tmp_path / "store"), str(deep)], ["validate", str(deep)], ["show", str(deep)]):
        assert main(["dicom", *command]) == 3
        shown = capsys.readouterr()
        assert "nested too deeply" in shown.err + shown.out


def test_a_source_is_needed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dicom", "export", str(tmp_path)]) == 2
    assert "no source" in capsys.readouterr().err
