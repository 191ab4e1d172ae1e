"""Import and export of DICOM files: filters, Part 10, implicit VR, the same checks as everywhere."""

from __future__ import annotations

import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGBaseline8Bit

from isoalign.dicom.errors import (
    CaseFolderMissing,
    ExportRefused,
    InvalidAttribute,
    MissingAttribute,
    UnsupportedPixelData,
)
from isoalign.dicom.identity import CT_IMAGE, IMPLEMENTATION_CLASS_UID, RT_IMAGE
from isoalign.dicom.media_files import MediaFilter, export_media, import_media
from isoalign.dicom.objects import CaseDatasets, write_file
from isoalign.dicom.objects.examples import example_objects

EXPORTABLE = ("CT", "RTIMAGE", "DRR", "RTSTRUCT", "MARKERS", "REG 2D/3D")


def test_export_writes_part_10_files_in_implicit_vr_and_no_directory(
    tmp_path: Path, require_program: Callable[[str], Path]
) -> None:
    """Read by another program: dcmdump of DCMTK."""
    objects = example_objects()
    objects["CT"].file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    paths = export_media([objects[name] for name in EXPORTABLE], tmp_path / "out")
    assert sorted(path.name[:2] for path in paths) == ["CT", "RE", "RI", "RI", "RS", "RS"]
    assert sorted((tmp_path / "out").iterdir()) == sorted(paths)
    for path, name in zip(paths, EXPORTABLE, strict=True):
        content = path.read_bytes()
        assert content[:132] == b"\0" * 128 + b"DICM"
        shown = subprocess.run(
            [require_program("dcmdump"), "-Un", path], capture_output=True, text=True, check=True, timeout=60
        ).stdout
        assert f"[{ImplicitVRLittleEndian}]" in shown
        assert f"[{IMPLEMENTATION_CLASS_UID}]" in shown
        assert str(objects[name].SOPInstanceUID) in shown
    assert objects["CT"].file_meta.TransferSyntaxUID == ExplicitVRLittleEndian, "the given dataset is left as it is"


def test_a_foreign_file_is_exported_with_meta_information_of_ours(tmp_path: Path) -> None:
    image = example_objects()["CT"]
    image.file_meta.ImplementationClassUID = "1.2.3"
    image.file_meta.ImplementationVersionName = "FOREIGN"
    explicit = tmp_path / "explicit.dcm"
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.save_as(explicit, enforce_file_format=True)
    (path,) = export_media([pydicom.dcmread(explicit)], tmp_path / "out")
    written = pydicom.dcmread(path)
    assert written.file_meta.TransferSyntaxUID == ImplicitVRLittleEndian
    assert written.file_meta.ImplementationClassUID == IMPLEMENTATION_CLASS_UID
    assert written.PixelData == image.PixelData


def test_export_refuses_plans_existing_files_and_incomplete_objects(tmp_path: Path) -> None:
    objects = example_objects()
    with pytest.raises(ExportRefused, match="RT Ion Plan"):
        export_media([objects["RTIONPLAN"]], tmp_path)
    export_media([objects["CT"]], tmp_path)
    with pytest.raises(ExportRefused, match="exists already"):
        export_media([objects["CT"]], tmp_path)
    del objects["RTIMAGE"].RTImageLabel
    with pytest.raises(MissingAttribute):
        export_media([objects["RTIMAGE"]], tmp_path)
    objects["DRR"].file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    with pytest.raises(UnsupportedPixelData):
        export_media([objects["DRR"]], tmp_path)
    objects["MARKERS"].SOPInstanceUID = "../outside"
    with pytest.raises(InvalidAttribute):
        export_media([objects["MARKERS"]], tmp_path)
    assert [path.name[:2] for path in tmp_path.iterdir()] == ["CT"]


def test_import_takes_what_the_filter_wants_from_folders_and_archives(
    case: CaseDatasets, write_case: Callable[[CaseDatasets], Path], tmp_path: Path
) -> None:
    folder = write_case(case)
    (folder / "DICOMDIR").write_bytes(b"not read")
    (folder / "notes.txt").write_text("hello")
    with tarfile.open(folder / "more.tar.xz", "w:xz") as tar:
        tar.add(write_file(example_objects()["RTIMAGE"], tmp_path / "image.dcm"), "image.dcm")
        tar.add(write_file(example_objects()["REG 2D/3D"], tmp_path / "reg.dcm"), "reg.dcm")
    everything = [one.SOPClassUID for one in import_media(folder)]
    assert len(everything) == 6 + 1 + 1 + 1, "slices, plan, structure set and the packed image, no registration"
    (image,) = import_media(folder, MediaFilter(kinds=(RT_IMAGE,)))
    assert image.Modality == "RTIMAGE"
    assert len(list(import_media(folder / "more.tar.xz"))) == 1
    assert len(list(import_media(folder, MediaFilter(kinds=(CT_IMAGE,), patient_id="P-1")))) == 6
    assert not list(import_media(folder, MediaFilter(patient_id="somebody else")))
    assert len(list(import_media(folder, MediaFilter(series_instance_uid=case.volume.series_instance_uid)))) == 6
    assert len(list(import_media(folder, MediaFilter(frame_of_reference_uid=case.volume.frame_of_reference_uid)))) == 8


def test_import_refuses_incomplete_objects_and_folders_that_are_not_there(
    case: CaseDatasets, write_case: Callable[[CaseDatasets], Path], tmp_path: Path
) -> None:
    del case.ct[0].FrameOfReferenceUID
    with pytest.raises(MissingAttribute, match=r"0020,0052"):
        list(import_media(write_case(case)))
    with pytest.raises(CaseFolderMissing):
        list(import_media(tmp_path / "nowhere"))


@pytest.mark.real_data
def test_import_of_the_real_case(real_data_folder: Path) -> None:
    found = list(import_media(real_data_folder / "dcpt_head_phantom"))
    assert len(found) == 177 + 3
