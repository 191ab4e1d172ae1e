"""What a couch record changes: where the table top truly is at a read-back, and what to command to get to a place.

A room works with true positions. Between it and a couch that errs stands one correction, and it is applied both ways:
what the couch tells is turned into where its table top is, and where the table top is wanted into what the couch is
told. Two kinds of record give one: the walk-out tells how the axis of the patient support errs
(:class:`SupportAxisCorrection`), the kinematics all six axes and what the load does
(:class:`~isoalign.calibration.couch_kinematics_record.CouchCorrection`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from scipy.spatial.transform import Rotation

from isoalign.calibration.couch_kinematics_record import KIND as KINEMATICS_KIND
from isoalign.calibration.couch_kinematics_record import CouchCorrection
from isoalign.calibration.couch_walkout import RANGE_SLACK_DEG, AxisOffset, axis_offset_from_result
from isoalign.calibration.errors import InvalidCalibrationRecord, OutsideCalibratedRange
from isoalign.calibration.procedure_records import WALK_OUT_KIND
from isoalign.calibration.signed_record import CalibrationRecord
from isoalign.geometry import Fixed, Pose, Representation, TableTopPosition, fixed_from_table, table_top_position

INVERSE_ROUNDS = 20
LARGEST_LEFT_MM = LARGEST_LEFT_DEG = 1e-7
COUCH_KINDS = (WALK_OUT_KIND, KINEMATICS_KIND)
"""Kinds of record that say how a couch errs."""


class TableTopCorrection(Protocol):
    """Between the positions of a couch and those of its table top."""

    def true_position(self, told: TableTopPosition, *, load_kg: float | None = None) -> TableTopPosition:
        """Where the table top is when the couch tells ``told`` under a load (None: not known).

        Raises
        ------
        OutsideCalibratedRange
        """
        ...

    def command(self, wanted: TableTopPosition, *, load_kg: float | None = None) -> TableTopPosition:
        """What to tell the couch so that its table top gets to ``wanted`` under a load (None: not known).

        Raises
        ------
        OutsideCalibratedRange
        """
        ...


@dataclass(frozen=True, slots=True)
class NoCorrection:
    """A couch that is taken at its word."""

    def true_position(self, told: TableTopPosition, *, load_kg: float | None = None) -> TableTopPosition:  # noqa: ARG002
        """The same position."""
        return told

    def command(self, wanted: TableTopPosition, *, load_kg: float | None = None) -> TableTopPosition:  # noqa: ARG002
        """The same position."""
        return wanted


UNCORRECTED = NoCorrection()


@dataclass(frozen=True, slots=True)
class SupportAxisCorrection:
    """How a patient support whose axis errs moves its table top; from a walk-out.

    At patient support angle 0 the table top is taken to be where the couch says: a walk-out tells what the turn adds.
    A point p of the table top that is at p0 at angle 0 is at a(q) + T(q) (p0 - a(0)) at angle q, with the axis a
    against the angle, and T the turn by q about an axis that leans.

    Attributes
    ----------
    offset : AxisOffset
        Heights that are not available are not corrected.
    tilt_deg : (float, float)
        Lean of the axis towards +X and +Y; zero where the walk-out does not tell it.

    Notes
    -----
    Valid for points within some 0.3 m of the height of the isocentre, where the balls of a walk-out are: a lean of
    0.1 degrees moves the axis by 0.5 mm at that distance.
    """

    offset: AxisOffset
    tilt_deg: tuple[float, float] = (0.0, 0.0)

    @classmethod
    def from_record(cls, record: CalibrationRecord) -> SupportAxisCorrection:
        """From an opened record; raises InvalidCalibrationRecord."""
        if (record.kind, record.version) != (WALK_OUT_KIND, 1):
            raise InvalidCalibrationRecord(f"this is {record.kind!r} version {record.version}, not {WALK_OUT_KIND!r} 1")
        try:
            offset = axis_offset_from_result(record.result)
            tilt = record.result["tilt_deg"]
            found = cls(offset, (0.0, 0.0) if tilt is None else (float(tilt[0]), float(tilt[1])))
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise InvalidCalibrationRecord(f"the record of the couch's axis is damaged: {error!r}") from error
        low, high = offset.range_deg
        if not low - RANGE_SLACK_DEG <= 0.0 <= high + RANGE_SLACK_DEG:
            raise InvalidCalibrationRecord("the axis was not measured at couch angle 0, to which all others refer")
        usable = offset.coefficients_mm.shape[0] == 3 and np.isfinite(offset.coefficients_mm[:2]).all()
        if not (usable and np.isfinite([*found.tilt_deg, *offset.range_deg]).all()):
            raise InvalidCalibrationRecord("the record of the couch's axis is incomplete")
        return found

    def true_position(self, told: TableTopPosition, *, load_kg: float | None = None) -> TableTopPosition:  # noqa: ARG002
        """See :class:`TableTopCorrection`; the load changes nothing."""
        given = told.in_representation(Representation.IEC_61217)
        lateral, longitudinal, vertical, pitch, roll, angle = given.values
        unturned = TableTopPosition(Representation.IEC_61217, lateral, longitudinal, vertical, pitch, roll)
        return table_top_position(self._turn(angle) @ fixed_from_table(unturned), near=given)

    def command(self, wanted: TableTopPosition, *, load_kg: float | None = None) -> TableTopPosition:  # noqa: ARG002
        """See :class:`TableTopCorrection`; the load changes nothing."""
        goal = np.array(wanted.in_representation(Representation.IEC_61217).values)
        command = goal
        for _ in range(INVERSE_ROUNDS):
            reached = self.true_position(TableTopPosition.from_values(Representation.IEC_61217, command))
            left = goal - np.array(reached.values)
            command = command + left
            if np.abs(left).max() < LARGEST_LEFT_MM:
                return TableTopPosition.from_values(Representation.IEC_61217, command)
        raise OutsideCalibratedRange(f"no command was found that leads to {wanted!r}")

    def _turn(self, angle_deg: float) -> Pose[Fixed, Fixed]:
        """How the support has moved everything on it since angle 0."""
        now, at_zero = (np.nan_to_num(self.offset.at(angle), nan=0.0) for angle in (angle_deg, 0.0))
        axis = np.array([*np.tan(np.deg2rad(self.tilt_deg)), 1.0])
        turn = Rotation.from_rotvec(np.deg2rad(angle_deg) * axis / np.linalg.norm(axis)).as_matrix()
        return Pose(Fixed, Fixed, turn, now - turn @ at_zero)


def table_top_correction(record: CalibrationRecord) -> TableTopCorrection:
    """What an opened couch record corrects.

    Raises
    ------
    InvalidCalibrationRecord
        It is of another kind, or damaged.
    """
    makers: dict[str, Callable[[CalibrationRecord], Any]] = {
        WALK_OUT_KIND: SupportAxisCorrection.from_record,
        KINEMATICS_KIND: CouchCorrection.from_record,
    }
    if record.kind not in makers:
        raise InvalidCalibrationRecord(
            f"this is a record of {record.kind}; of the couch a room uses {' or '.join(COUCH_KINDS)}"
        )
    correction: TableTopCorrection = makers[record.kind](record)
    return correction
