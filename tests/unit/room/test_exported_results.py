"""What the room sends to the archive: images always, a registration only of an accepted match."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pydicom
import pytest

from isoalign.clock import ManualClock, SystemClock
from isoalign.dicom.archive import Archive
from isoalign.dicom.node import ReceiverSettings
from isoalign.dicom.object_store import ObjectStore
from isoalign.geometry import (
    ImagerAxis,
    PatientPosition,
    PixelGrid,
    ProjectionGeometry,
    Representation,
    TableTopPosition,
    planned_fixed_from_dicom,
    setup_error,
)
from isoalign.records import (
    Acquisition,
    Beam,
    CtReference,
    FoundMarker,
    ImagingPass,
    MarkerShadow,
    MarkerState,
    Match,
    Patient,
    Plan,
    Purpose,
    Radiograph,
    StructureSet,
    Study,
    Technique,
    Verdict,
    Volume,
)
from isoalign.registration import prepare
from isoalign.room.loopback import free_port
from isoalign.room.patient_data import PatientData
from isoalign.room.session_data import PatientLoad
from isoalign.room.settings import StorageSettings, load_settings

BEAM = Beam(1, "G0", np.array([0, -170, -2.0]), 0.0)
PATIENT, STUDY = Patient("ID"), Study("1.2.3")
PLAN = Plan(
    "1.2.4", "1.2.840.10008.5.1.4.1.1.481.8", "P", PATIENT, STUDY, "1.2.5", PatientPosition.HFS, "1.2.6", (BEAM,)
)
SETUP = TableTopPosition(Representation.IEC_61217, 0, 700, -120)


@pytest.fixture
def data(tmp_path: Path) -> Iterator[PatientData]:
    settings = load_settings()
    assert settings.dicom is not None
    changes = {
        "storage": StorageSettings(folder=tmp_path),
        "dicom": settings.dicom.model_copy(update={"port": free_port()}),
    }
    with PatientData(settings.model_copy(update=changes), ManualClock()) as opened:
        yield opened


def load() -> PatientLoad:
    volume = Volume(np.zeros((2, 2, 2), np.int16), np.zeros(3), np.ones(3), np.eye(3), "1.2.5", PatientPosition.HFS)
    structures = StructureSet("1.2.6", "S", PATIENT, STUDY, "1.2.5", CtReference("1.2.3", "1.2.7", ("1.2.8",)))
    return PatientLoad(PLAN, structures, volume, (), None, 0.0, 0.0)  # type: ignore[arg-type]  # no match is made here


def imaging_pass(verdict: Verdict) -> ImagingPass:
    planned = planned_fixed_from_dicom(PatientPosition.HFS, BEAM.isocentre_mm)
    images = tuple(
        Radiograph(
            np.full((4, 4), 1000, np.uint16),
            ProjectionGeometry.from_axis(ImagerAxis(angle, 1000, 1500), PixelGrid.centred(4, 4, 0.4)),
            Acquisition(name, 1, Technique(100, 100, 50), datetime(2026, 1, 1, tzinfo=UTC), SETUP),
        )
        for name, angle in (("A", 0.0), ("B", 90.0))
    )
    found = setup_error(1, 0, 0, 0, 0, 0) @ planned
    match = Match("2D/3D", planned, found, verdict, (), (), 1, True, 0.1, np.full(3, 0.1), np.full(3, 0.1))
    return ImagingPass(Purpose.SETUP, images, match, SETUP)


def kinds(data: PatientData, *passes: ImagingPass) -> list[str]:
    return [one.kind for one in data.queue_results(data.results(load(), BEAM), passes)]


def test_an_accepted_match_goes_with_its_images(data: PatientData) -> None:
    assert kinds(data, imaging_pass(Verdict.ACCEPTED)) == ["RT Image", "RT Image", "Spatial Registration"]


@pytest.mark.parametrize("verdict", [Verdict.DOUBTFUL, Verdict.FAILED])
def test_a_match_that_was_not_accepted_leaves_images_only(data: PatientData, verdict: Verdict) -> None:
    """Regression: a registration was exported whatever the verdict."""
    refused = imaging_pass(verdict)
    assert kinds(data, refused) == ["RT Image", "RT Image"]
    verified = replace(imaging_pass(Verdict.ACCEPTED), purpose=Purpose.VERIFICATION)
    assert kinds(data, refused, verified) == ["RT Image"] * 4 + ["Spatial Registration"]


def test_passes_that_were_queued_before_are_not_made_again(data: PatientData) -> None:
    """Regression: what was imaged after a first saving was not saved by a second one."""
    results = data.results(load(), BEAM)
    first = data.queue_results(results, [imaging_pass(Verdict.ACCEPTED)])
    second = data.queue_results(results, [imaging_pass(Verdict.ACCEPTED)])
    assert len(first) == len(second) == 3
    assert not {one.sop_instance_uid for one in first} & {one.sop_instance_uid for one in second}
    stored = [pydicom.dcmread(path) for path in sorted((data._outgoing).glob("*.dcm"))]
    images = [one for one in stored if one.Modality == "RTIMAGE"]
    assert len({one.SeriesInstanceUID for one in images}) == 1, "the same series goes on"
    assert sorted(one.InstanceNumber for one in images) == [1, 2, 3, 4]
    assert len({one.FrameOfReferenceUID for one in stored}) == 1, "and so does the frame of the session"


POINTS_MM = ((4.0, -165.0, 6.0), (-12.0, -180.0, -20.0), (20.0, -150.0, 3.0))
PIXELS = ((1.25, 2.5), (0.5, 3.0), (2.0, 1.0))


def marker_pass(verdict: Verdict = Verdict.ACCEPTED) -> ImagingPass:
    """Two markers matched, a third one migrated; the pixels of imager B are those of A plus a half."""
    one = imaging_pass(verdict)
    states = (MarkerState.MATCHED, MarkerState.MATCHED, MarkerState.MIGRATED)
    markers = tuple(
        FoundMarker(
            f"M{number}",
            state,
            np.array(point),
            tuple(
                MarkerShadow(name, (0, 0), (0, 0), (pixel[0] + half, pixel[1] + half))
                for name, half in (("A", 0.0), ("B", 0.5))
            ),
        )
        for number, (state, point, pixel) in enumerate(zip(states, POINTS_MM, PIXELS, strict=True), 1)
    )
    return replace(one, match=replace(one.match, kind="marker", markers=markers))


def written(data: PatientData) -> dict[str, list[pydicom.Dataset]]:
    found: dict[str, list[pydicom.Dataset]] = {}
    for path in data._outgoing.glob("*.dcm"):
        one = pydicom.dcmread(path)
        found.setdefault(one.Modality, []).append(one)
    return found


def sub_type(registration: pydicom.Dataset) -> str:
    item = registration.RegistrationSequence[-1].MatrixRegistrationSequence[0]
    value = item.private_block(0x3275, "Varian Medical Systems VISION 3275")[0x00].value
    return value.decode("ascii").strip() if isinstance(value, bytes) else str(value)


def test_a_marker_match_goes_with_curves_in_its_images_and_the_markers_as_points(data: PatientData) -> None:
    assert kinds(data, marker_pass()) == ["RT Image", "RT Image", "RT Structure Set", "Spatial Registration"]
    objects = written(data)
    for one in objects["RTIMAGE"]:
        half = 0.5 if one.RTImageLabel.startswith("B") else 0.0
        groups = [group for group in range(0x5000, 0x5020, 2) if (group, 0x3000) in one]
        assert groups == [0x5000, 0x5002], "the migrated one has no say in the match"
        for group, pixel in zip(groups, PIXELS, strict=False):
            curve = np.frombuffer(one[group, 0x3000].value, "<f8")
            np.testing.assert_array_equal(curve, np.add(pixel, half))
    (structures,) = objects["RTSTRUCT"]
    assert structures.FrameOfReferenceUID == PLAN.frame_of_reference_uid
    assert [one.ROIName for one in structures.StructureSetROISequence] == ["M1", "M2", "M3"]
    for item, point in zip(structures.ROIContourSequence, POINTS_MM, strict=True):
        assert item.ContourSequence[0].ContourGeometricType == "POINT"
        np.testing.assert_allclose(np.array(item.ContourSequence[0].ContourData, float), point)
    (registration,) = objects["REG"]
    code = registration.RegistrationSequence[-1].MatrixRegistrationSequence[0].RegistrationTypeCodeSequence[0]
    assert (code.CodeValue, sub_type(registration)) == ("125022", "OnlineMarker")
    assert [one.FrameOfReferenceUID for one in registration.RegistrationSequence] == [
        objects["RTIMAGE"][0].FrameOfReferenceUID,
        PLAN.frame_of_reference_uid,
    ]


def test_the_markers_of_a_session_are_told_once(data: PatientData) -> None:
    results = data.results(load(), BEAM)
    sent = [data.queue_results(results, [marker_pass()]) for _ in range(2)]
    assert [[one.kind for one in queued].count("RT Structure Set") for queued in sent] == [1, 0]


def test_a_refused_marker_match_leaves_images_without_curves(data: PatientData) -> None:
    assert kinds(data, marker_pass(Verdict.DOUBTFUL)) == ["RT Image", "RT Image"]
    assert not any((0x5000, 0x3000) in one for one in written(data)["RTIMAGE"])


def test_more_markers_than_an_image_has_curves_for_do_not_keep_results_from_being_saved(data: PatientData) -> None:
    one = marker_pass()
    many = replace(one, match=replace(one.match, markers=one.match.markers[:1] * 20))
    assert len(kinds(data, many)) == 4
    assert all((0x501E, 0x3000) in image for image in written(data)["RTIMAGE"])


def test_a_2d2d_match_goes_with_its_drrs_in_the_frame_of_the_planning_ct(data: PatientData) -> None:
    patient = replace(load(), prepared=prepare(body()), volume=body())
    one = imaging_pass(Verdict.ACCEPTED)
    pair = replace(one, match=replace(one.match, kind="2D/2D", not_available=("roll_deg",)))
    queued = data.queue_results(data.results(patient, BEAM), [pair])
    assert [one.kind for one in queued] == ["RT Image"] * 4 + ["Spatial Registration"]
    objects = written(data)
    drrs = [one for one in objects["RTIMAGE"] if one.ImageType[2] == "DRR"]
    assert {one.FrameOfReferenceUID for one in drrs} == {PLAN.frame_of_reference_uid}
    for drr in drrs:
        np.testing.assert_allclose(np.array(drr.IsocenterPosition, float), BEAM.isocentre_mm)
    (registration,) = objects["REG"]
    own, moved = registration.RegistrationSequence
    assert sub_type(registration) == "Online2DPaired"
    assert moved.FrameOfReferenceUID == PLAN.frame_of_reference_uid
    assert {one.ReferencedSOPInstanceUID for one in moved.ReferencedImageSequence} == {
        one.SOPInstanceUID for one in drrs
    }
    assert own.FrameOfReferenceUID != moved.FrameOfReferenceUID


def body() -> Volume:
    """A block of water with a hole."""
    values = np.zeros((20, 20, 20), np.int16)
    values[8:12, 5:9, 9:14] = -1000
    return Volume(values, np.array([-10.0, -180.0, -12.0]), np.ones(3), np.eye(3), "1.2.5", PatientPosition.HFS)


def test_everything_that_waits_is_sent_at_once(tmp_path: Path) -> None:
    """Regression: one saving sent a hundred objects at most, and an in-room CT has more."""
    settings = load_settings()
    assert settings.dicom is not None
    store = ObjectStore(tmp_path / "archive")
    with Archive(ReceiverSettings("TMS", accept_any=True), store, {}) as archive:
        peer = settings.dicom.archive.model_copy(update={"port": archive.port})
        changes = {
            "storage": StorageSettings(folder=tmp_path / "room"),
            "dicom": settings.dicom.model_copy(update={"port": free_port(), "archive": peer}),
        }
        with PatientData(settings.model_copy(update=changes), SystemClock()) as data:
            queued = data.queue_results(data.results(load(), BEAM), [imaging_pass(Verdict.DOUBTFUL)] * 55)
            told: list[float] = []
            sent = data.deliver(queued, lambda _, fraction: told.append(fraction or 0.0))
    assert len(sent) == 110
    assert {one.status for one in sent} == {"stored"}
    assert told == sorted(told)
    assert told[-1] == 1.0
    assert len(store.uids()) == 110
