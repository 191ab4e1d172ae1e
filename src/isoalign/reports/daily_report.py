"""Report of a daily check, with the trend of the days before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from isoalign.calibration import DailyCheck, Trend
from isoalign.geometry import AXES
from isoalign.reports.data_tables import columns_table
from isoalign.reports.document import Block, Document, Facts, Grid, Heading, Paragraph, Plot

if TYPE_CHECKING:
    from matplotlib.axes import Axes

UNITS = ("mm", "mm", "mm", "deg", "deg", "deg")


def daily_document(check: DailyCheck, trends: Sequence[Trend] = ()) -> Document:
    """The report: twelve numbers against their tolerances, and how they went over the days."""
    failed, allowed = check.failures(), check.tolerances
    rows = [
        (
            axis.replace("_", " "),
            f"{lies:+.2f} {unit}",
            f"{allowed.setup_mm if place < 3 else allowed.setup_deg:g}",
            f"{shown:+.2f} {unit}",
            f"{allowed.shift_mm if place < 3 else allowed.shift_deg:g}",
        )
        for place, (axis, unit, lies, shown) in enumerate(zip(AXES, UNITS, check.setup, check.shift, strict=True))
    ]
    blocks: list[Block] = [
        Facts(
            [
                ("Phantom", check.measurements.phantom.name),
                ("Shadows left out, because they disagree", "; ".join(check.left_out_in_words) or "none"),
                ("Residual", f"{check.first.rms_px:.2f} px and {check.second.rms_px:.2f} px rms"),
            ]
        ),
        Heading("Six numbers, twice"),
        Paragraph(
            "How the phantom lies against the room's marks, and by how much the images show another shift than the "
            "couch was told to make. To bring the phantom to the isocentre, move the couch the other way."
        ),
        Grid(("axis", "phantom lies off", "allowed", "shift differs", "allowed"), rows, "IEC 61217"),
    ]
    if trends:
        warned = [one for one in trends if one.warns]
        words = "; ".join(f"{one.name.replace('_', ' ')}: {one.slope_per_day:+.3f} a day" for one in warned)
        blocks += [
            Heading("Trend"),
            Paragraph(f"Out of tolerance within thirty days if it goes on: {words or 'nothing'}."),
            Plot(lambda axes: _trend_plot(axes, trends, "mm"), "Parts of the tolerance, lengths."),
            Plot(lambda axes: _trend_plot(axes, trends, "deg"), "Parts of the tolerance, angles."),
        ]
    return Document(
        title="Daily check",
        subtitle=f"measured {check.measurements.measured_at:%Y-%m-%d %H:%M %Z}",
        verdict="all within tolerance" if not failed else "; ".join(failed),
        good=not failed,
        blocks=blocks,
    )


def daily_table(check: DailyCheck) -> Any:
    """A row for every axis."""
    return columns_table({"axis": list(AXES), "unit": list(UNITS), "setup": check.setup, "shift": check.shift})


def _trend_plot(axes: Axes, trends: Sequence[Trend], unit: str) -> None:
    for one in trends:
        if one.name.endswith(unit):
            label = one.name.removesuffix(f"_{unit}").replace("_", " ")
            style = "o-" if one.name.startswith("shift") else "s--"
            axes.plot(one.days, np.asarray(one.values) / one.limit, style, markersize=3, linewidth=0.8, label=label)
    for limit in (-1.0, 1.0):
        axes.axhline(limit, color="#a3211f", linewidth=1)
    axes.set_xlabel("days before the latest")
    axes.set_ylabel("part of the tolerance")
    axes.legend(fontsize=6, ncols=3)
