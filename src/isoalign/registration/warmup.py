"""Compile every kernel that a match uses, by matching a small block."""

from __future__ import annotations

import numpy as np

from isoalign.geometry import PatientPosition, planned_fixed_from_dicom
from isoalign.imaging import warmup as warm_imaging
from isoalign.imaging.warmup import small_radiograph, small_volume
from isoalign.registration.match import match_2d3d
from isoalign.registration.prepared import prepare


def warmup() -> None:
    """Compile the kernels of imaging and registration, or load them from numba's cache on disk."""
    warm_imaging()
    match_2d3d(
        prepare(small_volume()),
        (small_radiograph(0.0), small_radiograph(90.0)),
        planned_fixed_from_dicom(PatientPosition.HFS, np.zeros(3)),
    )
