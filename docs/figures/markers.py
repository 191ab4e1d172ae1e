"""Two kV images of a head with four markers, one of which has moved: what is found, and what the match says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt

from figures.conventions import save
from isoalign.geometry import PatientPosition, planned_fixed_from_dicom, setup_error
from isoalign.imaging import radiograph_line_integrals
from isoalign.records import MarkerState
from isoalign.registration import PlannedMarkers, match_markers
from isoalign.simulators.marker_images import MarkerCamera, MarkerSolid, head_without_markers

SEEDS_MM = np.array([[-14.0, 9.0, 26.0], [12.0, -6.0, 35.0], [3.0, 22.0, 12.0], [-16.0, -15.0, 16.0]])
MIGRATED_MM = np.array([3.0, -4.0, 4.0])
COLOURS = {MarkerState.MATCHED: "#3ddc55", MarkerState.MIGRATED: "#ff5a36", MarkerState.MISSING: "#888888"}


def draw_markers(path: Path) -> None:
    """Rings where a marker was found (orange: it has moved), crosses where the others put it."""
    body = head_without_markers(0)
    planned = planned_fixed_from_dicom(PatientPosition.HFS, body[1])
    error = setup_error(4.0, -3.0, 2.0, 1.0, 0.5, -1.5)
    true = SEEDS_MM.copy()
    true[3] += MIGRATED_MM
    plan = PlannedMarkers(("M1", "M2", "M3", "M4"), planned.inverse().apply(SEEDS_MM), "1.2")
    solids = [MarkerSolid(point).solid() for point in error.apply(true)]
    radiographs = [
        MarkerCamera(angle, 384, 384, 0.5, body, error @ planned).expose(solids, number, name="AB"[number])
        for number, angle in enumerate((0.0, 90.0))
    ]
    match = match_markers(radiographs, plan, planned)
    figure, axes = plt.subplots(1, 2, figsize=(10.0, 5.2))
    for view, (axis, radiograph) in enumerate(zip(axes, radiographs, strict=True)):
        axis.imshow(radiograph_line_integrals(radiograph), cmap="gray")
        for marker in match.markers:
            column, row = radiograph.geometry.project(marker.expected_mm)
            axis.plot(column, row, "+", color="#ff4fe0", markersize=11)
            if marker.shadows_px:
                column, row = marker.shadows_px[view]
                axis.plot(column, row, "o", mfc="none", color=COLOURS[marker.state], markersize=14)
            axis.annotate(marker.name, (column + 9, row - 7), color="white", fontsize=9)
        axis.set_title(f"gantry {90 * view}")
        axis.axis("off")
    save(figure, path)
