"""Report of a calibration of the couch's kinematics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from isoalign.calibration import CouchKinematics
from isoalign.calibration.couch_model import PARAMETERS
from isoalign.geometry import AXES
from isoalign.reports.data_tables import columns_table
from isoalign.reports.document import Document, Facts, Grid, Heading, Paragraph, Plot

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHOWN_PARAMETERS = 24


def kinematics_document(calibration: CouchKinematics) -> Document:
    """The report: what was measured, the proof, the parameters, what the measurements could not show."""
    given, fit, failed = calibration.measurements, calibration.fit, calibration.failures()
    loads = ", ".join(f"{load:g}" for load in np.unique(np.round(given.state.load_kg)))
    facts = [
        ("Poses, targets", f"{len(given.state.positions)}, {len(given.target_names)}"),
        ("Loads", f"{loads} kg"),
        ("Left out, because they disagree", "; ".join(calibration.left_out_in_words) or "nothing"),
        ("Residual", f"{fit.rms_mm:.3f} mm rms of a coordinate (noise stated: {given.noise_mm:g} mm)"),
        ("A target is known to", f"{calibration.prediction_sigma_mm:.3f} mm (1 sigma, worst corner of the range)"),
    ]
    proofs = [
        (
            one.what,
            str(len(one.poses)),
            f"{np.percentile(one.ideal_distance_mm, 95):.2f}",
            f"{one.distance_95_mm:.3f}",
            f"{one.angle_95_deg:.4f}",
        )
        for one in calibration.held_out
    ]
    ways = [
        (axis.replace("_", " "), f"{least:g}", f"{greatest:g}")
        for axis, (least, greatest) in zip(AXES, calibration.range.axes, strict=True)
    ]
    return Document(
        title="Couch kinematics",
        subtitle=f"measured {given.measured_at:%Y-%m-%d %H:%M %Z}",
        verdict="all gates hold" if not failed else "; ".join(failed),
        good=not failed,
        blocks=[
            Facts(facts),
            Heading("Proof"),
            Paragraph(
                "Poses, and where three loads were measured one load, were kept out of a fit of their own and then "
                f"predicted. Allowed: {calibration.gates.distance_mm:g} mm and {calibration.gates.angle_deg:g} degrees "
                "for 95 % of them. The distance is that of the target that is farthest off."
            ),
            Grid(("kept out", "poses", "95 % uncalibrated, mm", "95 %, mm", "95 %, deg"), proofs),
            Plot(lambda axes: _proof_plot(axes, calibration), "Distance of predicted from measured targets."),
            Heading("Where it holds"),
            Grid(("axis", "from", "to"), ways, "mm and degrees, IEC 61217; a position outside is refused"),
            Heading("Parameters"),
            Paragraph(
                "The largest, in units of what is usual for couches. Single parameters are no gate: several may be off "
                "together without harm."
            ),
            Grid(("parameter", "value", "± 1 sigma", "unit"), _parameters(calibration)),
            Paragraph(f"Held only with the help of what is usual: {', '.join(fit.weak) or 'none'}."),
            Paragraph(
                f"Left at zero, since these measurements say nothing about them: {', '.join(fit.dropped) or 'none'}."
            ),
            Plot(
                lambda axes: _singular_plot(axes, calibration),
                "What the measurements say about combinations of parameters: below 1 less than was believed before.",
            ),
        ],
    )


def kinematics_table(calibration: CouchKinematics) -> Any:
    """A row for every measured target: position, load, where it was seen and what the fit leaves."""
    given, fit = calibration.measurements, calibration.fit
    count, targets = given.seen_mm.shape[:2]
    columns: dict[str, Any] = {
        "pose": np.repeat(np.arange(1, count + 1), targets),
        "target": list(given.target_names) * count,
        "load_kg": np.repeat(given.state.load_kg, targets),
    }
    for number, axis in enumerate(AXES):
        columns[f"{axis}_{'mm' if number < 3 else 'deg'}"] = np.repeat(given.state.positions[:, number], targets)
    for number, axis in enumerate("xyz"):
        columns[f"seen_{axis}_mm"] = given.seen_mm[..., number].ravel()
        columns[f"residual_{axis}_mm"] = fit.residuals_mm[..., number].ravel()
    left_out = {(pose, name) for pose, one in fit.left_out for name in (range(targets) if one < 0 else (one,))}
    columns["left_out"] = [(pose, target) in left_out for pose in range(count) for target in range(targets)]
    return columns_table(columns)


def _parameters(calibration: CouchKinematics) -> list[tuple[str, str, str, str]]:
    values, sigma = calibration.fit.model.values, np.sqrt(np.diag(calibration.fit.covariance))
    usual = np.array([one.usual for one in PARAMETERS])
    order = np.argsort(-np.abs(values) / usual)[:SHOWN_PARAMETERS]
    return [
        (PARAMETERS[number].name, f"{values[number]:.3g}", f"{sigma[number]:.2g}", PARAMETERS[number].unit)
        for number in order
        if values[number] != 0
    ]


def _proof_plot(axes: Axes, calibration: CouchKinematics) -> None:
    for one, marker in zip(calibration.held_out, "os^v", strict=False):
        axes.plot(one.poses + 1, one.distance_mm, marker, markersize=4, label=one.what)
        axes.plot(one.poses + 1, one.ideal_distance_mm, marker, markersize=3, color="#b8bec6")
    axes.axhline(calibration.gates.distance_mm, color="#a3211f", linewidth=1, label="allowed")
    axes.set_yscale("log")
    axes.set_xlabel("pose (grey: without calibration)")
    axes.set_ylabel("mm")
    axes.legend(fontsize=7)


def _singular_plot(axes: Axes, calibration: CouchKinematics) -> None:
    values = calibration.fit.singular_values
    axes.semilogy(np.arange(1, len(values) + 1), np.maximum(values, 1e-3), "o", markersize=3)
    axes.axhline(1.0, color="#a3211f", linewidth=1)
    axes.set_xlabel("combination")
    axes.set_ylabel("singular value")
