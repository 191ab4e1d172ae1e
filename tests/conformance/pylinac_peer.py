"""Run by the Python of pylinac's own environment: analyse folders of Winston-Lutz images, print JSON.

Arguments: the diameter of the ball in mm, and the folders. For each scale of the couch angle: the shift that pylinac
asks for, in its coordinates: X, Y and Z point as those of the IEC 61217 fixed frame do; the shift moves the ball back.
"""

from __future__ import annotations

import json
import sys
import warnings

warnings.simplefilter("ignore")

from pylinac import WinstonLutz  # noqa: E402
from pylinac.core.scale import MachineScale  # noqa: E402


def shifts_mm(folder: str, diameter_mm: float) -> dict[str, list[float]]:
    """Sense of the couch angle -> shift."""
    shifts = {}
    for name, scale in (("as-tagged", MachineScale.IEC61217), ("reversed", MachineScale.VARIAN_IEC)):
        analysis = WinstonLutz(folder)
        analysis.analyze(bb_size_mm=diameter_mm, machine_scale=scale)
        shift = analysis.bb_shift_vector
        shifts[name] = [float(shift.x), float(shift.y), float(shift.z)]
    return shifts


if __name__ == "__main__":
    print(json.dumps([shifts_mm(folder, float(sys.argv[1])) for folder in sys.argv[2:]]))
