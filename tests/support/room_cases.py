"""The built-in case with fewer slices, for tests of a whole room."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from isoalign.dicom.objects import build_case, read_plan, write_file
from isoalign.room.cases import PHANTOM_PATIENT, Case
from isoalign.simulators.phantom import head_phantom

EVERY = 3
"""Of the built-in head's slices; 3.75 mm apart are as many as a clinic scans, and a third of the way over DICOM."""


def make_case(patient_support_angle_deg: float = 0.0) -> Case:
    """The built-in head phantom with fewer slices."""
    phantom = head_phantom()
    spacing_mm = phantom.volume.spacing_mm * (1.0, 1.0, EVERY)
    objects = build_case(
        replace(phantom.volume, hounsfield=phantom.volume.hounsfield[::EVERY], spacing_mm=spacing_mm),
        phantom.structures,
        phantom.isocentre_mm,
        patient=PHANTOM_PATIENT,
        created_at=datetime.now(UTC),
        patient_support_angle_deg=patient_support_angle_deg,
    )
    return Case(read_plan(objects.plan), None, objects.volume, lambda: iter(objects.all), len(objects.all))


def write_case(case: Case, folder: Path) -> Path:
    """A case as DICOM files."""
    folder.mkdir(parents=True)
    for number, dataset in enumerate(case.datasets()):
        write_file(dataset, folder / f"{dataset.Modality}_{number:04d}.dcm")
    return folder
