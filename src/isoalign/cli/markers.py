"""``isoalign markers``: implanted markers in a CT and in kV images, and the match of two images to planned markers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from isoalign.cli.progress import StepProgress

if TYPE_CHECKING:
    from isoalign.registration import MarkerMatch

app = App(name="markers", help="Find implanted markers in a CT or kV images, and match two images to planned markers.")

AsJson = Annotated[bool, Parameter(name="--json", negative="")]
DOUBTFUL = 6
"""Exit code of a match that is not accepted: that of a match that could not be made."""


@app.command
def ct(
    folder: Path,
    /,
    *,
    diameter: float = 1.6,
    length: float | None = None,
    threshold: float = 2000.0,
    as_json: AsJson = False,
) -> int:
    """Find markers in a CT folder.

    Parameters
    ----------
    folder
        Folder with the slices of one CT series.
    diameter
        Of the markers, mm.
    length
        Of seeds, mm; balls when left out.
    threshold
        CT number that a marker reaches, HU.
    as_json
        Print one JSON document instead of a table.
    """
    from isoalign.registration import CtMarkerSettings, MarkerShape, detect_markers_in_ct
    from isoalign.room.cases import load_ct_folder

    shape = MarkerShape(diameter, length)
    with StepProgress() as progress:
        progress("begin", f"Reading {folder}", None)
        volume, advice = load_ct_folder(folder)
        progress("done", f"{volume.hounsfield.shape[0]} slices", None)
        for words in advice:
            progress("warning", words, None)
        progress("begin", "Looking for markers", None)
        found = detect_markers_in_ct(volume, shape, settings=CtMarkerSettings(threshold_hu=threshold))
        progress("done", f"{len(found)} found", None)
    rows = [
        {
            "centre_mm": [float(value) for value in centre],
            "sigma_mm": float(sigma),
            "contrast_hu": float(contrast),
        }
        for centre, sigma, contrast in zip(found.centres_mm, found.sigma_mm, found.contrast_hu, strict=True)
    ]
    if as_json:
        facts = {
            "schema": "isoalign.markers-ct/1",
            "frame_of_reference_uid": found.frame_of_reference_uid,
            "markers": rows,
            "rejected": found.rejected,
        }
        print(json.dumps(facts, indent=2))
    else:
        for number, centre in enumerate(found.centres_mm, start=1):
            x, y, z = centre
            print(f"{number:3d}  x {x:9.2f}  y {y:9.2f}  z {z:9.2f} mm (DICOM patient)")
    return 0


@app.command
def image(
    files: Annotated[list[Path], Parameter(negative="")],
    /,
    *,
    diameter: float = 1.6,
    length: float | None = None,
    picture: Path | None = None,
    as_json: AsJson = False,
) -> int:
    """Find markers in kV images.

    Parameters
    ----------
    files
        RT Images (DICOM files).
    diameter
        Of the markers, mm.
    length
        Of seeds, mm; balls when left out.
    picture
        PNG to write: the images with rings about what was found.
    as_json
        Print one JSON document instead of a table.
    """
    from isoalign.imaging import radiograph_line_integrals
    from isoalign.registration import MarkerShape, detect_markers_in_image
    from isoalign.reports.marker_pictures import write_marker_picture
    from isoalign.room.marker_files import read_radiograph

    shape = MarkerShape(diameter, length)
    radiographs = [read_radiograph(file) for file in files]
    found = [detect_markers_in_image(one, shape) for one in radiographs]
    if picture is not None:
        images = [radiograph_line_integrals(one) for one in radiographs]
        write_marker_picture(picture, images, [one.column_row for one in found])
    if as_json:
        facts = {
            "schema": "isoalign.markers-image/1",
            "images": [
                {
                    "file": str(file),
                    "markers": [
                        {"column": float(column), "row": float(row), "sigma_px": float(sigma), "contrast": float(part)}
                        for (column, row), sigma, part in zip(one.column_row, one.sigma_px, one.contrast, strict=True)
                    ],
                }
                for file, one in zip(files, found, strict=True)
            ],
        }
        print(json.dumps(facts, indent=2))
    else:
        for file, one in zip(files, found, strict=True):
            print(f"{file}: {len(one)} markers")
            for column, row in one.column_row:
                print(f"     column {column:8.2f}  row {row:8.2f}")
    return 0


@app.command
def match(
    first: Path,
    second: Path,
    /,
    *,
    plan: Path,
    structures: Path,
    beam: int | None = None,
    diameter: float = 1.6,
    length: float | None = None,
    picture: Path | None = None,
    as_json: AsJson = False,
) -> int:
    """Match two kV images to the planned markers; exit code 6 unless the match is accepted.

    Parameters
    ----------
    first
        RT Image (DICOM file).
    second
        RT Image taken at least 45 degrees from the first.
    plan
        RT Ion Plan (DICOM file).
    structures
        RT Structure Set with the markers (DICOM file).
    beam
        Number of the beam; the first one by default.
    diameter
        Of the markers, mm.
    length
        Of seeds, mm; balls when left out.
    picture
        PNG to write: both images with what was found and where the match puts the planned markers.
    as_json
        Print one JSON document instead of sentences.
    """
    import numpy as np

    from isoalign.imaging import radiograph_line_integrals
    from isoalign.records import Verdict
    from isoalign.registration import MarkerShape, match_markers
    from isoalign.reports.marker_pictures import write_marker_picture
    from isoalign.room.marker_files import read_marker_plan, read_radiograph

    shape = MarkerShape(diameter, length)
    radiographs = [read_radiograph(one) for one in (first, second)]
    read = read_marker_plan(plan, structures, beam)
    found = match_markers(radiographs, read.markers, read.planned, shape)
    if picture is not None:
        seen = [
            np.array([one.shadows_px[view] for one in found.markers if one.shadows_px]).reshape(-1, 2)
            for view in (0, 1)
        ]
        expected = [one.geometry.project_patient(read.markers.points_mm, found.found) for one in radiographs]
        images = [radiograph_line_integrals(one) for one in radiographs]
        write_marker_picture(picture, images, seen, expected)
    if as_json:
        print(json.dumps(_facts(found), indent=2))
    else:
        _show(found)
    return 0 if found.verdict is Verdict.ACCEPTED else DOUBTFUL


def _facts(found: MarkerMatch) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "schema": "isoalign.markers-match/1",
        "verdict": found.verdict.value,
        "reasons": list(found.reasons),
        "setup_error": asdict(found.observed),
        "not_available": list(found.observed.not_available),
        "sigma_mm": found.sigma_mm.tolist(),
        "sigma_deg": None if found.sigma_deg is None else found.sigma_deg.tolist(),
        "covariance": found.covariance.tolist(),
        "fixed_from_planning": found.found.matrix.tolist(),
        "angle_between_views_deg": found.angle_deg,
        "markers": [
            {
                "name": one.name,
                "state": one.state.value,
                "distance_mm": one.distance_mm,
                "gap_mm": one.gap_mm,
                "shadows_px": [list(shadow) for shadow in one.shadows_px],
            }
            for one in found.markers
        ],
    }


def _show(found: MarkerMatch) -> None:
    print(f"match {found.verdict.value}")
    for reason in found.reasons:
        print(f"  {reason}")
    from isoalign.geometry.observability import COMPONENTS

    for name in COMPONENTS:
        value = getattr(found.observed, name)
        axis, unit = name.rsplit("_", 1)
        print(f"  {axis:13} {'not available' if value is None else f'{value:+8.2f} {unit}'}")
    for one in found.markers:
        away = "" if one.distance_mm is None else f", {one.distance_mm:.2f} mm from the plan after the match"
        print(f"  marker {one.name}: {one.state.value}{away}")
