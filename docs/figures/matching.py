"""A match on the built-in phantom as pictures: radiograph, DRR at the planned and at the found pose, differences."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt

from figures.conventions import save
from isoalign.geometry import Representation, TableTopPosition, fixed_from_table, planned_fixed_from_dicom, setup_error
from isoalign.imaging import display_window
from isoalign.records import Acquisition, Match, Radiograph, Technique
from isoalign.registration import match_2d3d, prepare
from isoalign.registration.response import estimate_response
from isoalign.simulators.panel_image import expose
from isoalign.simulators.phantom import head_phantom
from isoalign.simulators.scene import ImagerTruth, Scene, SceneVolume

SETUP = TableTopPosition(Representation.IEC_61217, 0.0, 700.0, -120.0)
TECHNIQUE = Technique(100.0, 100.0, 50.0)


def matched() -> Match:
    """A match of a planted set-up error of (8, -6, 5) mm and (2, -2, 3) degrees, on panels of 256 x 192 pixels."""
    phantom = head_phantom(0)
    planned = planned_fixed_from_dicom(phantom.volume.patient_position, phantom.isocentre_mm)
    imagers = {
        name: ImagerTruth(angle, rows=256, columns=192, pixel_mm=1.552) for name, angle in (("A", 0.0), ("B", 90.0))
    }
    scene = Scene(
        imagers=imagers,
        volume=SceneVolume(np.asarray(phantom.volume.hounsfield, dtype=np.int16), phantom.volume.dicom_from_index),
        table_from_dicom=fixed_from_table(SETUP).inverse() @ setup_error(8.0, -6.0, 5.0, 2.0, -2.0, 3.0) @ planned,
        fixed_table_position=SETUP,
    )
    radiographs = [
        Radiograph(
            expose(scene, name, scene.fixed_pose(), TECHNIQUE, 1),
            truth.geometry(),
            Acquisition(name, 1, TECHNIQUE, datetime(2026, 1, 1, tzinfo=UTC), SETUP),
        )
        for name, truth in imagers.items()
    ]
    return match_2d3d(prepare(phantom.volume), radiographs, planned)


def draw_match(path: Path) -> None:
    """Two rows (imagers), four columns; differences in the scale of the radiograph, grey spans +-0.3."""
    match = matched()
    figure, axes = plt.subplots(2, 4, figsize=(11.0, 7.6))
    titles = ("radiograph", "DRR, found pose", "difference, planned pose", "difference, found pose")
    for row, view in zip(axes, match.views, strict=True):
        for axis, image in zip(row[:2], (view.line_integrals, view.drr_end), strict=True):
            axis.imshow(display_window(image).grey(image), cmap="gray")
        inside = view.drr_end > 0.05
        response = estimate_response(view.drr_end[inside], view.line_integrals[inside])
        assert response is not None
        for axis, drr in zip(row[2:], (view.drr_start, view.drr_end), strict=True):
            axis.imshow(view.line_integrals - response.apply(drr)[0], cmap="gray", vmin=-0.3, vmax=0.3)
        for axis, title in zip(row, titles, strict=True):
            axis.set_title(f"{view.imager}: {title}", fontsize=9)
            axis.axis("off")
    figure.tight_layout()
    save(figure, path)
