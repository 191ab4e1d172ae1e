"""The built-in case with fewer slices, for tests of a whole room."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from isoalign.dicom.objects import build_case, write_file
from isoalign.records import Volume
from isoalign.room.cases import PHANTOM_PATIENT, Case, case_of, marker_case
from isoalign.simulators.marker_head import MARKERS_MM, marker_head
from isoalign.simulators.phantom import PhantomCase, head_phantom

EVERY = 3
"""Of the built-in head's slices; 3.75 mm apart are as many as a clinic scans, and a third of the way over DICOM."""


NEAR_MM = 60.0


@cache
def _phantom() -> PhantomCase:
    return head_phantom()


def make_case(patient_support_angle_deg: float = 0.0) -> Case:
    """The built-in head phantom with fewer slices."""
    phantom = _phantom()
    spacing_mm = phantom.volume.spacing_mm * (1.0, 1.0, EVERY)
    return case_of(
        build_case(
            replace(phantom.volume, hounsfield=phantom.volume.hounsfield[::EVERY], spacing_mm=spacing_mm),
            phantom.structures,
            phantom.isocentre_mm,
            patient=PHANTOM_PATIENT,
            created_at=datetime.now(UTC),
            patient_support_angle_deg=patient_support_angle_deg,
        )
    )


def make_marker_case(markers_mm: npt.ArrayLike = MARKERS_MM) -> Case:
    """The built-in head with implanted markers, less the slices far from the isocentre.

    Fewer slices, not thicker ones: those do not tell where in them a marker is.
    """
    head = marker_head(markers_mm=markers_mm, phantom=_phantom())
    height_mm = head.volume.origin_mm[2] + head.volume.spacing_mm[2] * np.arange(len(head.volume.hounsfield))
    near = np.flatnonzero(np.abs(height_mm - head.isocentre_mm[2]) < NEAR_MM)
    origin = head.volume.origin_mm + head.volume.spacing_mm * (0.0, 0.0, near[0])

    def middle(volume: Volume) -> Volume:
        return replace(volume, hounsfield=volume.hounsfield[near], origin_mm=origin)

    structures = tuple(
        replace(
            one, contours_mm=tuple(ring for ring in one.contours_mm if abs(ring[0, 2] - head.isocentre_mm[2]) < NEAR_MM)
        )
        for one in head.structures
    )
    return marker_case(replace(head, volume=middle(head.volume), body=middle(head.body), structures=structures))


def write_case(case: Case, folder: Path) -> Path:
    """A case as DICOM files."""
    folder.mkdir(parents=True)
    for number, dataset in enumerate(case.datasets()):
        write_file(dataset, folder / f"{dataset.Modality}_{number:04d}.dcm")
    return folder


def with_migrated_marker(case: Case, number: int, away_mm: tuple[float, float, float]) -> Case:
    """The same plan; in the patient one marker (from 0) has moved since the planning CT."""
    implants = list(case.implants)
    moved = np.add(implants[number].centre_mm, away_mm)
    implants[number] = replace(implants[number], centre_mm=(float(moved[0]), float(moved[1]), float(moved[2])))
    return replace(case, implants=tuple(implants))


def with_patient_of(plan: Case, patient: Case) -> Case:
    """The plan of one patient, and another on the couch."""
    return replace(plan, body=patient.body or patient.volume, implants=patient.implants)
