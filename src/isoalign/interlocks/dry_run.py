"""Motion dry runs: a motion that nobody in the room watches has been made once before, watched, on the same path.

A dry run is made in the room, at the speed of the service class, while the enable bar is held; its record allows the
same path, either way, from outside for a while and for the same patient set-up. This is about what DICOM calls Device
Motion Control (observed in the room or from outside); motions of this package are always continuous, under a bar that
is held, never one-time.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from isoalign.geometry import AXES
from isoalign.interlocks.model import LINEAR_AXES

RECORDS_KEPT = 64

Path = tuple[tuple[float, ...], ...]
"""Where everything rests, from the start of a motion to its target; straight in between.

Of each place the table top's values, IEC 61217, mm and degrees; where there is a gantry its angle in degrees and the
place of its imager arm, 0 stowed to 1 extended.
"""
ARM_TOLERANCE = 0.01


@dataclass(frozen=True, slots=True)
class DryRun:
    """A dry run that has arrived; ``patient_epoch`` counts the set-ups of patients, ``made_at_s`` is monotonic."""

    path: Path
    patient_epoch: int
    made_at_s: float


class DryRunBook:
    """The dry runs that were made.

    Parameters
    ----------
    expiry_s : float
        A record is good for this long.
    tolerance_mm, tolerance_deg : float
        So near to the places of a dry run those of a motion must be, axis by axis.
    """

    def __init__(self, *, expiry_s: float, tolerance_mm: float = 1.0, tolerance_deg: float = 0.2) -> None:
        self._expiry_s = expiry_s
        couch = tuple(tolerance_mm if axis in LINEAR_AXES else tolerance_deg for axis in AXES)
        self._tolerances = (*couch, tolerance_deg, ARM_TOLERANCE)
        self._records: deque[DryRun] = deque(maxlen=RECORDS_KEPT)

    def add(self, record: DryRun) -> None:
        """A dry run has arrived."""
        self._records.append(record)

    def objection(self, path: Path, *, patient_epoch: int, now_s: float) -> str:
        """Why there is no dry run that allows a path; empty when there is one."""
        same_path = [record for record in self._records if self._is_same(record.path, path)]
        if not same_path:
            return "no dry run was made on this path"
        same_patient = [record for record in same_path if record.patient_epoch == patient_epoch]
        if not same_patient:
            return "the patient was placed anew since the dry run on this path"
        age_s = min(now_s - record.made_at_s for record in same_patient)
        return "" if age_s <= self._expiry_s else f"the dry run on this path is {age_s:.0f} s old"

    def _is_same(self, made: Path, wanted: Path) -> bool:
        return self._is_near(made, wanted) or self._is_near(made[::-1], wanted)

    def _is_near(self, first: Path, second: Path) -> bool:
        return len(first) == len(second) and all(
            len(one) == len(other)
            and all(abs(a - b) <= most for a, b, most in zip(one, other, self._tolerances, strict=False))
            for one, other in zip(first, second, strict=True)
        )
