"""Which way to move the couch, in words and in the scale of the machine; verdicts of records."""

from __future__ import annotations

from isoalign.calibration import CalibrationRecord, Displacement
from isoalign.geometry import AXES, MachineScale
from isoalign.reports.wording import AXIS_WORDS, OBSERVER, direction_words

UNIT_NAMES = {1.0: "mm", 10.0: "cm", 1000.0: "m"}
LINEAR = AXES[:3]


def couch_move_words(ball: Displacement) -> str:
    """The move that brings a ball at the end of ``ball`` to the isocentre, in one sentence.

    Axes that no image shows are named as not available.
    """
    parts = []
    for words, value in zip(AXIS_WORDS[:3], ball.mm, strict=True):
        if value is None:
            parts.append(f"{words.label.lower()}: not available from these images")
        elif (direction := direction_words(words.axis, -value)) == "no change":
            parts.append(f"{words.label.lower()}: stays")
        else:
            parts.append(f"{abs(value):.2f} mm {direction}")
    return f"Move the table top: {'; '.join(parts)}. {OBSERVER}"


def couch_move_in_scale(ball: Displacement, scale: MachineScale) -> list[tuple[str, str]]:
    """The change of each reading for the same move, with the couch at angle 0 and level.

    Raises
    ------
    UnverifiedScale
        When nobody has stated how the machine counts along an axis that would move.
    """
    moved = [axis for axis, value in zip(LINEAR, ball.mm, strict=True) if value is not None]
    scale.require_verified(*moved)
    rows = []
    for axis, value in zip(LINEAR, ball.mm, strict=True):
        if value is None:
            rows.append((axis, "not available"))
            continue
        one = scale.axes[axis]
        change = -one.sign * value / one.unit_size
        digits = 2 if one.unit_size == 1.0 else 3
        text = f"{change:+.{digits}f}".replace("-", "−")
        rows.append((axis, f"{text} {UNIT_NAMES.get(one.unit_size, f'x {one.unit_size:g} mm')}"))
    return rows


def verdict_of(record: CalibrationRecord) -> str:
    """Whether the gates hold."""
    return "Not signed: " + "; ".join(record.failures) if record.failures else "All gates hold."


def subtitle_of(record: CalibrationRecord) -> str:
    """When, how, with what."""
    devices = ", ".join(f"{role} {serial}" for role, serial in record.devices.items()) or "no serial numbers stated"
    operator = record.notes.get("operator", "")
    by = f", by {operator}" if operator else ""
    return (
        f"measured {record.measured_at:%Y-%m-%d %H:%M %Z}{by}; valid to {record.valid_until:%Y-%m-%d}; {devices}; "
        f"{record.method}"
    )
