"""The session report: one self-contained HTML page.

All numbers are formatted here, so that the template only places them. The page needs no script and no network.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import jinja2

from isoalign.geometry import Representation, RigidResidual, TableTopPosition
from isoalign.geometry.observability import COMPONENTS
from isoalign.records import ImagingPass, Match, Outcome, SessionRecord
from isoalign.reports.files import write_whole
from isoalign.reports.views import SCALE_BAR_MM, imager_views, reference_panels
from isoalign.reports.wording import (
    AXIS_WORDS,
    OBSERVER,
    REPRESENTATION_NOTES,
    SHORT_REPRESENTATION,
    direction_words,
    patient_directions,
    plain,
    signed,
)

HEADLINES = {
    Outcome.ALIGNED: ("good", "✓", "Aligned"),
    Outcome.ALIGNED_IN_PART: ("warn", "✓", "Aligned as far as the images tell"),
    Outcome.OUT_OF_TOLERANCE: ("bad", "✗", "Out of tolerance"),
    Outcome.MATCH_REFUSED: ("bad", "✗", "Match refused, the couch was not moved"),
    Outcome.HELD: ("warn", "‖", "Held"),
    Outcome.FAILED: ("bad", "✗", "Failed"),
}

NOTICE = (
    "isoalign is the software channel only. The hard-wired safety chain (dead-man switch, emergency stop, safe torque "
    "off, collision sensors) must exist and be certified by the integrator. This is not a cleared medical device."
)

Row = dict[str, Any]


def write_session_report(record: SessionRecord, path: Path) -> Path:
    """Write the report of a session as one HTML file with everything inside.

    Parameters
    ----------
    record : SessionRecord
    path : Path
        The file to write; it appears whole or not at all.

    Raises
    ------
    ReportNotWritable
    """
    return write_whole(path, session_report_html(record).encode("utf-8"))


def session_report_html(record: SessionRecord) -> str:
    """The report of a session as HTML text."""
    kind, mark, headline = HEADLINES[record.outcome]
    setup, verification = record.setup_pass, record.verification_pass
    first = None if setup is None else setup.match
    final = None if verification is None else verification.match
    return (
        environment()
        .get_template("session.html.j2")
        .render(
            record=record,
            started=record.started_at.strftime("%Y-%m-%d %H:%M:%S %Z"),
            message=_capitalised(record.message),
            verdict={"kind": kind, "mark": mark, "headline": headline},
            gauges=_gauges(record, final),
            found=None if first is None else _residual_rows(first, final),
            final_match=final,
            matches=[
                (name, match)
                for name, match in (
                    (_images(setup, "First pair"), first),
                    (_images(verification, "Second pair"), final),
                )
                if match is not None
            ],
            positions=[_position_table(record, representation) for representation in SHORT_REPRESENTATION],
            patient_words=_patient_words(record),
            limited=_limited(record),
            not_corrected=_not_corrected(record),
            markers=_markers(record),
            motions=_motions(record),
            views=imager_views(record),
            references=reference_panels(record),
            timeline=_timeline(record),
            truth=_truth(record, first, final),
            observer=OBSERVER,
            scale_bar_mm=f"{SCALE_BAR_MM:g}",
            notice=NOTICE,
        )
    )


def _images(one: ImagingPass | None, pair: str) -> str:
    """What the images of a pass were."""
    return "In-room CT" if one is not None and not one.radiographs else pair


@cache
def environment() -> jinja2.Environment:
    """The templates of all pages."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader("isoalign.reports", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _gauges(record: SessionRecord, final: Match | None) -> list[Row]:
    residual, tolerance = None if final is None else final.trusted_residual, record.tolerance
    if residual is None:
        return []
    gauges = [_gauge("Displacement at the isocentre", residual.distance_mm, tolerance.distance_mm, " mm", 2)]
    angle_deg = None if final is None else final.largest_told_angle_deg
    if angle_deg is not None:
        gauges.append(_gauge("Largest rotation about a table axis", angle_deg, tolerance.angle_deg, "°", 3))
    return gauges


def _gauge(label: str, value: float, limit: float, unit: str, digits: int) -> Row:
    return {
        "label": label,
        "value": f"{value:.{digits}f}",
        "limit": f"{limit:g}",
        "unit": unit,
        "percent": f"{100 * min(value / limit, 1.0):.1f}",
        "inside": value <= limit,
    }


def axis_values(residual: RigidResidual) -> tuple[float, ...]:
    """The six numbers in the order of :data:`isoalign.geometry.AXES`."""
    return (
        *(float(value) for value in residual.translation_mm),
        residual.pitch_deg,
        residual.roll_deg,
        residual.patient_support_angle_deg,
    )


def _residual_rows(first: Match, final: Match | None) -> list[Row]:
    """Six rows: the set-up error with its direction in words and the fit's standard deviation, and the residual."""
    found, found_sigmas = told_values(first), told_sigmas(first)
    left, left_sigmas = told_values(final), told_sigmas(final)
    return [
        {
            "label": words.label,
            "unit": words.unit,
            "value": _shown(found[index], words.unit),
            "sigma": _plain(found_sigmas[index], words.unit),
            "direction": lies_in_words(first, index),
            "residual": _shown(left[index], words.unit),
            "residual_sigma": _plain(left_sigmas[index], words.unit),
        }
        for index, words in enumerate(AXIS_WORDS)
    ]


def told_values(match: Match | None) -> tuple[float | None, ...]:
    """The set-up error in the order of :data:`isoalign.geometry.AXES`; None for what is not told.

    A match that was not accepted has found no position: nothing is shown that could be taken for one.
    """
    residual = None if match is None else match.trusted_residual
    if match is None or residual is None:
        return (None,) * len(AXIS_WORDS)
    return _told(match, axis_values(residual))


def told_sigmas(match: Match | None) -> tuple[float | None, ...]:
    """One standard deviation of each of :func:`told_values`."""
    if match is None or match.trusted_residual is None:
        return (None,) * len(AXIS_WORDS)
    # about the fixed axes X, Y, Z, which are those of pitch, roll and support angle for small angles
    return _told(match, tuple(float(value) for value in (*match.sigma_mm, *match.sigma_deg)))


def _told(match: Match, values: tuple[float, ...]) -> tuple[float | None, ...]:
    return tuple(None if name in match.not_available else value for name, value in zip(COMPONENTS, values, strict=True))


def lies_in_words(match: Match, index: int) -> str:
    """Which way the patient lies wrong along one of :data:`isoalign.geometry.AXES`."""
    value = told_values(match)[index]
    if value is not None:
        return direction_words(AXIS_WORDS[index].axis, value).replace("no change", "as planned")
    return "not found" if match.trusted_residual is None else "not available from these images"


def _position_table(record: SessionRecord, representation: Representation) -> Row:
    def values(position: TableTopPosition | None) -> tuple[float, ...] | None:
        return None if position is None else position.in_representation(representation).values

    correction = record.correction
    start_position = correction.start if correction else (record.setup_pass.table_top if record.setup_pass else None)
    start = values(start_position)
    target = values(correction.target if correction else None)
    arrived = values(record.arrived)
    rows = []
    for index, words in enumerate(AXIS_WORDS):
        change = None if start is None or target is None else target[index] - start[index]
        missed = None if target is None or arrived is None else arrived[index] - target[index]
        rows.append(
            {
                "label": words.label,
                "unit": words.unit,
                "start": _shown(None if start is None else start[index], words.unit),
                "change": _shown(change, words.unit),
                "direction": "" if change is None else direction_words(words.axis, change),
                "target": _shown(None if target is None else target[index], words.unit),
                "arrived": _shown(None if arrived is None else arrived[index], words.unit),
                "missed": _shown(missed, words.unit),
            }
        )
    return {
        "name": representation.value,
        "note": REPRESENTATION_NOTES[representation],
        "main": representation is Representation.IEC_61217,
        "rows": rows,
    }


def _shown(value: float | None, unit: str) -> str:
    return "–" if value is None else signed(value, unit)


def _plain(value: float | None, unit: str) -> str:
    return "–" if value is None else plain(value, unit)


def _patient_words(record: SessionRecord) -> str:
    directions = patient_directions(record.patient_position)
    parts = [f"{axis} + is towards the patient’s {plus}" for axis, (plus, _) in directions.items()]
    return f"For {record.patient_position} at couch angle zero: " + ", ".join(parts) + "."


def _limited(record: SessionRecord) -> str:
    if record.correction is None or not record.correction.limited.limited_axes:
        return ""
    limited = record.correction.limited
    names = ", ".join(words.label.lower() for words in AXIS_WORDS if words.axis in limited.limited_axes)
    return (
        f"The couch cannot turn as far as wanted ({names}); the target was limited and re-centred, which leaves a "
        f"rotation of {limited.remaining.angle_deg:.3f}° and {limited.remaining.distance_mm:.2f} mm at the isocentre."
    )


def _not_corrected(record: SessionRecord) -> str:
    if record.correction is None or not record.correction.not_corrected:
        return ""
    untold = record.correction.not_corrected_in_words
    return f"The images do not tell everything: {untold} was not corrected, and stays as it is."


def _markers(record: SessionRecord) -> list[Row]:
    """A table for the last marker match before and after the correction."""
    passes = ((record.setup_pass, "First pair"), (record.verification_pass, "Second pair"))
    return [
        {
            "title": _images(one, pair),
            "note": "" if one.match.trusted_residual is not None else "the match was not accepted",
            "rows": [
                {
                    "name": marker.name,
                    "state": marker.state.value,
                    "distance": _plain(marker.distance_mm, "mm"),
                    "gap": _plain(marker.gap_mm, "mm"),
                }
                for marker in one.match.markers
            ],
        }
        for one, pair in passes
        if one is not None and one.match.markers
    ]


def _timeline(record: SessionRecord) -> list[Row]:
    whole_s = max([record.duration_s, *(one.at_s + one.duration_s for one in record.timeline), 1e-6])
    return [
        {
            "at": f"{one.at_s:.1f}",
            "took": f"{one.duration_s:.1f}" if one.duration_s else "",
            "step": _capitalised(one.step),
            "detail": one.detail,
            "left": f"{100 * one.at_s / whole_s:.2f}",
            "width": f"{max(100 * one.duration_s / whole_s, 0.6):.2f}",
        }
        for one in record.timeline
    ]


def _motions(record: SessionRecord) -> list[Row]:
    return [
        {
            "number": number,
            "approach": one.approach,
            "least": "–" if one.clearance is None else f"{one.clearance.least_mm:.0f}",
            "required": "–" if one.clearance is None else f"{one.clearance.required_mm:.0f}",
            "between": one.clearance_in_words if one.clearance is None else " and ".join(one.clearance.parts),
            "not_checked": ", ".join(one.not_checked) or "–",
        }
        for number, one in enumerate(record.motions, 1)
    ]


def _capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]


def _truth(record: SessionRecord, first: Match | None, final: Match | None) -> Row | None:
    if record.truth is None:
        return None
    hidden, remaining = record.truth.hidden, record.truth.remaining
    columns = [axis_values(hidden), axis_values(remaining)]
    found, measured = told_values(first), told_values(final)
    rows = [
        {
            "label": words.label,
            "unit": words.unit,
            "hidden": signed(columns[0][index], words.unit),
            "found": _shown(found[index], words.unit),
            "remaining": signed(columns[1][index], words.unit),
            "measured": _shown(measured[index], words.unit),
        }
        for index, words in enumerate(AXIS_WORDS)
    ]
    return {
        "seed": record.truth.seed,
        "rows": rows,
        "hidden": f"{hidden.distance_mm:.2f} mm, {hidden.angle_deg:.2f}°",
        "remaining": f"{remaining.distance_mm:.2f} mm, {remaining.largest_axis_deg:.3f}°",
        "accepted": record.tolerance.accepts(remaining),
    }
