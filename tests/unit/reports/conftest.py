"""A made-up session: spheres projected by hand arithmetic, with a set-up error that is known."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt
import pytest

from isoalign.geometry import (
    DicomPatient,
    Fixed,
    ImagerAxis,
    PatientPosition,
    PixelGrid,
    Pose,
    ProjectionGeometry,
    Representation,
    TableTopPosition,
    TravelLimits,
    apply_correction,
    limit_and_recentre,
    planned_fixed_from_dicom,
    residual_of,
    setup_error,
)
from isoalign.records import (
    Acquisition,
    Approval,
    Correction,
    ExportedObject,
    ImagingPass,
    Match,
    Outcome,
    Purpose,
    Radiograph,
    SessionRecord,
    SimulationTruth,
    Technique,
    TimelineEntry,
    Tolerance,
    Verdict,
    ViewQuality,
)

START = datetime(2026, 3, 4, 9, 30, 0, tzinfo=UTC)
BINNING = 2
ISOCENTRE_MM = np.array([12.0, -30.0, 55.0])
LIMITS = TravelLimits(
    {
        "lateral": (-250, 250),
        "longitudinal": (0, 1500),
        "vertical": (-500, 100),
        "pitch": (-5, 5),
        "roll": (-5, 5),
        "patient_support_angle": (-95, 95),
    }
)


def sphere_image(
    geometry: ProjectionGeometry, pose: Pose[Fixed, DicomPatient], noise: float
) -> npt.NDArray[np.float32]:
    """Chord lengths through a shell and some dense spheres, in parallel-beam approximation around each centre."""
    generator = np.random.default_rng(5)
    axis = geometry.axis
    assert axis is not None
    magnification = axis.sid_mm / axis.sad_mm / geometry.grid.column_spacing_mm
    rows, columns = np.mgrid[0 : geometry.grid.rows, 0 : geometry.grid.columns]
    spheres = [((0.0, 0.0, 0.0), 90.0, 0.02), ((0.0, 0.0, 0.0), 82.0, -0.008)]
    spheres += [
        (tuple(generator.uniform(-55, 55, 3)), float(generator.uniform(4, 16)), float(generator.uniform(0.01, 0.05)))
        for _ in range(28)
    ]
    image = np.zeros((geometry.grid.rows, geometry.grid.columns))
    for offset, radius_mm, density in spheres:
        column, row = geometry.project(pose.apply(ISOCENTRE_MM + np.array(offset)))
        distance_mm = np.hypot(columns - column, rows - row) / magnification
        image += 2 * density * np.sqrt(np.clip(radius_mm**2 - distance_mm**2, 0, None))
    image += np.random.default_rng(8).normal(0, noise, image.shape)
    return image.astype(np.float32)


@dataclass(frozen=True)
class MadeSession:
    """The record and what went into it."""

    record: SessionRecord
    planted: Pose[Fixed, Fixed]
    left: Pose[Fixed, Fixed]


def _pass(purpose: Purpose, error: Pose[Fixed, Fixed], table_top: TableTopPosition, number: int) -> ImagingPass:
    planned = planned_fixed_from_dicom(PatientPosition.HFS, ISOCENTRE_MM)
    found = error @ planned
    radiographs, views = [], []
    for name, angle in (("A", 0.0), ("B", 90.0)):
        grid = PixelGrid.centred(1024, 768, 0.388)
        full = ProjectionGeometry.from_axis(ImagerAxis(angle, 1000.0, 1500.0), grid)
        small = full.with_grid(grid.binned(BINNING))
        measured = sphere_image(small, found, 0.03)
        views.append(
            ViewQuality(
                imager=name,
                gradient_correlation_start=0.31 if number == 1 else 0.93,
                gradient_correlation_end=0.95,
                drr_start=sphere_image(small, planned, 0.0),
                drr_end=sphere_image(small, found, 0.0),
                line_integrals=measured + np.float32(0.2),
            )
        )
        radiographs.append(
            Radiograph(
                pixels=np.full((1024, 768), 1000 + number, dtype=np.uint16),
                geometry=full,
                acquisition=Acquisition(
                    imager=name,
                    exposure_id=10 * number,
                    technique=Technique(100.0, 100.0, 50.0),
                    acquired_at=START + timedelta(seconds=10 * number),
                    table_top=table_top,
                ),
            )
        )
    match = Match(
        kind="2D/3D",
        planned=planned,
        found=found,
        verdict=Verdict.ACCEPTED,
        reasons=(),
        views=tuple(views),
        iterations=41,
        converged=True,
        duration_s=3.21,
        sigma_mm=np.array([0.05, 0.04, 0.06]),
        sigma_deg=np.array([0.021, 0.03, 0.018]),
    )
    return ImagingPass(purpose, tuple(radiographs), match, table_top)


@pytest.fixture(scope="session")
def made_session() -> MadeSession:
    planted = setup_error(6.2, -4.1, 3.3, 1.4, -2.1, 0.8)
    left = setup_error(0.12, -0.08, 0.15, 0.04, -0.02, 0.05)
    start = TableTopPosition(Representation.IEC_61217, 0.0, 700.0, -120.0)
    desired = apply_correction(start, planted.inverse())
    correction = Correction("C-0001", start, desired, limit_and_recentre(desired, LIMITS))
    record = SessionRecord(
        session_id="S-20260304-0930",
        started_at=START,
        duration_s=31.7,
        outcome=Outcome.ALIGNED,
        message="The patient is at the isocentre within the tolerance.",
        patient_label="anon-7f3a",
        plan_label="HEAD <1>",
        beam_name="G000",
        machine="ROOM1",
        patient_position="HFS",
        tolerance=Tolerance(1.0, 0.5),
        passes=(_pass(Purpose.SETUP, planted, start, 1), _pass(Purpose.VERIFICATION, left, correction.target, 2)),
        correction=correction,
        approval=Approval("C-0001", "demo", START + timedelta(seconds=18)),
        arrived=correction.target,
        exported=(
            ExportedObject("RT Image", "2.25.1001", "stored"),
            ExportedObject("Spatial Registration", "2.25.1002", "stored"),
        ),
        timeline=(
            TimelineEntry(0.0, "Processes started", "couch, imagers, pendant, archive, daemon", 2.4),
            TimelineEntry(2.4, "Plan and CT received", "C-MOVE of 214 objects", 5.2),
            TimelineEntry(7.6, "First image pair", "100 kV, 100 mA, 50 ms", 1.9),
            TimelineEntry(9.5, "Match", "accepted", 3.2),
            TimelineEntry(12.7, "Approved", "by demo"),
            TimelineEntry(12.8, "Couch moved", "6 axes", 4.6),
            TimelineEntry(17.4, "Second image pair", "", 1.8),
            TimelineEntry(19.2, "Exported", "4 RT Images, 1 Spatial Registration", 0.9),
        ),
        warnings=("The clocks of the imagers differ by 12 ms.",),
        truth=SimulationTruth(residual_of(planted), residual_of(left), 7),
        software={"isoalign": "0.1.0", "kernel": "numba 0.68"},
    )
    return MadeSession(record, planted, left)
