"""``isoalign reconstruct``: the projections of a cone-beam scan as a CT."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from isoalign.cli.errors import OutputNotWritable, UnusableArgument
from isoalign.cli.progress import StepProgress

Point = tuple[float, float, float]


def reconstruct(
    scan: Path,
    /,
    *,
    out: Path = Path("cone-beam-ct.npz"),
    voxels: int = 256,
    slices: int = 256,
    voxel: float = 1.0,
    window: str = "ram-lak",
    cut_off: float = 1.0,
    truncation_correction: Annotated[bool, Parameter(negative="")] = False,
    water: float = 0.02059,
    patient_position: str = "HFS",
    isocentre: Annotated[Point, Parameter(negative="")] = (0.0, 0.0, 0.0),
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Reconstruct the projections of a cone-beam scan as a CT; Ctrl-C stops it without a result.

    Parameters
    ----------
    scan
        An npz file with the whole scan, or a folder of npz files with one or more projections each.
    out
        File to write, ending in .npz.
    voxels
        Rows and columns of each slice.
    slices
        Number of slices along the rotation axis.
    voxel
        Size of the voxels, mm.
    window
        Damping of the ramp filter: ram-lak, shepp-logan, cosine, hann or hamming.
    cut_off
        Where the filter ends, as a part of the pixels' highest frequency.
    truncation_correction
        Continue rows that the body leaves by a water cylinder.
    water
        Reconstructed attenuation of water, 1/mm, from a scan of a water cylinder.
    patient_position
        How the patient lies: HFS, FFP and so on.
    isocentre
        The room's isocentre in the DICOM patient frame, mm.
    as_json
        Print what was written as one JSON document instead of its path.
    """
    if out.suffix.lower() != ".npz":
        raise UnusableArgument(f"--out {out}: the ending must be .npz")
    if not out.absolute().parent.is_dir():
        raise OutputNotWritable(f"--out {out}: there is no such folder")

    from isoalign.geometry import PatientPosition, planned_fixed_from_dicom
    from isoalign.imaging import cone_beam
    from isoalign.room.scans import find_scan, write_volume

    known = [one.value for one in cone_beam.RampWindow]
    if window not in known:
        raise UnusableArgument(f"--window {window}: choose one of {', '.join(known)}")
    position = PatientPosition.parse(patient_position)
    grid = cone_beam.ReconstructionGrid.centred((slices, voxels, voxels), voxel, position)
    ramp = cone_beam.RampFilter(cone_beam.RampWindow(window), cut_off)
    calibration = cone_beam.HounsfieldCalibration(water)
    with StepProgress() as progress:
        progress("begin", f"Reading {scan}", None)
        found = find_scan(scan)
        progress("done", f"{len(found.geometries)} projections", None)
        progress("begin", "Reconstructing", None)

        def told(done: int, total: int) -> None:
            progress("progress", f"{done} of {total}", done / total)

        grown = cone_beam.reconstruct(
            found.line_integrals(),
            found.geometries,
            grid,
            cone_beam.ReconstructionSettings(ramp, truncation_correction),
            progress=told,
        )
        volume = grown.volume(planned_fixed_from_dicom(position, isocentre), position, calibration=calibration)
        progress("done", f"{slices} slices", None)
        try:
            write_volume(out, volume)
        except OSError as error:
            raise OutputNotWritable(f"{out} cannot be written: {error}") from error
    if as_json:
        facts = {
            "schema": "isoalign.reconstruct/1",
            "file": str(out),
            "projections": grown.count,
            "arc_deg": grown.arc.span_deg,
            "shape": list(grid.shape),
            "voxel_mm": voxel,
            "patient_position": position.value,
            "least_hu": int(volume.hounsfield.min()),
            "greatest_hu": int(volume.hounsfield.max()),
        }
        print(json.dumps(facts, indent=2))
    else:
        print(out)
    return 0
