"""Calibrations: the plots of the reports, drawn from the golden inputs of the scripts."""

from __future__ import annotations

from pathlib import Path

from isoalign.calibration import (
    analyse_winston_lutz,
    fit_couch_walkout,
    read_walkout_measurements,
    walkout_record,
    winston_lutz_record,
)
from isoalign.reports.document import Document, Plot
from isoalign.reports.pdf_report import plot_png
from isoalign.reports.walkout_report import walkout_document
from isoalign.reports.winston_lutz_report import winston_lutz_document
from isoalign.room.beam_images import read_beam_images

SCRIPTS = Path(__file__).resolve().parents[2] / "calibration"


def draw_walkout(angles: Path, plane: Path) -> None:
    """The axis of the couch against its angle, and from above."""
    measured = read_walkout_measurements(SCRIPTS / "couch_walkout" / "golden" / "measurements.json")
    found = fit_couch_walkout(measured.measurements)
    record = walkout_record(found, measured.measured_at, measured.inputs_sha256)
    first, second = _plots(walkout_document(found, record))
    angles.write_bytes(plot_png(first, dots_per_inch=110))
    plane.write_bytes(plot_png(second, dots_per_inch=110))


def draw_winston_lutz(path: Path) -> None:
    """The ball in each image, from the middle of the field."""
    found = analyse_winston_lutz(read_beam_images(SCRIPTS / "winston_lutz" / "golden"))
    (plot,) = _plots(winston_lutz_document(found, winston_lutz_record(found)))
    path.write_bytes(plot_png(plot, dots_per_inch=110))


def _plots(document: Document) -> list[Plot]:
    return [block for block in document.blocks if isinstance(block, Plot)]
