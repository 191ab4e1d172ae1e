"""Compile every kernel that a match uses, by matching a small block."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from isoalign.geometry import PatientPosition, planned_fixed_from_dicom
from isoalign.imaging import warmup as warm_imaging
from isoalign.imaging.warmup import small_radiograph, small_volume
from isoalign.registration.marker_ct import detect_markers_in_ct
from isoalign.registration.marker_shape import MarkerShape
from isoalign.registration.match import match_2d3d
from isoalign.registration.prepared import prepare
from isoalign.registration.response import LEAST_PIXELS, estimate_response
from isoalign.registration.scan_match import match_3d3d
from isoalign.registration.scan_prepared import prepare_scan
from isoalign.registration.scan_settings import DEFAULT_SCAN_LEVELS, ScanMatchSettings


def warmup() -> None:
    """Compile the kernels of imaging and registration, or load them from numba's cache on disk."""
    warm_imaging()
    match_2d3d(
        prepare(small_volume()),
        (small_radiograph(0.0), small_radiograph(90.0)),
        planned_fixed_from_dicom(PatientPosition.HFS, np.zeros(3)),
    )
    ramp = np.linspace(0.0, 1.0, LEAST_PIXELS, dtype=np.float32)
    estimate_response(ramp, ramp)  # the small images above hold too few pixels for it
    body = np.full((20, 22, 24), -1000, np.int16)
    body[4:16, 5:17, 5:19] = 40
    body[7:13, 8:14, 8:14] = 900
    block = replace(small_volume(), hounsfield=body)
    levels = tuple(replace(level, spacing_mm=4.0) for level in DEFAULT_SCAN_LEVELS)
    match_3d3d(prepare_scan(block, settings=ScanMatchSettings(levels=levels, body_only=False)), block)
    for floating in (False, True):
        scan = small_volume(floating=floating)
        voxels = scan.hounsfield.copy()
        voxels[2, 2, 2] = 3071
        detect_markers_in_ct(replace(scan, hounsfield=voxels), MarkerShape(4.0))
