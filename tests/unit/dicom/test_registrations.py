"""Spatial Registrations of every kind: frames of reference, formats, what belongs together."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO

import numpy as np
import pydicom
import pytest

from isoalign.dicom.errors import SeveralFramesOfReference, WrongObject
from isoalign.dicom.objects import (
    Dataset,
    ExportContext,
    Series,
    VerificationFrame,
    build_spatial_registration,
    encode_file,
    read_plan,
    read_spatial_registration,
    verification_from_planning,
)
from isoalign.dicom.objects.examples import FIRST, example_objects
from isoalign.geometry import planned_fixed_from_dicom
from isoalign.records import Match, Verdict

VERIFICATION, PLANNING, RECONSTRUCTED = "2.25.1.2", "2.25.1.4", "2.25.1.2.1"
"""Frames of reference of the example: acquired images, planning CT, radiographs reconstructed from an acquired CT."""
KINDS = {
    "3D/3D": ("Online3D", PLANNING),
    "2D/3D": ("Online2D3DPaired", PLANNING),
    "marker": ("OnlineMarker", PLANNING),
    "2D/2D": ("Online2DPaired", RECONSTRUCTED),
}


def again(dataset: Dataset) -> Dataset:
    return pydicom.dcmread(BytesIO(encode_file(dataset)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ihe_ro", [True, False])
def test_frames_and_matrix_of_every_kind(kind: str, ihe_ro: bool) -> None:
    """The example's registration is a translation of (2, -3, -5) mm, typed by hand."""
    sub_type, moving = KINDS[kind]
    inputs = replace(FIRST, settings=replace(FIRST.settings, ihe_ro_registration=ihe_ro))
    dataset = again(example_objects(inputs)[f"REG {kind}"])
    read = read_spatial_registration(dataset)
    assert (read.frame_of_reference_uid, read.sub_type) == (VERIFICATION, sub_type)
    frames = [item.frame_of_reference_uid for item in read.items]
    assert frames == ([VERIFICATION, moving] if ihe_ro else [moving])
    if ihe_ro:
        np.testing.assert_array_equal(read.items[0].matrix, np.eye(4))
    np.testing.assert_allclose(
        verification_from_planning(dataset, moving).matrix,
        [[1, 0, 0, 2], [0, 1, 0, -3], [0, 0, 1, -5], [0, 0, 0, 1]],
        atol=1e-9,
    )
    for item in dataset.RegistrationSequence:
        (registration,) = item.MatrixRegistrationSequence
        (matrix,) = registration.MatrixSequence
        assert matrix.FrameOfReferenceTransformationMatrixType == "RIGID"


@pytest.mark.parametrize(("kind", "count"), [("3D/3D", 4), ("2D/3D", 2), ("marker", 2), ("2D/2D", 2)])
def test_images_of_the_match_are_referenced_in_their_frame(kind: str, count: int) -> None:
    objects = example_objects()
    dataset = objects[f"REG {kind}"]
    own, moving = read_spatial_registration(dataset).items
    assert len(own.referenced_uids) == count
    own_image = objects["CT" if kind == "3D/3D" else "RTIMAGE"]
    assert own_image.SOPInstanceUID in own.referenced_uids
    assert own_image.FrameOfReferenceUID == own.frame_of_reference_uid
    if kind == "2D/2D":
        assert moving.referenced_uids == (objects["DRR"].SOPInstanceUID,)
        assert objects["DRR"].FrameOfReferenceUID == moving.frame_of_reference_uid
    listed = {
        one.ReferencedSOPInstanceUID
        for item in dataset.ReferencedSeriesSequence
        for one in item.ReferencedInstanceSequence
    }
    assert {*own.referenced_uids, *moving.referenced_uids} <= listed


def build(kind: str, images: list[Dataset], frame_uid: str = VERIFICATION, drrs: tuple[Dataset, ...] = ()) -> Dataset:
    planned = planned_fixed_from_dicom(FIRST.position, (1, 2, 3))
    match = Match(kind, planned, planned, Verdict.ACCEPTED, (), (), 5, True, 1.0, np.zeros(3), np.zeros(3))
    plan = read_plan(again(example_objects()["RTIONPLAN"]))
    context = ExportContext(plan, 1, VerificationFrame(FIRST.position, FIRST.table_top, frame_uid), "ROOM 1")
    return build_spatial_registration(
        match, FIRST.table_top, images, context, series=Series(1), instance_number=1, created_at=FIRST.moment, drrs=drrs
    )


def test_images_of_another_session_are_refused() -> None:
    image = example_objects()["RTIMAGE"]
    build("2D/3D", [image])
    with pytest.raises(SeveralFramesOfReference, match=VERIFICATION.replace(".", r"\.")):
        build("2D/3D", [image], frame_uid="2.25.77")


@pytest.mark.parametrize(("kind", "name"), [("3D/3D", "RTIMAGE"), ("2D/3D", "CT"), ("marker", "CT")])
def test_a_match_with_images_of_the_wrong_kind_is_refused(kind: str, name: str) -> None:
    with pytest.raises(WrongObject):
        build(kind, [example_objects()[name]])


def test_radiographs_of_two_cts_are_refused() -> None:
    objects = example_objects()
    drr, other = objects["DRR"], again(objects["DRR"])
    other.FrameOfReferenceUID = "2.25.78"
    with pytest.raises(SeveralFramesOfReference, match="2 frames"):
        build("2D/2D", [objects["RTIMAGE"]], drrs=(drr, other))
