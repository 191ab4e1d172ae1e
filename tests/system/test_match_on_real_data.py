"""The match on a real CT: half a head on its side, metal rods, blocks of solid water cut by the CT's edge."""

from __future__ import annotations

import tarfile
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest

from isoalign.geometry import (
    PatientPosition,
    Representation,
    TableTopPosition,
    fixed_from_table,
    planned_fixed_from_dicom,
    residual_of,
    setup_error,
)
from isoalign.records import Acquisition, Radiograph, Technique, Verdict, Volume
from isoalign.registration import PreparedVolume, match_2d3d, prepare
from isoalign.simulators.panel_image import expose
from isoalign.simulators.scene import ImagerTruth, Scene, SceneVolume

pytestmark = pytest.mark.real_data

SETUP = TableTopPosition(Representation.IEC_61217, 0.0, 700.0, -120.0)
TECHNIQUE = Technique(100.0, 100.0, 50.0)
ISOCENTRE_MM = (0.0, -170.158537, -2.121951)
CORNERS = [(10.0, -10.0, 10.0, -3.0, 3.0, -3.0), (-10.0, -10.0, -10.0, 3.0, 3.0, 3.0)]


@pytest.fixture(scope="module")
def head(real_data_folder: Path) -> Volume:
    with tarfile.open(real_data_folder / "dcpt_head_phantom" / "ct.tar.xz") as archive:
        members = (archive.extractfile(member) for member in archive if member.isfile())
        slices = [pydicom.dcmread(BytesIO(member.read())) for member in members if member is not None]
    slices.sort(key=lambda one: float(one.ImagePositionPatient[2]))
    first = slices[0]
    return Volume(
        np.stack([one.pixel_array * one.RescaleSlope + one.RescaleIntercept for one in slices]).astype(np.int16),
        np.array(first.ImagePositionPatient, dtype=float),
        np.array([0.5859375, 0.5859375, 1.5]),
        np.eye(3),
        first.FrameOfReferenceUID,
        PatientPosition.HFS,
    )


@pytest.fixture(scope="module")
def prepared(head: Volume) -> PreparedVolume:
    return prepare(head)


@pytest.mark.parametrize("offset", CORNERS, ids=["one corner", "another corner"])
def test_the_worst_set_up_errors_are_found(
    head: Volume, prepared: PreparedVolume, offset: tuple[float, float, float, float, float, float]
) -> None:
    planned = planned_fixed_from_dicom(PatientPosition.HFS, ISOCENTRE_MM)
    error = setup_error(*offset)
    scene = Scene(
        imagers={"A": ImagerTruth(0.0), "B": ImagerTruth(90.0)},
        seed=7,
        volume=SceneVolume(np.asarray(head.hounsfield, dtype=np.int16), head.dicom_from_index),
        table_from_dicom=fixed_from_table(SETUP).inverse() @ error @ planned,
        fixed_table_position=SETUP,
    )
    radiographs = [
        Radiograph(
            expose(scene, name, scene.fixed_pose(), TECHNIQUE, 1),
            imager.geometry(),
            Acquisition(name, 1, TECHNIQUE, datetime(2026, 1, 1, tzinfo=UTC), SETUP),
        )
        for name, imager in scene.imagers.items()
    ]
    match = match_2d3d(prepared, radiographs, planned)
    left = residual_of(match.found @ (error @ planned).inverse())
    assert match.verdict is Verdict.ACCEPTED, match.reasons
    assert left.distance_mm < 0.25
    assert left.angle_deg < 0.15
    assert max(match.views[0].drr_end.shape) <= 512
