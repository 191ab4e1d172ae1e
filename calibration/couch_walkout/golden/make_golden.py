"""Make measurements.json and truth.json: two balls on a couch whose axis errs, computed with nothing but numpy.

The turn about a leaning axis is written out here (Rodrigues), so that the calibration is checked against something that
shares no code with it. Run it again only to change the golden input.
"""

import json
from pathlib import Path

import numpy as np

AXIS_MM, LEAN_DEG, SAG_MM, NOISE_MM = (0.42, -0.31), (0.06, -0.09), (0.15, -0.1), 0.03
BALLS_MM = ((3.0, -5.0, 2.0), (-60.0, 35.0, -10.0))
ANGLES_DEG = np.linspace(-90.0, 90.0, 9)
WRONG = ("couch 45.0°", 1, (0.0, 2.5, 0.0))


def turned(point: np.ndarray, angle_deg: float) -> np.ndarray:
    """A point turned about the axis, and lifted by the sag."""
    along = np.array([*np.tan(np.deg2rad(LEAN_DEG)), 1.0])
    along /= np.linalg.norm(along)
    foot, angle = np.array([*AXIS_MM, 0.0]), np.deg2rad(angle_deg)
    p = point - foot
    turn = p * np.cos(angle) + np.cross(along, p) * np.sin(angle) + along * (along @ p) * (1 - np.cos(angle))
    return foot + turn + np.array([0.0, 0.0, SAG_MM[0] * np.cos(angle) + SAG_MM[1] * np.sin(angle)])


def main() -> None:
    """Write both files beside this one."""
    rng = np.random.default_rng(7)
    rows = []
    for angle in ANGLES_DEG:
        for ball, point in enumerate(BALLS_MM):
            label = f"couch {angle:.1f}°"
            seen = turned(np.array(point), angle) + rng.normal(0.0, NOISE_MM, 3)
            if (label, ball) == WRONG[:2]:
                seen = seen + WRONG[2]
            rows.append(
                {"label": f"{label}, ball {ball}", "angle_deg": angle, "ball": ball, "point_mm": seen.round(4).tolist()}
            )
    here = Path(__file__).parent
    content = {"measured_at": "2026-01-01T00:00:00+00:00", "measurements": rows}
    (here / "measurements.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    truth = {"axis_mm": AXIS_MM, "lean_deg": LEAN_DEG, "sag_mm": SAG_MM, "outlier": f"{WRONG[0]}, ball {WRONG[1]}"}
    (here / "truth.json").write_text(json.dumps(truth, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
