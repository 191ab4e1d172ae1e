"""Make small RT Images of a ball in a field, and truth.json, with nothing but numpy and pydicom.

The projection is written out here from the definition of the RT Image geometry, so that the analysis is checked against
something that shares no code with it. Run it again only to change the golden input.
"""

import json
import math
from pathlib import Path

import numpy as np
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

BALL_MM, COUCH_AXIS_MM = (0.62, -0.41, 0.87), (-0.35, 0.24)
SIZE, PIXEL_MM, SAD, SID, RADIUS_MM, OVER = 72, 0.784, 1000.0, 1500.0, 2.5, 4
IMAGES = [("gantry", g, 0.0) for g in (0.0, 90.0, 180.0, 270.0)] + [
    ("couch", 0.0, c) for c in (-90.0, -45.0, 45.0, 90.0)
]


def pixels(gantry: float, couch: float, rng: np.random.Generator) -> np.ndarray:
    """Counts of one image: brighter where there is more dose."""
    c, g = math.radians(couch), math.radians(gantry)
    dx, dy = BALL_MM[0] - COUCH_AXIS_MM[0], BALL_MM[1] - COUCH_AXIS_MM[1]
    x = COUCH_AXIS_MM[0] + math.cos(c) * dx - math.sin(c) * dy
    y = COUCH_AXIS_MM[1] + math.sin(c) * dx + math.cos(c) * dy
    right, up = math.cos(g) * x - math.sin(g) * BALL_MM[2], y
    fine = (np.arange(SIZE * OVER) + 0.5) / OVER - SIZE / 2
    across = fine * PIXEL_MM * SAD / SID

    def smooth(edge: np.ndarray) -> np.ndarray:
        return 0.5 * (1.0 + np.tanh(edge / 0.9))

    along = smooth(10.0 - np.abs(across))
    field = along[None, :] * along[:, None]
    distance2 = (across[None, :] - right) ** 2 + (-across[:, None] - up) ** 2
    height = np.sqrt(np.maximum(1.0 - distance2 / RADIUS_MM**2, 0.0))
    dose = field * np.exp(-0.35 * height)
    counts = (
        1000.0 + 3000.0 * dose.reshape(SIZE, OVER, SIZE, OVER).mean(axis=(1, 3)) + rng.normal(0.0, 6.0, (SIZE, SIZE))
    )
    return np.rint(counts).astype(np.uint16)


def main() -> None:
    """Write all files beside this one."""
    here, rng = Path(__file__).parent, np.random.default_rng(3)
    for kind, gantry, couch in IMAGES:
        meta = FileMetaDataset()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        meta.MediaStorageSOPClassUID, name = "1.2.840.10008.5.1.4.1.1.481.1", f"{kind}{(gantry or couch) % 360:g}"
        meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["isoalign golden", name])
        image = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
        image.SOPClassUID, image.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
        image.Modality, image.RTImagePlane, image.PixelData = "RTIMAGE", "NORMAL", pixels(gantry, couch, rng).tobytes()
        image.ContentDate, image.ContentTime, image.TimezoneOffsetFromUTC = "20260101", "120000", "+0000"
        image.Rows = image.Columns = SIZE
        image.SamplesPerPixel, image.PhotometricInterpretation, image.PixelRepresentation = 1, "MONOCHROME2", 0
        image.BitsAllocated, image.BitsStored, image.HighBit = 16, 16, 15
        image.ImagePlanePixelSpacing = [PIXEL_MM, PIXEL_MM]
        image.RTImagePosition = [-(SIZE - 1) / 2 * PIXEL_MM, (SIZE - 1) / 2 * PIXEL_MM]
        image.RadiationMachineSAD, image.RTImageSID, image.GantryAngle = SAD, SID, gantry
        image.PatientSupportAngle, image.BeamLimitingDeviceAngle = couch % 360.0, 0.0
        image.save_as(here / f"{name}.dcm", enforce_file_format=True)
    truth = {"ball_mm": BALL_MM, "couch_axis_mm": COUCH_AXIS_MM}
    (here / "truth.json").write_text(json.dumps(truth, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
