"""Markers from real pixels and gantry angles, against positions that a tracking program wrote for the same images."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

import numpy as np
import pytest

from isoalign.geometry import ImagerAxis, PixelGrid, ProjectionGeometry
from isoalign.registration import triangulate_track

FOLDER = os.environ.get("ISOALIGN_DATA", "")
ARCHIVE = Path(FOLDER) / "marker_tracks" / "marker_tracks.tar.xz"

pytestmark = pytest.mark.skipif(
    not FOLDER or not ARCHIVE.is_file(), reason="ISOALIGN_DATA does not name a folder with marker_tracks"
)


def imager(gantry_angle_deg: float) -> ProjectionGeometry:
    """The imager with the sag of its panel, as the settings file beside the tracks states both."""
    column = 511.0 + 5.119 + 1.148 * np.cos(np.deg2rad(gantry_angle_deg + 103.7))
    row = 512.0 + 1.111 - 2.882 * np.cos(np.deg2rad(gantry_angle_deg + 11.4))
    grid = PixelGrid(1024, 1024, 0.4, 0.4, (-0.4 * column, 0.4 * row))
    return ProjectionGeometry.from_axis(ImagerAxis(gantry_angle_deg, 1000.0, 1536.0), grid)


def test_written_positions_project_to_written_pixels_and_arcs_give_them_back() -> None:
    with tarfile.open(ARCHIVE) as files:
        stream = files.extractfile("Static/SI+5/MarkerLocationsGA_CouchShift_0.txt")
        assert stream is not None
        lines = stream.read().decode("utf-8-sig").splitlines()
    rows = np.array([[float(part) for part in line.split(",")[2:18]] for line in lines if line[:1].isdigit()])
    angles, pixels = rows[:, 0], rows[:, 10:].reshape(-1, 3, 2)
    # AP, LR, SI to X (left), Y (head), Z (up)
    written = rows[:, 1:10].reshape(-1, 3, 3)[..., [1, 2, 0]]
    for number in range(0, len(rows), 40):
        np.testing.assert_allclose(imager(angles[number]).project(written[number]), pixels[number], atol=1e-6)
    errors = []
    for first in (100.0, 160.0):
        inside = np.flatnonzero((angles >= first) & (angles <= first + 60.0))
        geometries = [imager(angle) for angle in angles[inside]]
        for marker in range(3):
            found = triangulate_track(geometries, pixels[inside, marker])
            errors.append(found.point_mm - np.median(written[inside, marker], axis=0))
    assert np.sqrt(np.mean(np.square(errors), axis=0)).max() < 0.3
