"""Make shadows.json and truth.json: a cube phantom before and after a couch shift, computed with nothing but numpy.

The couch makes a slightly wrong shift, the phantom lies slightly off, and one ball is not where the description says.
Turns are multiplied out by hand here, and the projection is similar triangles. Run it again only to change the input.
"""

import json
from pathlib import Path

import numpy as np

ROWS, COLUMNS, PIXEL_MM, NOISE_PX, SAD_MM, SID_MM = 1024, 768, 0.388, 0.05, 1000.0, 1500.0
IMAGERS = {"A": 0.0, "B": 90.0}
BEFORE = (0.0, 700.0, -120.0, 0.0, 0.0, 0.0)
SHIFT = (8.0, -12.0, 6.0, 1.0, -0.8, 1.5)
SETUP = (0.6, -0.4, 0.3, 0.12, -0.08, 0.2)
WRONG = (0.15, -0.10, 0.12, 0.02, -0.03, 0.04)


def turn(axis: int, degrees: float) -> np.ndarray:
    """Right-handed turn about one axis."""
    cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    matrix = np.eye(3)
    first, second = [(1, 2), (2, 0), (0, 1)][axis]
    matrix[first, first] = matrix[second, second] = cos
    matrix[second, first], matrix[first, second] = sin, -sin
    return matrix


def table(position: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Rotation and shift of a table top, IEC 61217."""
    lat, lng, vrt, pitch, roll, support = position
    return turn(2, support) @ turn(0, pitch) @ turn(1, roll), turn(2, support) @ np.array([lat, lng, vrt])


def moved(points: np.ndarray, six: tuple[float, ...]) -> np.ndarray:
    """Points after a small motion about the isocentre."""
    rotation = turn(2, six[5]) @ turn(0, six[3]) @ turn(1, six[4])
    return points @ rotation.T + np.array(six[:3])


def project(points: np.ndarray, gantry_deg: float) -> np.ndarray:
    """Column and row of points in the fixed frame."""
    x, y, z = (points @ turn(1, gantry_deg)).T
    scale = SID_MM / (SAD_MM - z)
    return np.column_stack([(x * scale) / PIXEL_MM + (COLUMNS - 1) / 2, (ROWS - 1) / 2 - (y * scale) / PIXEL_MM])


def balls() -> np.ndarray:
    """Twelve balls on the faces of a cube."""
    number = np.arange(12)
    around = np.deg2rad(20.0 + 137.0 * number)
    ring = np.column_stack([np.cos(around), np.sin(around)])
    ring *= 60.0 / np.abs(ring).max(axis=1, keepdims=True)
    return np.round(np.column_stack([ring[:, 0], np.linspace(-57.0, 57.0, 12), ring[:, 1]]), 3)


def shadows(
    seed: int,
    *,
    setup: tuple[float, ...] = SETUP,
    wrong: tuple[float, ...] = WRONG,
    shift: tuple[float, ...] = SHIFT,
    spoiled: bool = False,
) -> dict:
    """The file."""
    dice = np.random.default_rng(seed)
    after = tuple(float(a + b) for a, b in zip(BEFORE, shift, strict=True))
    rotation_before, shift_before = table(BEFORE)
    rotation_after, shift_after = table(after)
    cube = balls()
    cube[5] += (0.05, -0.04, 0.03)  # not where its description says
    lying = moved(cube, setup)
    on_table = (lying - shift_before) @ rotation_before
    shifted = moved(on_table @ rotation_after.T + shift_after, wrong)
    imagers = []
    for name, gantry in IMAGERS.items():
        seen = [project(points, gantry) + dice.normal(0, NOISE_PX, (12, 2)) for points in (lying, shifted)]
        if spoiled and name == "A":
            seen[1][3] += (3.0, -2.0)
        order = dice.permutation(12)
        imagers.append(
            {
                "name": name,
                "gantry_angle_deg": gantry,
                "sad_mm": SAD_MM,
                "sid_mm": SID_MM,
                "rows": ROWS,
                "columns": COLUMNS,
                "pixel_mm": PIXEL_MM,
                "before_px": np.round(seen[0][order], 3).tolist(),
                "after_px": np.round(seen[1][order], 3).tolist(),
            }
        )
    return {
        "kind": "isoalign daily check",
        "version": 1,
        "measured_at": "2026-03-01T06:30:00+00:00",
        "devices": {"couch": "GOLDEN-1"},
        "position_before": list(BEFORE),
        "position_after": list(after),
        "imagers": imagers,
    }


def main() -> None:
    """Write the golden input and what is true."""
    folder = Path(__file__).parent
    (folder / "shadows.json").write_text(json.dumps(shadows(2026), indent=1) + "\n", encoding="utf-8")
    truth = {"setup": SETUP, "shift": WRONG}
    (folder / "truth.json").write_text(json.dumps(truth, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
