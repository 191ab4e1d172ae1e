"""The picture of the virtual patient; run this file to write docs/images/virtual-patient.png.

Kept beside the documentation and not drawn at each build, because the phantom and two exposures take some seconds.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from isoalign.geometry import (
    Representation,
    TableTopPosition,
    fixed_from_table,
    planned_fixed_from_dicom,
    setup_error,
)
from isoalign.records import Technique
from isoalign.reports.pictures import png_bytes, reduced
from isoalign.simulators.panel_image import expose
from isoalign.simulators.phantom import head_phantom
from isoalign.simulators.scene import ImagerTruth, Scene, SceneVolume

TARGET = Path(__file__).parents[1] / "images" / "virtual-patient.png"


def main() -> None:
    """Two exposures of the head phantom with a set-up error, side by side, dense things bright."""
    case = head_phantom()
    setup = TableTopPosition(Representation.IEC_61217, 0.0, 700.0, -120.0)
    planned = planned_fixed_from_dicom(case.volume.patient_position, case.isocentre_mm)
    error = setup_error(4.0, -3.0, 2.0, 1.0, -2.0, 1.5)
    scene = Scene(
        imagers={"A": ImagerTruth(0.0), "B": ImagerTruth(90.0)},
        seed=1,
        volume=SceneVolume(case.volume.hounsfield, case.volume.dicom_from_index),
        table_from_dicom=fixed_from_table(setup).inverse() @ error @ planned,
        fixed_table_position=setup,
    )
    views = []
    for name in scene.imagers:
        pixels = expose(scene, name, scene.fixed_pose(), Technique(100.0, 100.0, 50.0), 1)
        lines = -np.log(np.maximum(pixels.astype(np.float32) - 180.0, 1.0) / 45_000.0)
        views.append(np.clip((reduced(lines.astype(np.float32), 512) - 0.2) / 4.1, 0.0, 1.0))
    picture = np.hstack([views[0], np.ones((views[0].shape[0], 6)), views[1]])
    TARGET.write_bytes(png_bytes(np.rint(picture * 255).astype(np.uint8)))


if __name__ == "__main__":
    main()
