"""What the imagers of the example room truly see of a case, without any process."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from isoalign.geometry import Fixed, Pose, fixed_from_table
from isoalign.positioning import planned_pose
from isoalign.records import Acquisition, Radiograph, Technique
from isoalign.room.cases import Case
from isoalign.room.settings import load_settings
from isoalign.simulators.panel_image import expose
from isoalign.simulators.scene import ImagerTruth, Scene, SceneSphere, SceneVolume

SETTINGS = load_settings()
SETUP = SETTINGS.session_settings().default_setup
TECHNIQUE = Technique(100.0, 100.0, 50.0)


def kv_pair(case: Case, error: Pose[Fixed, Fixed], seed: int = 1) -> tuple[Radiograph, ...]:
    """Both images of a patient who lies wrong by ``error``, with the couch at the set-up position."""
    lying = case.on_couch(planned_pose(case.plan.patient_position, case.plan.beam()), SETUP, error)
    scene = Scene(
        imagers={one.name: ImagerTruth(one.gantry_angle_deg) for one in SETTINGS.imager},
        seed=seed,
        volume=SceneVolume(np.asarray(lying.volume.hounsfield, dtype=np.int16), lying.volume.dicom_from_index),
        table_from_dicom=lying.table_from_dicom,
        spheres=tuple(SceneSphere(np.array(one.centre_mm), one.radius_mm, one.mu_per_mm) for one in lying.balls),
        fixed_table_position=SETUP,
    )
    return tuple(
        Radiograph(
            expose(scene, one.name, fixed_from_table(SETUP), TECHNIQUE, seed),
            one.geometry(),
            Acquisition(one.name, seed, TECHNIQUE, datetime(2026, 1, 1, tzinfo=UTC), SETUP),
        )
        for one in SETTINGS.imager
    )
