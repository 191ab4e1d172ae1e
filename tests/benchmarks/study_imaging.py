"""Speed and error of projections and reconstructions against RTK, on the same arrays, in one run, turn by turn.

    python tests/benchmarks/study_imaging.py            small reconstruction (128^3), DRR at full size
    python tests/benchmarks/study_imaging.py --full     360 x 256^2 -> 256^3 and, without RTK, 360 x 512^2 -> 512^3

Times are ratios of medians; RTK runs in a process of its own with as many threads. Exits with 1 when a goal is missed.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numba
import numpy as np
import numpy.typing as npt
from rtk_peer import Rtk
from scipy.ndimage import gaussian_filter, map_coordinates

from isoalign.geometry import ImagerAxis, PatientPosition, PixelGrid, ProjectionGeometry, planned_fixed_from_dicom
from isoalign.geometry.nine_parameter import NineParameters
from isoalign.imaging import AttenuationGrid, project_grid, project_grid_with_derivatives, warmup
from isoalign.imaging.attenuation import PADDING
from isoalign.imaging.cone_beam import ReconstructionGrid, reconstruct

Float32 = npt.NDArray[np.float32]
BALLS = [((0.0, 0.0, 0.0), 100.0, 0.02), ((30.0, 20.0, -14.0), 25.0, 0.005), ((-45.0, -32.0, 10.0), 15.0, -0.004)]


def timed(run: Callable[[], object]) -> float:
    begun = time.perf_counter()
    run()
    return time.perf_counter() - begun


def trilinear(values: Float32, first_mm: npt.NDArray[np.float64], geometry: ProjectionGeometry) -> Float32:
    """Fine sampling (0.1 mm) of the trilinear field, 1 mm voxels along the fixed axes, for every 16th row."""
    pixels = geometry.pixel_centres_mm()[::16]
    rays = pixels - geometry.source_mm
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    distances = np.arange(1000 - 240.0, 1000 + 240.0, 0.1)
    out = np.empty(pixels.shape[:2])
    for row in range(out.shape[0]):
        total = np.zeros(out.shape[1])
        for part in np.array_split(distances, 16):
            points = geometry.source_mm + rays[row][:, None] * part[None, :, None] - first_mm
            total += map_coordinates(values, np.moveaxis(points[..., ::-1], -1, 0), order=1, mode="constant").sum(-1)
        out[row] = total * 0.1
    return np.asarray(out, dtype=np.float32)


def study_drr(rtk: Rtk, runs: int) -> bool:
    """512 x 512 pixels of 0.8 mm, SID 1500, SAD 1000, of 256 x 256 x 200 voxels of 1 mm."""
    rng = np.random.default_rng(1)
    values = np.zeros((200, 256, 256), np.float32)  # slices along +Y, rows along -Z, columns along +X, as in a CT
    inner = gaussian_filter(rng.uniform(0.0, 0.3, (196, 252, 252)), 2.0) - 0.13
    y, z, x = np.mgrid[-1:1:196j, -1:1:252j, -1:1:252j]
    body = np.clip((1.0 - np.sqrt(x**2 + y**2 + z**2)) * 10, 0, 1)
    values[PADDING:-PADDING, PADDING:-PADDING, PADDING:-PADDING] = body * np.clip(inner, 0, None)
    pose = planned_fixed_from_dicom(PatientPosition.HFS, (0.0, 0.0, 0.0))
    dicom_from_index = np.eye(4)
    dicom_from_index[:3, 3] = -(np.array(values.shape[::-1]) - 1) / 2
    grid = AttenuationGrid(values, dicom_from_index, ())
    room = np.ascontiguousarray(values.transpose(1, 0, 2)[::-1])  # RTK's order: Z, Y, X
    first = -(np.array(room.shape[::-1]) - 1) / 2
    pixels = PixelGrid.centred(512, 512, 0.8)
    times: list[tuple[float, float, float]] = []
    worst_rms = 0.0
    for angle in (0.0, 90.0):
        geometry = ProjectionGeometry.from_axis(ImagerAxis(angle, 1000.0, 1500.0), pixels)
        given = {
            "task": "project",
            "parameters": [NineParameters.from_geometry(geometry).values],
            "projections": np.zeros((1, 512, 512), np.float32),
            "pixel_mm": (0.8, 0.8, 1.0),
            "first_pixel_mm": (pixels.first_pixel_mm[0], -pixels.first_pixel_mm[1], 0.0),
            "volume": room,
            "voxel_mm": (1.0, 1.0, 1.0),
            "first_voxel_mm": first,
        }
        image = project_grid(grid, geometry, pose)
        project_grid_with_derivatives(grid, geometry, pose)
        for _ in range(runs):
            plain = min(timed(lambda: project_grid(grid, geometry, pose)) for _ in range(3))  # noqa: B023
            steep = min(timed(lambda: project_grid_with_derivatives(grid, geometry, pose)) for _ in range(3))  # noqa: B023
            theirs, their_image = rtk(**given)
            times.append((plain, steep, theirs))
        exact = trilinear(room, first, geometry)
        rms = float(np.sqrt(np.mean((image[::16] - exact) ** 2)) / exact.max())
        worst_rms = max(worst_rms, rms)
        apart = np.abs(image - their_image[0, ::-1]).max() / image.max()
        print(f"DRR at {angle:3.0f} deg: rms {100 * rms:.4f} % of the largest, from RTK {100 * apart:.5f} % at most")
    plain, steep, theirs = np.median(np.array(times), axis=0)
    ratio, slope = theirs / plain, float(np.median([b / a for a, b, _ in times]))
    print(
        f"DRR {1000 * plain:.1f} ms, with derivatives x {slope:.2f}, RTK Joseph {1000 * theirs:.1f} ms: x {ratio:.1f}"
    )
    return ratio >= 2.6 and slope <= 1.25 and worst_rms <= 0.00012


def scan_of_balls(geometries: list[ProjectionGeometry]) -> list[Float32]:
    images = []
    for one in geometries:
        rays = one.pixel_centres_mm() - one.source_mm
        rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
        image = np.zeros(rays.shape[:2])
        for centre, radius, value in BALLS:
            squared = (np.cross(np.array(centre) - one.source_mm, rays) ** 2).sum(-1)
            image += value * 2 * np.sqrt(np.clip(radius**2 - squared, 0, None))
        images.append(image.astype(np.float32))
    return images


def study_reconstruction(rtk: Rtk | None, size: int, count: int, runs: int) -> tuple[bool, float]:
    """Projections and volume of the given size, 256 mm wide; returns whether goals are met, and seconds."""
    pixels = PixelGrid.centred(size, size, 1.6 * 256 / size)
    geometries = [
        ProjectionGeometry.from_axis(ImagerAxis(360.0 * i / count, 1000.0, 1500.0), pixels) for i in range(count)
    ]
    images = scan_of_balls(geometries)
    voxel = 256 / size
    grid = ReconstructionGrid.centred((size, size, size), voxel)
    ours, theirs = [], []
    image = their_image = None
    for _ in range(runs):
        begun = time.perf_counter()
        image = reconstruct(images, geometries, grid).attenuation()
        ours.append(time.perf_counter() - begun)
        if rtk is not None:
            took, their_image = rtk(
                task="reconstruct",
                parameters=[NineParameters.from_geometry(one).values for one in geometries],
                projections=np.stack(images)[:, ::-1],
                pixel_mm=(pixels.column_spacing_mm, pixels.row_spacing_mm, 1.0),
                first_pixel_mm=(pixels.first_pixel_mm[0], -pixels.first_pixel_mm[1], 0.0),
                volume=np.zeros((size, size, size), np.float32),
                voxel_mm=(voxel, voxel, voxel),
                first_voxel_mm=np.full(3, -(size - 1) / 2 * voxel),
            )
            theirs.append(took)
    seconds = float(np.median(ours))
    rate = size**3 * count / seconds / 1e9
    print(f"FDK {count} x {size}^2 -> {size}^3: {seconds:.2f} s, {rate:.2f} G voxel updates/s", end="")
    if their_image is None or image is None:
        print(f", {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB at most")
        return True, seconds
    points = grid.points_mm()
    inside = (np.hypot(points[..., 0], points[..., 2]) < 70) & (np.abs(points[..., 1]) < 60)
    truth = sum(v * (np.linalg.norm(points - np.array(c), axis=-1) < r) for c, r, v in BALLS)
    expected = their_image[::-1].transpose(1, 0, 2)
    rms = [float(np.sqrt(np.mean((one - truth)[inside] ** 2)) / 0.02 * 1000) for one in (image, expected)]
    ratio = float(np.median(theirs)) / seconds
    print(f"; RTK {np.median(theirs):.2f} s: x {ratio:.1f}; rms error {rms[0]:.3f} HU, RTK {rms[1]:.3f} HU")
    return ratio >= 5.0 and abs(rms[0] / rms[1] - 1) <= 0.001, seconds


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true")
    full = parser.parse_args().full
    warmup()
    with tempfile.TemporaryDirectory() as folder:
        rtk = Rtk(Path(folder), numba.get_num_threads())
        try:
            met = [study_drr(rtk, 5 if full else 2)]
            good, _ = study_reconstruction(rtk, 256 if full else 128, 360 if full else 120, 3 if full else 2)
            met.append(good)
        finally:
            rtk.close()
    if full:
        study_reconstruction(None, 512, 360, 1)
        gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        met.append(gib <= 4.0)
    print("goals met" if all(met) else "A GOAL WAS MISSED")
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
