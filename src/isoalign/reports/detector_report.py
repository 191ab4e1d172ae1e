"""Report of a calibration of flat panels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from isoalign.calibration import DetectorResult
from isoalign.reports.data_tables import columns_table
from isoalign.reports.document import Block, Document, Facts, Heading, Paragraph, Plot

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def detector_document(results: Sequence[DetectorResult]) -> Document:
    """The report: what was found for each panel, and the proof on frames that were kept out."""
    failed = [f"panel {one.frames.name}: {failure}" for one in results for failure in one.failures()]
    blocks: list[Block] = [
        Paragraph(
            "Every fourth flood frame and the last lag run were kept out; unevenness and lag are judged on them. A "
            "kernel is a pixel of a cluster with fewer than five good neighbours: it cannot be filled well."
        )
    ]
    for one in results:
        blocks += _panel(one)
    return Document(
        title="Detectors",
        subtitle=f"measured {results[0].frames.measured_at:%Y-%m-%d %H:%M %Z}",
        verdict="all gates hold" if not failed else "; ".join(failed),
        good=not failed,
        blocks=blocks,
    )


def detector_table(results: Sequence[DetectorResult]) -> Any:
    """A row for every defective pixel of every panel."""
    places = [np.argwhere(one.defect_map.defects) for one in results]
    return columns_table(
        {
            "panel": [one.frames.name for one, found in zip(results, places, strict=True) for _ in found],
            "row": [int(row) for found in places for row, _ in found],
            "column": [int(column) for found in places for _, column in found],
            "kernel": [
                bool(one.defect_map.kernels[row, column])
                for one, found in zip(results, places, strict=True)
                for row, column in found
            ],
        }
    )


def _panel(one: DetectorResult) -> list[Block]:
    found, frames = one.defect_map, one.frames
    rows, columns = found.largest_cluster
    doses = ", ".join(f"{point.level:.0f}" for point in one.calibration.floods)
    terms = zip(one.lag.amplitudes, one.lag.times_s, strict=True)
    lag = ", ".join(f"{100 * part:.3f} % falling in {time:.3g} s" for part, time in terms)
    many = f"{int(found.defects.sum())} pixels ({100 * float(found.defects.mean()):.3f} %)"
    kinds = f"{found.single} single, {found.clusters} clusters (the largest {rows} x {columns}), {found.lines} lines"
    celsius = "not told" if frames.temperature_c is None else f"{frames.temperature_c:.1f} °C"
    facts = [
        ("Dark frames, temperature", f"{len(frames.dark)}, {celsius}; drift {one.offset_drift_counts:.1f} counts"),
        ("Flood levels", f"{doses} counts"),
        ("Unevenness of floods kept out", _percent(one.uncorrected_non_uniformity, one.non_uniformity)),
        ("First frame after an exposure", _percent(one.uncorrected_first_frame_lag, one.first_frame_lag)),
        ("Lag", lag),
        (
            "Defects",
            f"{many}: {kinds}; {int(found.kernels.sum())} kernel pixels",
        ),
        ("Frames left out, because they disagree", "; ".join(one.left_out) or "none"),
    ]
    return [
        Heading(f"Panel {frames.name}"),
        Facts(facts),
        Plot(lambda axes: _lag_plot(axes, one), f"Panel {frames.name}: what an exposure leaves behind.", 60.0),
        Plot(lambda axes: _gain_plot(axes, one), f"Panel {frames.name}: gain, and defects (red).", 95.0),
    ]


def _percent(before: float, after: float) -> str:
    return f"{100 * before:.2f} % as read, {100 * after:.2f} % corrected"


def _lag_plot(axes: Axes, one: DetectorResult) -> None:
    last = one.frames.lag[-1]
    good = ~one.calibration.defects
    signal = float((last.exposed - one.calibration.dark)[good].mean())
    left = [float((frame - one.calibration.dark)[good].mean()) / signal for frame in last.after]
    axes.semilogx(last.t_s, 100 * np.array(left), "o", markersize=3, label="measured, kept out")
    fine = np.geomspace(float(last.t_s[0]), float(last.t_s[-1]), 100)
    axes.semilogx(fine, 100 * one.lag.after(fine), "-", linewidth=1, label="four exponentials")
    axes.set_xlabel("s after the exposure")
    axes.set_ylabel("% of the exposure")
    axes.legend(fontsize=7)


def _gain_plot(axes: Axes, one: DetectorResult) -> None:
    point = one.calibration.floods[-1]
    axes.imshow(point.image / point.level, cmap="gray", vmin=0.9, vmax=1.1, interpolation="antialiased")
    rows, columns = np.nonzero(one.defect_map.defects)
    axes.plot(columns, rows, ".", markersize=2, color="#a3211f")
    axes.grid(visible=False)
