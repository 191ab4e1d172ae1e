"""``isoalign drr``: a digitally reconstructed radiograph of a CT folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
from cyclopts import Parameter

from isoalign.cli.errors import UnusableArgument
from isoalign.cli.progress import StepProgress
from isoalign.records import Volume

Point = tuple[float, float, float]
STYLES = ("attenuation", "bone", "maximum")


def drr(
    ct: Path,
    /,
    *,
    plan: Path | None = None,
    gantry_angle: float = 0.0,
    sad: float = 1000.0,
    sid: float = 1500.0,
    rows: int = 1024,
    columns: int = 768,
    pixel: float = 0.388,
    isocentre: Annotated[Point | None, Parameter(negative="")] = None,
    bits: int = 16,
    style: str = "attenuation",
    energy: float = 60.0,
    out: Path = Path("drr.png"),
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Render a digitally reconstructed radiograph of a CT folder as PNG or DICOM RT Image.

    Parameters
    ----------
    ct
        Folder with the slices of one CT series.
    plan
        RT Ion Plan (DICOM file) whose first beam gives the isocentre and the patient position.
    gantry_angle
        Where the X-ray source stands: IEC gantry angle, degrees.
    sad
        Source to isocentre, mm.
    sid
        Source to image plane, mm.
    rows
        Rows of the image.
    columns
        Columns of the image.
    pixel
        Pixel size on the image plane, mm.
    isocentre
        Isocentre in the DICOM patient frame, mm; the plan's, or the middle of the CT.
    bits
        8 or 16 bits per pixel, for PNG.
    style
        attenuation, bone (soft tissue thinned) or maximum (largest attenuation along the ray).
    energy
        Effective energy of the beam, 40 to 150 keV.
    out
        File to write; the ending .png, .dcm or .npy (32-bit floating point) says which format.
    as_json
        Print what was written as one JSON document instead of its path.
    """
    kind = out.suffix.lower()
    if kind not in (".png", ".dcm", ".npy"):
        raise UnusableArgument(f"--out {out}: the ending must be .png, .dcm or .npy")
    if bits not in (8, 16):
        raise UnusableArgument(f"--bits {bits}: a PNG has 8 or 16 bits per pixel")
    if style not in STYLES:
        raise UnusableArgument(f"--style {style}: choose one of {', '.join(STYLES)}")

    from isoalign import imaging
    from isoalign.geometry import ImagerAxis, PixelGrid, ProjectionGeometry, planned_fixed_from_dicom
    from isoalign.reports import write_grey_png
    from isoalign.room.cases import load_ct_folder, load_plan_file, write_drr_dicom

    with StepProgress() as progress:
        progress("begin", f"Reading {ct}", None)
        volume, advice = load_ct_folder(ct)
        loaded = load_plan_file(plan) if plan is not None else None
        centre = isocentre or (_of_point(loaded.beam().isocentre_mm) if loaded is not None else _middle_of(volume))
        position = loaded.patient_position if loaded is not None else volume.patient_position
        progress("done", f"{volume.hounsfield.shape[0]} slices", None)
        for words in advice:
            progress("warning", words, None)
        progress("begin", "Rendering", None)
        axis = ImagerAxis(gantry_angle, sad, sid)
        geometry = ProjectionGeometry.from_axis(axis, PixelGrid.centred(rows, columns, pixel))
        pose = planned_fixed_from_dicom(position, centre)
        shown = imaging.bone_weighted(volume) if style == "bone" else volume
        attenuation = imaging.attenuation_volume(shown, imaging.beam_quality(energy))
        render = imaging.render_maximum if style == "maximum" else imaging.render_drr
        line_integrals = render(attenuation, geometry, pose)
        progress("done", f"isocentre ({centre[0]:.1f}, {centre[1]:.1f}, {centre[2]:.1f}) mm", None)
        if kind == ".png":
            write_grey_png(out, line_integrals, bits=bits)
        elif kind == ".npy":
            np.save(out, line_integrals)
        else:
            write_drr_dicom(out, line_integrals, geometry, volume, isocentre_mm=centre, ct_folder=ct)
    if as_json:
        facts = {
            "schema": "isoalign.drr/1",
            "file": str(out),
            "isocentre_mm": centre,
            "gantry_angle_deg": gantry_angle,
            "patient_position": position.value,
            "rows": rows,
            "columns": columns,
            "pixel_mm": pixel,
            "style": style,
            "energy_kev": energy,
            "greatest_line_integral": float(line_integrals.max()),
            "warnings": list(advice),
        }
        print(json.dumps(facts, indent=2))
    else:
        print(out)
    return 0


def _of_point(point_mm: npt.ArrayLike) -> Point:
    x, y, z = (float(value) for value in np.asarray(point_mm).ravel()[:3])
    return x, y, z


def _middle_of(volume: Volume) -> Point:
    """The middle of the CT, DICOM patient frame, mm."""
    slices, rows, columns = volume.hounsfield.shape
    return _of_point(volume.dicom_from_index @ [(columns - 1) / 2, (rows - 1) / 2, (slices - 1) / 2, 1.0])
