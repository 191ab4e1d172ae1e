"""A session record as JSON types, with a versioned schema. Images are left out; everything else is there.

Keys carry their units. Version 1 only ever gains keys; a change of meaning makes version 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from isoalign.geometry import AXES, Representation, RigidResidual, TableTopPosition
from isoalign.geometry.observability import COMPONENTS
from isoalign.records import Correction, CouchMotion, ImagingPass, Match, Radiograph, SessionRecord
from isoalign.reports.wording import AXIS_WORDS, SHORT_REPRESENTATION

SCHEMA = "isoalign.session/1"
JSON_NAMES = dict(
    zip(COMPONENTS, ("x_mm", "y_mm", "z_mm", "pitch_deg", "roll_deg", "patient_support_angle_deg"), strict=True)
)

Json = dict[str, Any]


def record_to_json(record: SessionRecord) -> Json:
    """The record of a session as JSON types (str, float, bool, None, list, dict)."""
    verification = record.verification_pass
    residual = None if verification is None else verification.match.trusted_residual
    return {
        "schema": SCHEMA,
        "session_id": record.session_id,
        "started_at": record.started_at.isoformat(),
        "duration_s": record.duration_s,
        "outcome": record.outcome.value,
        "message": record.message,
        "simulated": record.truth is not None,
        "patient_label": record.patient_label,
        "plan_label": record.plan_label,
        "beam_name": record.beam_name,
        "machine": record.machine,
        "patient_position": record.patient_position,
        "tolerance": {"distance_mm": record.tolerance.distance_mm, "angle_deg": record.tolerance.angle_deg},
        "residual": None if verification is None else _trusted_to_json(verification.match),
        "within_tolerance": None if residual is None else record.tolerance.accepts(residual),
        "passes": [_pass(one) for one in record.passes],
        "correction": None if record.correction is None else _correction(record.correction),
        "approval": None
        if record.approval is None
        else {
            "correction_id": record.approval.correction_id,
            "user": record.approval.user,
            "approved_at": record.approval.approved_at.isoformat(),
        },
        "arrived": None if record.arrived is None else both_representations(record.arrived),
        "motions": [_motion(one) for one in record.motions],
        "exported": [
            {"kind": one.kind, "sop_instance_uid": one.sop_instance_uid, "status": one.status}
            for one in record.exported
        ],
        "timeline": [
            {"at_s": one.at_s, "step": one.step, "detail": one.detail, "duration_s": one.duration_s}
            for one in record.timeline
        ],
        "warnings": list(record.warnings),
        "reference_images": [{"label": one.label, "beam_name": one.beam_name} for one in record.reference_images],
        "truth": None
        if record.truth is None
        else {
            "hidden": residual_to_json(record.truth.hidden),
            "remaining": residual_to_json(record.truth.remaining),
            "table_top": None if record.truth.table_top is None else residual_to_json(record.truth.table_top),
            "seed": record.truth.seed,
        },
        "software": dict(record.software),
    }


def position_to_json(position: TableTopPosition) -> Json:
    """A table-top position with its representation and the unit of each axis in its key."""
    facts: Json = {"representation": SHORT_REPRESENTATION[position.representation]}
    for axis, words, value in zip(AXES, AXIS_WORDS, position.values, strict=True):
        facts[f"{axis}_{'mm' if words.unit == 'mm' else 'deg'}"] = value
    return facts


def both_representations(position: TableTopPosition) -> Json:
    """The same position in both representations."""
    return {
        name: position_to_json(position.in_representation(representation))
        for representation, name in SHORT_REPRESENTATION.items()
    }


def residual_to_json(residual: RigidResidual) -> Json:
    """A rigid residual about the isocentre, fixed frame."""
    x, y, z = (float(value) for value in residual.translation_mm)
    return {
        "x_mm": x,
        "y_mm": y,
        "z_mm": z,
        "distance_mm": residual.distance_mm,
        "pitch_deg": residual.pitch_deg,
        "roll_deg": residual.roll_deg,
        "patient_support_angle_deg": residual.patient_support_angle_deg,
        "angle_deg": residual.angle_deg,
        "largest_axis_deg": residual.largest_axis_deg,
    }


def rigid_to_json(residual: RigidResidual, radii_mm: Sequence[float]) -> Json:
    """A rigid residual with its rotation vector, and the largest displacement within distances of the isocentre."""
    return {
        **residual_to_json(residual),
        "rotation_vector_deg": [float(value) for value in residual.rotation_vector_deg],
        "greatest_displacement": [
            {"radius_mm": radius, "displacement_mm": residual.greatest_displacement_mm(radius)} for radius in radii_mm
        ],
    }


def _motion(one: CouchMotion) -> Json:
    found = one.clearance
    return {
        "start": None if one.start is None else position_to_json(one.start),
        "target": position_to_json(one.target),
        "approach": one.approach,
        "clearance": None
        if found is None
        else {
            "least_mm": found.least_mm,
            "required_mm": found.required_mm,
            "parts": list(found.parts),
            "position": position_to_json(found.position),
        },
        "clearance_in_words": one.clearance_in_words,
        "not_checked": list(one.not_checked),
        "refusal": one.refusal or None,
    }


def _pass(one: ImagingPass) -> Json:
    return {
        "purpose": one.purpose.value,
        "table_top": position_to_json(one.table_top.in_representation(Representation.IEC_61217)),
        "radiographs": [_radiograph(image) for image in one.radiographs],
        "scan": None
        if one.scan is None
        else {
            "frame_of_reference_uid": one.scan.frame_of_reference_uid,
            "series_instance_uid": one.scan.series_instance_uid,
            "slices": one.scan.slices,
        },
        "match": _match(one.match),
    }


def _radiograph(image: Radiograph) -> Json:
    technique = image.acquisition.technique
    axis = image.geometry.axis
    return {
        "imager": image.acquisition.imager,
        "exposure_id": image.acquisition.exposure_id,
        "acquired_at": image.acquisition.acquired_at.isoformat(),
        "rows": int(image.pixels.shape[0]),
        "columns": int(image.pixels.shape[1]),
        "gantry_angle_deg": None if axis is None else axis.gantry_angle_deg,
        "tube_voltage_kv": technique.tube_voltage_kv,
        "tube_current_ma": technique.tube_current_ma,
        "exposure_time_ms": technique.exposure_time_ms,
    }


def _match(match: Match) -> Json:
    return {
        "kind": match.kind,
        "verdict": match.verdict.value,
        "reasons": list(match.reasons),
        "converged": match.converged,
        "iterations": match.iterations,
        "duration_s": match.duration_s,
        "setup_error": _trusted_to_json(match),
        "not_available": list(match.not_available),
        "sigma_mm": [float(value) for value in match.sigma_mm],
        "sigma_deg": [float(value) for value in match.sigma_deg],
        "markers": [
            {
                "name": one.name,
                "state": one.state.value,
                "planned_mm": [float(value) for value in one.planned_mm],
                "distance_mm": one.distance_mm,
                "gap_mm": one.gap_mm,
                "shadows": [
                    {
                        "imager": shadow.imager,
                        "planned_px": list(shadow.planned_px),
                        "expected_px": list(shadow.expected_px),
                        "found_px": None if shadow.found_px is None else list(shadow.found_px),
                    }
                    for shadow in one.shadows
                ],
            }
            for one in match.markers
        ],
        "views": [
            {
                "imager": view.imager,
                "gradient_correlation_start": view.gradient_correlation_start,
                "gradient_correlation_end": view.gradient_correlation_end,
            }
            for view in match.views
        ],
    }


def _trusted_to_json(match: Match) -> Json | None:
    """The set-up error of an accepted match; null for what the images do not tell, and for what depends on it."""
    if match.trusted_residual is None:
        return None
    facts = residual_to_json(match.trusted_residual)
    for name in match.not_available:
        facts[JSON_NAMES[name]] = None
    if any(name.endswith("_deg") for name in match.not_available):
        facts["angle_deg"], facts["largest_axis_deg"] = None, match.largest_told_angle_deg
    return facts


def _correction(correction: Correction) -> Json:
    return {
        "correction_id": correction.correction_id,
        "start": both_representations(correction.start),
        "desired": both_representations(correction.desired),
        "target": both_representations(correction.target),
        "limited_axes": list(correction.limited.limited_axes),
        "not_corrected": list(correction.not_corrected),
        "remaining": residual_to_json(correction.limited.remaining),
    }
