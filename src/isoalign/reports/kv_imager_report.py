"""The report of a kV imager calibration: document and table."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from isoalign.calibration import CalibrationRecord, ImagerResult, KvCalibration, isocentre_offset_mm, nearest_axis
from isoalign.reports.calibration_words import subtitle_of, verdict_of
from isoalign.reports.data_tables import columns_table
from isoalign.reports.document import Block, Document, Facts, Grid, Heading, Plot

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAGNIFIED = 300.0
"""Pixels of the plot for one pixel of residual."""


def kv_imager_document(calibration: KvCalibration, record: CalibrationRecord) -> Document:
    """The report of a calibration of the kV imagers."""
    errors = calibration.triangulation_errors_mm
    proof = f"{errors.max():.3f} mm at worst, {errors.mean():.3f} mm on average" if len(errors) else "none was seen"
    blocks: list[Block] = [
        Facts(
            [
                ("phantom", f"{calibration.phantom.name}, {len(calibration.phantom.centres_mm)} balls"),
                ("held-out balls, found in space", proof),
            ]
        )
    ]
    for one in calibration.imagers:
        blocks += [
            Heading(f"Imager {one.name}"),
            _grid(one),
            Facts(
                [
                    ("residual", f"{one.fit.rms_px:.3f} px rms, {len(one.fit.balls)} balls"),
                    ("isocentre seen", f"{isocentre_offset_mm(one):.3f} mm from where it was believed"),
                    ("left out", ", ".join(f"ball {ball}" for ball in one.fit.outliers) or "nothing"),
                ]
            ),
            Plot(
                _residual_plot(calibration, one),
                f"Imager {one.name}: residuals of the balls, {MAGNIFIED:g} times.",
                85.0,
                square=True,
            ),
        ]
    return Document("Geometry of the kV imagers", subtitle_of(record), verdict_of(record), not record.failures, blocks)


def kv_imager_table(calibration: KvCalibration) -> Any:
    """One row for each ball in each image, as a pyarrow table."""
    rows = [
        (one.name, int(ball), float(residual[0]), float(residual[1]))
        for one in calibration.imagers
        for ball, residual in zip(one.fit.balls, one.fit.residuals_px, strict=True)
    ]
    names, balls, columns, lines = zip(*rows, strict=True) if rows else ((), (), (), ())
    return columns_table(
        {
            "imager": list(names),
            "ball": list(balls),
            "residual_column_px": np.array(columns, dtype=np.float64),
            "residual_row_px": np.array(lines, dtype=np.float64),
        }
    )


def _grid(one: ImagerResult) -> Grid:
    found, believed = nearest_axis(one.fit.geometry), nearest_axis(one.believed)
    rows = [
        ("source angle (°)", found.gantry_angle_deg, believed.gantry_angle_deg),
        ("source to isocentre (mm)", found.sad_mm, believed.sad_mm),
        ("source to panel (mm)", found.sid_mm, believed.sid_mm),
        ("panel X (mm)", found.receptor_translation_mm[0], believed.receptor_translation_mm[0]),
        ("panel Y (mm)", found.receptor_translation_mm[1], believed.receptor_translation_mm[1]),
        ("panel angle (°)", found.receptor_angle_deg, believed.receptor_angle_deg),
    ]
    return Grid(
        ["", "found", "believed", "difference"],
        [[name, f"{new:.3f}", f"{old:.3f}", f"{new - old:+.3f}"] for name, new, old in rows],
        "In the terms of RT Image; single values may be off together without harm",
    )


def _residual_plot(calibration: KvCalibration, one: ImagerResult) -> Callable[[Axes], None]:
    def draw(axes: Axes) -> None:
        residuals = one.fit.residuals_px
        at = one.fit.geometry.project(calibration.phantom.centres_mm[one.fit.balls])
        axes.quiver(
            at[:, 0], at[:, 1], MAGNIFIED * residuals[:, 0], MAGNIFIED * residuals[:, 1],
            angles="xy", scale_units="xy", scale=1.0, width=0.003, color="#b3261e",
        )  # fmt: skip
        axes.plot(at[:, 0], at[:, 1], "o", color="#1b5fa8", markersize=3)
        axes.invert_yaxis()
        axes.set_xlabel("column (px)")
        axes.set_ylabel("row (px)")

    return draw
