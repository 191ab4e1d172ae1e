"""A small patient, two small panels, and radiographs from the simulators' own exact ray caster."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from isoalign.geometry import (
    DicomPatient,
    Fixed,
    PatientPosition,
    Pose,
    Representation,
    TableTopPosition,
    fixed_from_table,
    planned_fixed_from_dicom,
)
from isoalign.records import Acquisition, Radiograph, Technique, Volume
from isoalign.registration import PreparedVolume, prepare
from isoalign.simulators.panel_image import expose
from isoalign.simulators.scene import ImagerTruth, Scene, SceneVolume

Patient = Callable[[int], Volume]
Expose = Callable[..., tuple[Radiograph, Radiograph]]

TECHNIQUE = Technique(100.0, 100.0, 50.0)
SETUP = TableTopPosition(Representation.IEC_61217, 0.0, 700.0, -120.0)


@pytest.fixture(scope="session")
def patient() -> Patient:
    """``patient(seed)``: a bony shell with random bones and cavities in it, 120 x 150 x 130 mm; no symmetry."""

    def make(seed: int) -> Volume:
        rng = np.random.default_rng(seed)
        shape = (66, 76, 62)
        z, y, x = np.meshgrid(*(np.linspace(-1.1, 1.1, n) for n in shape), indexing="ij")
        radius = np.sqrt(x**2 + y**2 + (z * (1 + 0.2 * x)) ** 2)
        hounsfield = np.where(radius < 1.0, 20.0, -1000.0)
        hounsfield[(radius < 0.92) & (radius > 0.82)] = 800.0
        texture = gaussian_filter(rng.normal(size=shape), 1.5)
        hounsfield += np.where(radius < 0.9, 400.0 * texture / texture.std() * 0.3, 0.0)
        for _ in range(24):
            centre = rng.uniform(-0.6, 0.6, 3)
            size = rng.uniform(0.05, 0.22, 3)
            inside = ((x - centre[0]) / size[0]) ** 2 + ((y - centre[1]) / size[1]) ** 2
            inside = inside + ((z - centre[2]) / size[2]) ** 2 < 1
            hounsfield[inside] = rng.choice([-950.0, 600.0, 1200.0])
        spacing = np.array([2.0, 2.0, 2.0])
        origin = -(np.array(shape[::-1]) - 1) / 2 * spacing + (12.0, -150.0, 30.0)
        return Volume(
            np.clip(hounsfield, -1000, 3000).astype(np.int16), origin, spacing, np.eye(3), "1.2.3", PatientPosition.HFS
        )

    return make


@pytest.fixture(scope="session")
def planned() -> Pose[Fixed, DicomPatient]:
    return planned_fixed_from_dicom(PatientPosition.HFS, (14.0, -148.0, 27.0))


@pytest.fixture(scope="session")
def prepared(patient: Patient) -> PreparedVolume:
    return prepare(patient(0))


@pytest.fixture(scope="session")
def take(planned: Pose[Fixed, DicomPatient]) -> Expose:
    """``take(volume, error, angles=(0, 90))``: what two panels of 160 x 128 pixels of 1.6 mm see of a set-up error."""

    def make(
        volume: Volume, error: Pose[Fixed, Fixed], angles: tuple[float, float] = (0.0, 90.0)
    ) -> tuple[Radiograph, Radiograph]:
        truth = {
            name: ImagerTruth(angle, rows=160, columns=128, pixel_mm=1.6)
            for name, angle in zip("AB", angles, strict=True)
        }
        scene = Scene(
            imagers=truth,
            seed=1,
            volume=SceneVolume(volume.hounsfield, volume.dicom_from_index),
            table_from_dicom=fixed_from_table(SETUP).inverse() @ error @ planned,
            fixed_table_position=SETUP,
        )
        one, two = (
            Radiograph(
                expose(scene, name, scene.fixed_pose(), TECHNIQUE, 1),
                truth[name].geometry(),
                Acquisition(name, 1, TECHNIQUE, datetime(2026, 1, 1, tzinfo=UTC), SETUP),
            )
            for name in "AB"
        )
        return one, two

    return make
