"""Report of a calibration of the couch's two channels and its stops."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from isoalign.calibration import ChannelCalibration
from isoalign.calibration.stop_table import stops_of
from isoalign.geometry import AXES
from isoalign.reports.data_tables import columns_table
from isoalign.reports.document import Document, Facts, Grid, Heading, Paragraph, Plot

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def channels_document(calibration: ChannelCalibration) -> Document:
    """The report: the second channel of each axis, and the table of stops."""
    failed, given = calibration.failures(), calibration.measurements
    channels = [
        (
            one.axis.replace("_", " "),
            f"{1e6 * one.scale:+.0f}",
            f"{one.offset:+.4f}",
            f"{1e3 * one.lag_s:.1f}",
            f"{one.half_play:.4f}",
            f"{one.held_out_largest:.4f}",
            f"{one.changing_largest:.4f}",
            f"{one.unaligned_largest:.3f}",
        )
        for one in calibration.channels
    ]
    stops = [
        (
            cell.axis.replace("_", " "),
            cell.speed_class,
            f"{cell.load_kg:g}",
            f"{cell.speed:.2f}",
            f"{cell.largest_distance:.3f}",
            f"{cell.bound_distance:.3f}",
            f"{cell.bound_time_s:.2f}",
            str(cell.count),
        )
        for cell in calibration.stops.cells
    ]
    left_out = [
        f"{one.axis.replace('_', ' ')}, run {run} at {at:.3f} s"
        for one in calibration.channels
        for run, at in one.outliers
    ]
    reaction = [
        (axis.replace("_", " "), f"{1e3 * value:.1f} ms") for axis, value in calibration.stops.reaction_s.items()
    ]
    return Document(
        title="Two channels and stops of the couch",
        subtitle=f"measured {given.measured_at:%Y-%m-%d %H:%M %Z}",
        verdict="all gates hold" if not failed else "; ".join(failed),
        good=not failed,
        blocks=[
            Facts([("Runs", str(len(given.runs))), ("Readings left out", "; ".join(left_out) or "none")]),
            Heading("Second channel"),
            Grid(
                (
                    "axis",
                    "scale, ppm",
                    "offset",
                    "lag, ms",
                    "half play",
                    "apart, aligned",
                    "while speed changes",
                    "before",
                ),
                channels,
                "mm or degrees; 'apart' are the largest disagreements in runs that were kept out of the fit",
            ),
            Heading("Stops"),
            Paragraph(
                "Below the bound stay 95 % of all stops, with 95 % confidence; it is never less than what was seen. "
                "Interlocks look up the next greater speed and the worse of the loads around the one on the table."
            ),
            Grid(
                ("axis", "class", "load, kg", "speed", "longest", "bound", "time, s", "stops"),
                stops,
                "mm or degrees, per second",
            ),
            Plot(lambda axes: _stop_plot(axes, calibration, 0), "Stops of the linear axes; lines are the bounds."),
            Plot(lambda axes: _stop_plot(axes, calibration, 3), "Stops of the angular axes; lines are the bounds."),
            Heading("Reaction"),
            Paragraph("How long each axis went on as if nothing had been said, at worst; stop predictions add it."),
            Facts(reaction),
        ],
    )


def channels_table(calibration: ChannelCalibration) -> Any:
    """A row for every stop."""
    stops = stops_of(calibration.measurements.runs)
    names = ("run", "axis", "speed_class", "load_kg", "speed", "distance", "time_s")
    columns = {name: [getattr(stop, name) for stop in stops] for name in names}
    columns["unit"] = ["mm" if AXES.index(stop.axis) < 3 else "deg" for stop in stops]
    return columns_table(columns)


def _stop_plot(axes: Axes, calibration: ChannelCalibration, first: int) -> None:
    stops = stops_of(calibration.measurements.runs)
    unit = "mm" if first < 3 else "deg"
    for axis in AXES[first : first + 3]:
        own = [stop for stop in stops if stop.axis == axis]
        (marks,) = axes.plot(
            [stop.speed for stop in own],
            [stop.distance for stop in own],
            "o",
            markersize=3,
            label=axis.replace("_", " "),
        )
        load = max(stop.load_kg for stop in own)
        speeds = np.linspace(0.0, max(stop.speed for stop in own), 40)
        bounds = [calibration.stops.bound(axis, float(speed), load)[0] for speed in speeds]
        axes.plot(speeds, bounds, "-", linewidth=1, color=marks.get_color())
    axes.set_xlabel(f"speed, {unit}/s")
    axes.set_ylabel(f"way until rest, {unit}")
    axes.legend(fontsize=7)
