"""The report of a Winston-Lutz analysis: document and table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from isoalign.calibration import CalibrationRecord, Displacement, WinstonLutz
from isoalign.geometry import MachineScale
from isoalign.reports.calibration_words import couch_move_in_scale, couch_move_words, subtitle_of, verdict_of
from isoalign.reports.data_tables import columns_table
from isoalign.reports.document import Block, Document, Facts, Grid, Heading, Paragraph, Plot
from isoalign.reports.wording import AXIS_WORDS, direction_words, signed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NOT_AVAILABLE = "not available"


def winston_lutz_document(
    analysis: WinstonLutz,
    record: CalibrationRecord,
    *,
    imagers: Mapping[str, Displacement] | None = None,
    scale: MachineScale | None = None,
) -> Document:
    """The report of a Winston-Lutz analysis; with the move in the machine's own scale when that is given.

    Raises
    ------
    UnverifiedScale
    """
    blocks: list[Block] = [
        Heading("Where the ball is, and which way to move the couch"),
        _displacement_grid(analysis.ball, "From the treatment isocentre to the ball, couch at angle 0, IEC 61217"),
        Paragraph(couch_move_words(analysis.ball)),
    ]
    if scale is not None:
        moves = "; ".join(f"{axis} {change}" for axis, change in couch_move_in_scale(analysis.ball, scale))
        blocks.append(Paragraph(f"On the scale {scale.name} the readings change by: {moves}."))
    blocks += [Paragraph(f"Note: {one.text}") for one in analysis.advice]
    blocks.append(
        Facts(
            [
                ("images", f"{len(analysis.images)}, {len(analysis.ball.labels)} of them with the couch at 0"),
                ("residual", f"{analysis.ball.rms_mm:.3f} mm rms"),
                ("left out", ", ".join(analysis.ball.outliers) or "nothing"),
                ("axis of the couch", _couch_words(analysis)),
            ]
        )
    )
    for name, offset in (imagers or {}).items():
        blocks += [
            Heading(f"Imager {name} against the treatment isocentre"),
            _displacement_grid(offset, f"From the treatment isocentre to the isocentre of imager {name}"),
        ]
    offsets = analysis.offsets_mm()
    blocks += [
        Heading("Images"),
        Grid(
            ["image", "gantry", "couch", "right (mm)", "up (mm)", "distance (mm)"],
            [
                [
                    image.label,
                    f"{_gantry(image.geometry.axis):.1f}°",
                    f"{image.patient_support_angle_deg:.1f}°",
                    signed(float(right), "mm"),
                    signed(float(up), "mm"),
                    f"{np.hypot(right, up):.2f}",
                ]
                for image, (right, up) in zip(analysis.images, offsets, strict=True)
            ],
            "From the middle of the field to the ball, as seen from the source, in the plane of the isocentre",
        ),
        Plot(
            lambda axes: _draw(axes, analysis),
            "The ball in each image, from the middle of the field.",
            95.0,
            square=True,
        ),
    ]
    return Document("Winston-Lutz", subtitle_of(record), verdict_of(record), not record.failures, blocks)


def winston_lutz_table(analysis: WinstonLutz) -> Any:
    """One row for each image, as a pyarrow table."""
    offsets = analysis.offsets_mm()
    return columns_table(
        {
            "image": [image.label for image in analysis.images],
            "gantry_angle_deg": [_gantry(image.geometry.axis) for image in analysis.images],
            "beam_limiting_device_angle_deg": [image.beam_limiting_device_angle_deg for image in analysis.images],
            "patient_support_angle_deg": [image.patient_support_angle_deg for image in analysis.images],
            "right_mm": offsets[:, 0],
            "up_mm": offsets[:, 1],
            "used_for_the_ball": [
                image.label in analysis.ball.labels and image.label not in analysis.ball.outliers
                for image in analysis.images
            ],
        }
    )


def _gantry(axis: Any) -> float:
    return float("nan") if axis is None else float(axis.gantry_angle_deg)


def _displacement_grid(found: Displacement, caption: str) -> Grid:
    rows = []
    for words, value, sigma in zip(AXIS_WORDS[:3], found.mm, found.sigma_mm, strict=True):
        if value is None or sigma is None:
            rows.append([words.label, NOT_AVAILABLE, "–", "–"])
            continue
        rows.append(
            [
                words.label,
                signed(value, "mm"),
                f"{sigma:.2f}",
                direction_words(words.axis, value).split(" (")[0].replace("no change", "at it"),
            ]
        )
    return Grid(["axis", "mm", "σ (mm)", "lies"], rows, caption)


def _couch_words(analysis: WinstonLutz) -> str:
    couch = analysis.couch
    if couch is None:
        return f"{NOT_AVAILABLE}: {analysis.couch_refused}"
    wide = ", few angles" if couch.is_reduced else ""
    x, y = couch.axis_mm
    return (
        f"X {signed(float(x), 'mm')}, Y {signed(float(y), 'mm')} mm ± {couch.uncertainty95_mm:.2f} (95 %{wide}); a "
        f"rigid couch leaves {couch.rigid_rms_mm:.2f} mm rms"
    )


def _draw(axes: Axes, analysis: WinstonLutz) -> None:
    offsets = analysis.offsets_mm()
    at_zero = np.array([image.label in analysis.ball.labels for image in analysis.images])
    axes.plot(0.0, 0.0, "+", color="black", markersize=12, label="middle of the field")
    for chosen, colour, name in ((at_zero, "#1b5fa8", "couch at 0"), (~at_zero, "#b3261e", "couch turned")):
        if chosen.any():
            axes.plot(offsets[chosen, 0], offsets[chosen, 1], "o", color=colour, markersize=4, label=name)
    for image, (right, up) in zip(analysis.images, offsets, strict=True):
        axes.annotate(image.label, (right, up), fontsize=6, xytext=(3, 3), textcoords="offset points")
    axes.set_xlabel("right (mm)")
    axes.set_ylabel("up (mm)")
    axes.legend(fontsize=8)
