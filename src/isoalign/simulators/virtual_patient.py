"""Make the virtual patient ready: compile the kernels before the first exposure needs them."""

from __future__ import annotations

import numpy as np

from isoalign.geometry import DicomPatient, Pose, Representation, TableTop, TableTopPosition
from isoalign.records import Technique
from isoalign.simulators.materials import Mixture
from isoalign.simulators.panel_image import expose
from isoalign.simulators.raycast import DetectorRays
from isoalign.simulators.scene import ImagerTruth, Scene, SceneSphere, SceneVolume
from isoalign.simulators.solids import Cylinder, add_solids_areal_density


def warmup() -> None:
    """Compile every kernel of the imager simulators, or load it from the on-disk cache, with a tiny scene."""
    scene = Scene(
        imagers={"warmup": ImagerTruth(0.0, rows=16, columns=16, pixel_mm=4.0)},
        volume=SceneVolume(np.zeros((4, 4, 4), dtype=np.int16), np.eye(4)),
        table_from_dicom=Pose.identity(TableTop, DicomPatient),
        spheres=(SceneSphere(np.zeros(3), 5.0, 0.1),),
        fixed_table_position=TableTopPosition(Representation.IEC_61217, 0.0, 0.0, 0.0),
    )
    expose(scene, "warmup", scene.fixed_pose(), Technique(100.0, 100.0, 50.0), 0)
    rays = DetectorRays.of(scene.imager("warmup").geometry())
    add_solids_areal_density([Cylinder(np.zeros(3), np.ones(3), 1.0, Mixture(1.0))], rays, np.zeros((16, 16, 2)))
