"""Make shadows.json and truth.json: ball shadows of two misaligned imagers, computed with nothing but numpy.

The projection is written out here from the definition of the RT Image geometry, so that the calibration is checked
against something that shares no code with it. Run it again only to change the golden input.
"""

import json
import math
from pathlib import Path

import numpy as np

ROWS, COLUMNS, PIXEL_MM, NOISE_PX = 1024, 768, 0.388, 0.05
IMAGERS = {  # gantry, SAD, SID, receptor x and y, receptor angle: what is true
    "A": (0.35, 1000.2, 1497.5, 3.1, -4.2, 0.6),
    "B": (89.6, 999.9, 1501.5, -2.4, 3.7, -0.8),
}
BELIEVED = {"A": 0.0, "B": 90.0}


def balls() -> np.ndarray:
    """Two rings of eleven balls and a short helix between them, one ball marked by standing alone."""
    angle = np.arange(11) * 2 * np.pi / 11
    near = np.column_stack([65 * np.cos(angle), np.full(11, -70.0) + 3.0 * np.arange(11), 65 * np.sin(angle)])
    far = np.column_stack([65 * np.cos(angle + 0.3), np.full(11, 45.0) + 3.0 * np.arange(11), 65 * np.sin(angle + 0.3)])
    return np.round(np.vstack([near, far, [[20.0, 0.0, -30.0], [-35.0, 12.0, 10.0]]]), 3)


def project(points: np.ndarray, imager: tuple[float, ...]) -> np.ndarray:
    """Column and row of points in the fixed frame: turn into the gantry, then similar triangles."""
    gantry, sad, sid, x0, y0, turn = imager
    g, t = math.radians(gantry), math.radians(turn)
    xg = math.cos(g) * points[:, 0] - math.sin(g) * points[:, 2]
    zg = math.sin(g) * points[:, 0] + math.cos(g) * points[:, 2]
    scale = sid / (sad - zg)
    x, y = xg * scale - x0, points[:, 1] * scale - y0
    xr, yr = math.cos(t) * x + math.sin(t) * y, -math.sin(t) * x + math.cos(t) * y
    return np.column_stack([xr / PIXEL_MM + (COLUMNS - 1) / 2, (ROWS - 1) / 2 - yr / PIXEL_MM])


def main() -> None:
    """Write both files beside this one."""
    rng = np.random.default_rng(20)
    centres = balls()
    imagers = []
    for name, truth in IMAGERS.items():
        shadows = project(centres, truth) + rng.normal(0.0, NOISE_PX, (len(centres), 2))
        imagers.append(
            {
                "name": name,
                "believed": {
                    "gantry_angle_deg": BELIEVED[name],
                    "sad_mm": 1000.0,
                    "sid_mm": 1500.0,
                    "rows": ROWS,
                    "columns": COLUMNS,
                    "pixel_mm": PIXEL_MM,
                },
                "shadows_px": np.round(rng.permutation(shadows), 4).tolist(),
            }
        )
    shadows_file = {
        "measured_at": "2026-01-01T00:00:00+00:00",
        "phantom": {"name": "golden-24", "radius_mm": 1.5, "centres_mm": centres.tolist()},
        "imagers": imagers,
    }
    keys = ("gantry_angle_deg", "sad_mm", "sid_mm", "receptor_x_mm", "receptor_y_mm", "receptor_angle_deg")
    truth_file = {name: dict(zip(keys, truth, strict=True)) for name, truth in IMAGERS.items()}
    here = Path(__file__).parent
    (here / "shadows.json").write_text(json.dumps(shadows_file) + "\n", encoding="utf-8")
    (here / "truth.json").write_text(json.dumps(truth_file, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
