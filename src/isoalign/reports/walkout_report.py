"""The report of a couch walk-out: document and table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from isoalign.calibration import CalibrationRecord, CouchWalkout
from isoalign.reports.calibration_words import subtitle_of, verdict_of
from isoalign.reports.data_tables import columns_table
from isoalign.reports.document import Block, Document, Facts, Grid, Heading, Paragraph, Plot
from isoalign.reports.wording import direction_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NOT_AVAILABLE = "not available"
TOLERANCE_MM = 1.0
"""Of the axis from its baseline; source: AAPM TG-142, couch rotation isocentre."""


def walkout_document(walkout: CouchWalkout, record: CalibrationRecord) -> Document:
    """The report of a walk-out."""
    x, y = (float(value) for value in walkout.axis_mm)
    blocks: list[Block] = [
        Heading("The axis of the couch"),
        Facts(
            [
                (
                    "mean axis from the isocentre",
                    f"{walkout.axis_length_mm:.2f} mm ± {walkout.uncertainty95_mm:.2f} (95 %)",
                ),
                ("  which way", _way(x, y)),
                ("walk-out over the turn", _walk(walkout)),
                ("tilt towards +X, +Y", _pair(walkout.tilt_deg, walkout.tilt_sigma_deg)),
                ("sag, cosine and sine of the angle", _sag(walkout)),
                (
                    "couch angles",
                    f"{walkout.angle_count}, {walkout.offset.range_deg[0]:.0f}° to {walkout.offset.range_deg[1]:.0f}°",
                ),
                ("residual", f"{walkout.residual_rms_mm:.3f} mm rms (a rigid couch leaves {walkout.rigid_rms_mm:.3f})"),
                ("left out", ", ".join(walkout.outliers) or "nothing"),
            ]
        ),
    ]
    if walkout.is_reduced:
        blocks.append(
            Paragraph(
                f"Only {walkout.angle_count} different couch angles were used, and at least 7 are usual: the stated "
                "uncertainty is the wider for it."
            )
        )
    blocks += [
        Paragraph(_consequence(walkout)),
        Grid(
            ["couch angle", "X (mm)", "Y (mm)", "height (mm)"],
            [
                [f"{angle:.1f}°", f"{dx:+.3f}", f"{dy:+.3f}", NOT_AVAILABLE if dz is None else f"{dz:+.3f}"]
                for angle, dx, dy, dz in walkout.table
            ],
            "Offset of the axis from the isocentre as measured; height against that at couch angle 0",
        ),
        Plot(
            lambda axes: _draw_angles(axes, walkout),
            "Offset of the axis against the couch angle: measured, and as it is used.",
        ),
        Plot(
            lambda axes: _draw_plane(axes, walkout),
            "The axis from above, seen with the gantry at the top.",
            95.0,
            square=True,
        ),
    ]
    return Document("Couch walk-out", subtitle_of(record), verdict_of(record), not record.failures, blocks)


def walkout_table(walkout: CouchWalkout) -> Any:
    """Measurements, and what the axis was at each, as a pyarrow table."""
    found = walkout.measurements
    return columns_table(
        {
            "label": list(found.labels),
            "couch_angle_deg": found.angles_deg,
            "ball": found.balls,
            "x_mm": found.points_mm[:, 0],
            "y_mm": found.points_mm[:, 1],
            "z_mm": found.points_mm[:, 2],
            "used": [label not in walkout.outliers for label in found.labels],
        }
    )


def _way(x: float, y: float) -> str:
    ways = [
        f"{abs(value):.2f} mm {words}"
        for axis, value in (("lateral", x), ("longitudinal", y))
        if (words := direction_words(axis, value)) != "no change"
    ]
    return ", ".join(ways) or "none"


def _walk(walkout: CouchWalkout) -> str:
    if walkout.walk_radius_mm == 0.0:
        return "none that stands out of the scatter"
    return f"up to {walkout.walk_radius_mm:.2f} mm from the mean axis"


def _pair(values: tuple[float, float] | None, sigmas: tuple[float, float] | None) -> str:
    if values is None or sigmas is None:
        return f"{NOT_AVAILABLE} (needs a ball at least 30 mm from the axis, and its height)"
    return ", ".join(f"{value:+.3f}° ± {2 * sigma:.3f}" for value, sigma in zip(values, sigmas, strict=True))


def _sag(walkout: CouchWalkout) -> str:
    if walkout.sag_mm is None:
        return f"{NOT_AVAILABLE} (cannot be told from a tilt with one ball, and not without heights)"
    return ", ".join(f"{value:+.3f} mm" for value in walkout.sag_mm)


def _consequence(walkout: CouchWalkout) -> str:
    angles = np.linspace(*walkout.offset.range_deg, 181)
    offsets = walkout.offset.at(angles)[:, :2]
    lengths = np.linalg.norm(offsets - walkout.offset.at(np.clip(0.0, *walkout.offset.range_deg))[:2], axis=1)
    distances = np.linalg.norm(offsets, axis=1)
    worst = int(np.argmax(distances))
    inside = "inside" if distances[worst] <= TOLERANCE_MM else "OUTSIDE"
    return (
        f"The axis is farthest from the isocentre at {angles[worst]:.0f}°, by {distances[worst]:.2f} mm, which is "
        f"{inside} {TOLERANCE_MM:g} mm. Against couch angle 0 it moves by {lengths.max():.2f} mm at most."
    )


def _draw_angles(axes: Axes, walkout: CouchWalkout) -> None:
    angles = np.linspace(*walkout.offset.range_deg, 181)
    offsets = walkout.offset.at(angles)
    table = np.array([[np.nan if value is None else value for value in row] for row in walkout.table], dtype=np.float64)
    for place, (name, colour) in enumerate((("X", "#b3261e"), ("Y", "#1b5fa8"), ("height", "#2e7d32"))):
        if np.isnan(offsets[:, place]).all():
            continue
        axes.plot(angles, offsets[:, place], color=colour, label=name)
        axes.plot(table[:, 0], table[:, place + 1], "o", color=colour, markersize=4)
    axes.set_xlabel("couch angle (°, IEC 61217)")
    axes.set_ylabel("offset of the axis (mm)")
    axes.legend(fontsize=8)


def _draw_plane(axes: Axes, walkout: CouchWalkout) -> None:
    table = np.array([row[:3] for row in walkout.table], dtype=np.float64)
    path = walkout.offset.at(np.linspace(*walkout.offset.range_deg, 181))
    around = np.linspace(0.0, 2.0 * np.pi, 91)
    axes.plot(0.0, 0.0, "+", color="black", markersize=12, label="isocentre")
    axes.plot(
        walkout.axis_mm[0] + walkout.uncertainty95_mm * np.cos(around),
        walkout.axis_mm[1] + walkout.uncertainty95_mm * np.sin(around),
        color="#7a828c",
        linewidth=0.8,
        label="mean axis, 95 %",
    )
    axes.plot(path[:, 0], path[:, 1], color="#1b5fa8", label="as it is used")
    axes.plot(table[:, 1], table[:, 2], "o", color="#b3261e", markersize=4, label="measured")
    axes.set_xlabel("X (mm), right")
    axes.set_ylabel("Y (mm), towards the gantry")
    axes.legend(fontsize=8)
