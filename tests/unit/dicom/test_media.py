"""Case folders: what is used, what is asked, what is refused."""

from __future__ import annotations

import io
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest

from isoalign.dicom.errors import (
    CaseFolderMissing,
    MissingAttribute,
    MissingSlices,
    NoPlan,
    NotDicom,
    SeveralFramesOfReference,
    SeveralPlans,
    StructureSetUnresolved,
    TruncatedFile,
    UnsafeArchive,
    WrongPatient,
)
from isoalign.dicom.media import read_case_folder
from isoalign.dicom.objects import CaseDatasets, read_volume

Write = Callable[[CaseDatasets], Path]


def edit(path: Path, **values: object) -> None:
    dataset = pydicom.dcmread(path)
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    if "SOPInstanceUID" in values:
        dataset.file_meta.MediaStorageSOPInstanceUID = values["SOPInstanceUID"]
    dataset.save_as(path)


def second_plan(folder: Path, *, structure_set: str | None = None) -> Path:
    path = folder / "RP2.dcm"
    shutil.copy(folder / "RP.dcm", path)
    edit(path, SOPInstanceUID="1.2.3.99")
    if structure_set is not None:
        dataset = pydicom.dcmread(path)
        dataset.ReferencedStructureSetSequence[0].ReferencedSOPInstanceUID = structure_set
        dataset.save_as(path)
    return path


def test_a_whole_case(case: CaseDatasets, write_case: Write) -> None:
    folder = write_case(case)
    (folder / "notes.txt").write_text("not part of it")
    (folder / ".hidden").write_text("nor this")
    found = read_case_folder(folder)
    assert found.plan.sop_instance_uid == case.plan.SOPInstanceUID
    assert found.structure_set.sop_instance_uid == case.structure_set.SOPInstanceUID
    assert tuple(one.sop_instance_uid for one in found.ct_files) == case.volume.sop_instance_uids
    assert not found.named_structure_set
    assert found.warnings == ()
    assert len(list(found.datasets())) == 8


def test_packed_slices_are_read_without_unpacking(case: CaseDatasets, write_case: Write) -> None:
    folder = write_case(case)
    with tarfile.open(folder / "ct.tar.xz", "w:xz") as tar:
        tar.add(folder / "ct", "ct")
    shutil.rmtree(folder / "ct")
    before = sorted(folder.rglob("*"))
    found = read_case_folder(folder)
    assert read_volume([one.read() for one in found.ct_files]).hounsfield.shape == (6, 8, 10)
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize("name", ["../outside.dcm", "/etc/outside.dcm"])
def test_a_packed_path_that_leads_outside_is_refused(case: CaseDatasets, write_case: Write, name: str) -> None:
    folder = write_case(case)
    (folder / "RP.dcm").unlink()
    with tarfile.open(folder / "more.tar", "w") as tar:
        tar.addfile(tarfile.TarInfo(name), io.BytesIO())
    with pytest.raises(UnsafeArchive, match="outside"):
        read_case_folder(folder)


def test_a_packed_link_is_refused(case: CaseDatasets, write_case: Write) -> None:
    folder = write_case(case)
    (folder / "RP.dcm").unlink()
    link = tarfile.TarInfo("plan.dcm")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    with tarfile.open(folder / "more.tar", "w") as tar:
        tar.addfile(link)
    with pytest.raises(UnsafeArchive, match="link"):
        read_case_folder(folder)


def test_the_plan_whose_structure_set_is_there_is_used_and_the_other_mentioned(
    case: CaseDatasets, write_case: Write
) -> None:
    folder = write_case(case)
    second_plan(folder, structure_set="1.2.3.100")
    found = read_case_folder(folder)
    assert found.plan.sop_instance_uid == case.plan.SOPInstanceUID
    assert "RP2.dcm" in found.warnings[0]


def test_two_plans_that_both_fit_are_a_question(case: CaseDatasets, write_case: Write) -> None:
    folder = write_case(case)
    second_plan(folder)
    with pytest.raises(SeveralPlans, match=r"RP\.dcm.*RP2\.dcm.*Which one") as caught:
        read_case_folder(folder)
    assert "--plan" in caught.value.hint
    assert read_case_folder(folder, plan="RP2.dcm").plan.sop_instance_uid == "1.2.3.99"
    assert read_case_folder(folder, plan="1.2.3.99").plan_file.name.endswith("RP2.dcm")
    with pytest.raises(NoPlan, match="none of the plans"):
        read_case_folder(folder, plan="RP3.dcm")


def test_an_unresolved_structure_set_is_a_question_with_a_flag(case: CaseDatasets, write_case: Write) -> None:
    folder = write_case(case)
    plan = second_plan(folder, structure_set="1.2.3.100")
    with pytest.raises(StructureSetUnresolved, match="Which structure set") as caught:
        read_case_folder(folder, plan=str(plan))
    uid = str(case.structure_set.SOPInstanceUID)
    assert caught.value.facts["referenced"] == "1.2.3.100"
    assert [one["uid"] for one in caught.value.facts["candidates"]] == [uid]
    assert "--structure-set UID|FILE" in caught.value.hint
    for named in (uid, "RS.dcm", str(folder / "RS.dcm")):
        found = read_case_folder(folder, named, plan=str(plan))
        assert found.named_structure_set
        assert found.structure_set.sop_instance_uid == uid
    with pytest.raises(StructureSetUnresolved, match="none of the structure sets"):
        read_case_folder(folder, "1.2.3.4", plan=str(plan))


def test_a_single_plan_with_an_unresolved_reference_is_a_question_too(case: CaseDatasets, write_case: Write) -> None:
    case.plan.ReferencedStructureSetSequence[0].ReferencedSOPInstanceUID = "1.2.3.100"
    with pytest.raises(StructureSetUnresolved):
        read_case_folder(write_case(case))


def test_no_plan_and_no_folder(case: CaseDatasets, write_case: Write, tmp_path: Path) -> None:
    folder = write_case(case)
    (folder / "RP.dcm").unlink()
    with pytest.raises(NoPlan):
        read_case_folder(folder)
    with pytest.raises(CaseFolderMissing):
        read_case_folder(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CaseFolderMissing):
        read_case_folder(tmp_path / "empty")


def test_missing_slices(case: CaseDatasets, write_case: Write) -> None:
    folder = write_case(case)
    (folder / "ct" / "3.dcm").unlink()
    with pytest.raises(MissingSlices, match="1 of 6") as caught:
        read_case_folder(folder)
    assert caught.value.facts["missing"] == [case.volume.sop_instance_uids[3]]


def test_another_patients_slice_names_files_and_no_person(case: CaseDatasets, write_case: Write) -> None:
    folder = write_case(case)
    edit(folder / "ct" / "2.dcm", PatientID="P-2", PatientName="Somebody^Else")
    with pytest.raises(WrongPatient, match=r"ct/2\.dcm") as caught:
        read_case_folder(folder)
    said = f"{caught.value} {caught.value.facts}"
    assert "Somebody" not in said
    assert "P-2" not in said


def test_a_file_that_is_not_dicom(case: CaseDatasets, write_case: Write) -> None:
    folder = write_case(case)
    (folder / "ct" / "junk.dcm").write_bytes(b"not an image" * 100)
    with pytest.raises(NotDicom, match=r"junk\.dcm"):
        read_case_folder(folder)


@pytest.mark.parametrize("kept", [0.3, 0.7, 0.99])
@pytest.mark.parametrize("name", ["ct/4.dcm", "RP.dcm", "RS.dcm"])
def test_a_file_that_was_cut_short(case: CaseDatasets, write_case: Write, name: str, kept: float) -> None:
    """Wherever the cut falls; between two elements it shows only in what is missing."""
    folder = write_case(case)
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: int(len(content) * kept)])
    with pytest.raises((TruncatedFile, MissingAttribute, NotDicom), match=name):
        read_case_folder(folder)


def test_a_plan_in_another_frame_of_reference(case: CaseDatasets, write_case: Write) -> None:
    case.plan.FrameOfReferenceUID = "1.2.3"
    with pytest.raises(SeveralFramesOfReference, match=r"1\.2\.3"):
        read_case_folder(write_case(case))


@pytest.mark.real_data
def test_the_real_head_phantom(real_data_folder: Path) -> None:
    """Both plans and the packed CT lie in one folder: one plan resolves, and the vendor's export is a question."""
    folder = real_data_folder / "dcpt_head_phantom"
    found = read_case_folder(folder)
    assert found.plan_file.name.endswith("ion_plan.dcm")
    assert found.plan.beam().isocentre_mm == pytest.approx([0, -170.158537, -2.121951], abs=1e-5)
    assert len(found.ct_files) == 177
    volume = read_volume([one.read() for one in found.ct_files], expected_uids=found.structure_set.ct.sop_instance_uids)
    assert volume.hounsfield.shape == (177, 512, 512)
    assert volume.spacing_mm == pytest.approx([0.5859375, 0.5859375, 1.5])
    assert found.structure_set.named("M1") is not None
    with pytest.raises(StructureSetUnresolved):
        read_case_folder(folder, plan="ion_plan_as_exported.dcm")
    named = read_case_folder(folder, "structure_set.dcm", plan="ion_plan_as_exported.dcm")
    assert named.named_structure_set
