"""How time and memory of projections and reconstructions grow with pixels, voxels, projections and threads.

    python tests/benchmarks/study_imaging_growth.py            reconstructions of 128^3 voxels
    python tests/benchmarks/study_imaging_growth.py --full     of 256^3 voxels, and one of 360 x 512^2 -> 512^3

Every row is a process of its own, so that its greatest memory is its own. Exits with 1 when time grows faster than
linearly with pixels or projections (exponent above 1.1), when a second thread makes the large rows less than 1.6 times
as fast, or when a volume of 512^3 voxels takes more than 4 GiB.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from typing import Any

import numba
import numpy as np

from isoalign.geometry import ImagerAxis, PatientPosition, PixelGrid, ProjectionGeometry, planned_fixed_from_dicom
from isoalign.imaging import AttenuationGrid, project_grid, warmup
from isoalign.imaging.cone_beam import ReconstructionGrid, reconstruct

WIDTH_MM = 256.0
LARGEST_EXPONENT, LEAST_SPEEDUP, MOST_GIB = 1.1, 1.6, 4.0


def body(size: int) -> AttenuationGrid:
    """A ball in a cube of so many voxels a side, written slice by slice."""
    at = np.linspace(-1.05, 1.05, size, dtype=np.float32) ** 2
    values = np.zeros((size, size, size), np.float32)
    for number in range(2, size - 2):
        inside = at[number] + at[2:-2, None] + at[None, 2:-2] < 0.9
        values[number, 2:-2, 2:-2] = np.where(inside, np.float32(0.02), np.float32(0.0))
    dicom_from_index = np.diag([WIDTH_MM / size] * 3 + [1.0])
    dicom_from_index[:3, 3] = -(size - 1) / 2 * WIDTH_MM / size
    return AttenuationGrid(values, dicom_from_index, ())


def view(angle_deg: float, pixels: int) -> ProjectionGeometry:
    return ProjectionGeometry.from_axis(
        ImagerAxis(angle_deg, 1000.0, 1500.0), PixelGrid.centred(pixels, pixels, 409.6 / pixels)
    )


def project_row(pixels: int, voxels: int) -> float:
    """Seconds of a projection: the least of seven."""
    grid, pose = body(voxels), planned_fixed_from_dicom(PatientPosition.HFS, (0.0, 0.0, 0.0))
    geometry = view(0.0, pixels)
    taken = []
    for _ in range(8):
        begun = time.perf_counter()
        project_grid(grid, geometry, pose)
        taken.append(time.perf_counter() - begun)
    return min(taken[1:])


def reconstruct_row(pixels: int, voxels: int, projections: int) -> float:
    """Seconds of a reconstruction of images of one and the same ball: the lesser of two; the largest runs once."""
    geometries = [view(360.0 * number / projections, pixels) for number in range(projections)]
    rays = geometries[0].pixel_centres_mm() - geometries[0].source_mm
    across = np.cross(geometries[0].source_mm, rays / np.linalg.norm(rays, axis=-1, keepdims=True))
    image = (0.04 * np.sqrt(np.clip(100.0**2 - (across**2).sum(-1), 0.0, None))).astype(np.float32)
    grid = ReconstructionGrid.centred((voxels, voxels, voxels), WIDTH_MM / voxels)
    taken = []
    for _ in range(1 if voxels > 256 else 2):
        begun = time.perf_counter()
        reconstruct([image] * projections, geometries, grid).attenuation()
        taken.append(time.perf_counter() - begun)
    return min(taken)


def row(pixels: int, voxels: int, projections: int, threads: int) -> dict[str, float]:
    """Seconds and greatest memory of one row, from a process of its own; no projections: a DRR."""
    given = json.dumps([pixels, voxels, projections, threads])
    done = subprocess.run(
        [sys.executable, __file__, "--row", given], capture_output=True, text=True, check=True, timeout=900
    )
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    what = f"DRR {pixels}^2 of {voxels}^3" if projections == 0 else f"FDK {projections} x {pixels}^2 -> {voxels}^3"
    print(f"{what:28} {threads} threads {told['seconds']:8.4f} s {told['gib']:6.2f} GiB", flush=True)
    return told


def exponent(few: dict[str, float], many: dict[str, float], times: float) -> float:
    return float(np.log(many["seconds"] / few["seconds"]) / np.log(times))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--row", help="used by the study itself")
    options = parser.parse_args()
    if options.row is not None:
        pixels, voxels, projections, threads = json.loads(options.row)
        warmup()
        numba.set_num_threads(threads)
        seconds = reconstruct_row(pixels, voxels, projections) if projections else project_row(pixels, voxels)
        gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(json.dumps({"seconds": seconds, "gib": gib}))
        return 0
    warmup()
    size = 256 if options.full else 128
    drr = {pixels: row(pixels, 256, 0, 2) for pixels in (256, 512, 1024)}
    by_voxels = {voxels: row(512, voxels, 0, 2) for voxels in (128, 512)}
    drr_alone = row(1024, 256, 0, 1)
    fdk = {count: row(size, size, count, 2) for count in (90, 180, 360)}
    fdk_alone = row(size, size, 360, 1)
    largest = by_voxels[512]["gib"]
    if options.full:
        row(128, 128, 360, 2)
        largest = max(largest, row(512, 512, 360, 2)["gib"])
    by_pixels, by_count = exponent(drr[256], drr[1024], 16.0), exponent(fdk[90], fdk[360], 4.0)
    speedups = [one["seconds"] / two["seconds"] for one, two in ((drr_alone, drr[1024]), (fdk_alone, fdk[360]))]
    print(f"exponents: pixels {by_pixels:.2f}, projections {by_count:.2f}; at most {LARGEST_EXPONENT:g}")
    print(f"two threads: DRR x {speedups[0]:.2f}, FDK x {speedups[1]:.2f}; at least {LEAST_SPEEDUP:g}")
    print(f"512^3 voxels: {largest:.2f} GiB; at most {MOST_GIB:g}")
    met = max(by_pixels, by_count) <= LARGEST_EXPONENT and min(speedups) >= LEAST_SPEEDUP and largest <= MOST_GIB
    print("goals met" if met else "A GOAL WAS MISSED")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
