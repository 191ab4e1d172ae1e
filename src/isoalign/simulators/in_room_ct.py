"""What an in-room CT sees: the patient as they truly lie, in the coordinates of the scanner.

The scanner's axes are those of the room, as the patient position names them; how the table top is turned is seen in the
images, and is not known to the scanner. Voxels are sampled linearly from the patient's own CT; outside it is air.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import map_coordinates

from isoalign.geometry import DicomPatient, Fixed, Pose, fixed_rotation_from_dicom
from isoalign.records import Volume

AIR_HU = -1000.0
NOISE_HU = 12.0
SPACING_MM = (1.0, 1.0, 2.0)
MARGIN_MM = 4.0


def scan_of_patient(
    patient: Volume,
    fixed_from_patient: Pose[Fixed, DicomPatient],
    *,
    origin_mm: tuple[float, float, float] = (0.0, 0.0, 0.0),
    spacing_mm: tuple[float, float, float] = SPACING_MM,
    noise_hu: float = NOISE_HU,
    seed: int = 0,
) -> Volume:
    """The volume that the scanner reconstructs.

    Parameters
    ----------
    patient : Volume
        The patient's CT.
    fixed_from_patient : Pose[Fixed, DicomPatient]
        How the patient truly lies in the room.
    origin_mm : (float, float, float)
        Where the origin of the scanner's images lies in the fixed frame.
    spacing_mm : (float, float, float)
        Columns, rows, slices.
    noise_hu : float
        Standard deviation.

    Returns
    -------
    Volume
        Without UIDs: those are the scanner's to give. It holds the whole CT of the patient with a margin.
    """
    rotation = fixed_rotation_from_dicom(patient.patient_position)
    scanner_from_patient = Pose(Fixed, DicomPatient, rotation, origin_mm).inverse() @ fixed_from_patient
    spacing = np.array(spacing_mm)
    corners = np.stack(np.meshgrid(*[(0, n - 1) for n in patient.hounsfield.shape[::-1]]), axis=-1).reshape(-1, 3)
    reach = scanner_from_patient.apply(corners @ patient.dicom_from_index[:3, :3].T + patient.origin_mm)
    first = np.floor((reach.min(axis=0) - MARGIN_MM) / spacing) * spacing
    columns, rows, slices = np.ceil((reach.max(axis=0) + MARGIN_MM - first) / spacing).astype(int) + 1
    patient_from_scanner = scanner_from_patient.inverse()
    index_from_patient = np.linalg.inv(patient.dicom_from_index)
    x, y = np.meshgrid(first[0] + spacing[0] * np.arange(columns), first[1] + spacing[1] * np.arange(rows))
    noise = np.random.default_rng([seed, 0xC7])
    seen = np.empty((slices, rows, columns), dtype=np.int16)
    for number in range(slices):
        points = np.stack([x, y, np.full_like(x, first[2] + spacing[2] * number)], axis=-1).reshape(-1, 3)
        index = patient_from_scanner.apply(points) @ index_from_patient[:3, :3].T + index_from_patient[:3, 3]
        values = map_coordinates(
            patient.hounsfield, index.T[::-1], output=np.float32, order=1, mode="constant", cval=AIR_HU
        )
        values += noise.normal(0.0, noise_hu, values.shape).astype(np.float32)
        seen[number] = np.rint(np.clip(values, -1024.0, 30_000.0)).reshape(rows, columns)
    return Volume(seen, first, spacing, np.eye(3), "", patient.patient_position)
