"""Speed and error of projections and reconstructions against RTK, plastimatch and nanodrr, in one run, turn by turn.

    python tests/benchmarks/study_imaging.py            small reconstruction (128^3), DRR at full size
    python tests/benchmarks/study_imaging.py --full     360 x 256^2 -> 256^3 and, without peers, 360 x 512^2 -> 512^3
    python tests/benchmarks/study_imaging.py --peer-python PYTHON

Times are ratios of medians; every peer gets the same volume and as many threads, in a process of its own, and has to
show the same thing. plastimatch is compared where the program is installed. nanodrr needs torch: name a Python that has
both with --peer-python or ISOALIGN_NANODRR_PYTHON. Exits with 1 when a goal is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numba
import numpy as np
import numpy.typing as npt
from plastimatch_peer import Plastimatch, rays_of, write_pfm
from rtk_peer import Rtk
from scipy.ndimage import gaussian_filter, map_coordinates

from isoalign.geometry import ImagerAxis, PatientPosition, PixelGrid, ProjectionGeometry, planned_fixed_from_dicom
from isoalign.geometry.nine_parameter import NineParameters
from isoalign.imaging import AttenuationGrid, project_grid, project_grid_with_derivatives, warmup
from isoalign.imaging.attenuation import PADDING
from isoalign.imaging.cone_beam import ReconstructionGrid, reconstruct

ENVIRONMENT = "ISOALIGN_NANODRR_PYTHON"
Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
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


def textured_body() -> Float32:
    """A round body of 256 x 256 x 200 voxels of 1 mm: slices along +Y, rows along -Z, columns along +X, as in a CT."""
    rng = np.random.default_rng(1)
    values = np.zeros((200, 256, 256), np.float32)
    inner = gaussian_filter(rng.uniform(0.0, 0.3, (196, 252, 252)), 2.0) - 0.13
    y, z, x = np.mgrid[-1:1:196j, -1:1:252j, -1:1:252j]
    body = np.clip((1.0 - np.sqrt(x**2 + y**2 + z**2)) * 10, 0, 1)
    values[PADDING:-PADDING, PADDING:-PADDING, PADDING:-PADDING] = body * np.clip(inner, 0, None)
    return values


def study_drr(rtk: Rtk, folder: Path, nanodrr: str | None, runs: int) -> bool:
    """512 x 512 pixels of 0.8 mm, SID 1500, SAD 1000, of 256 x 256 x 200 voxels of 1 mm."""
    values = textured_body()
    pose = planned_fixed_from_dicom(PatientPosition.HFS, (0.0, 0.0, 0.0))
    dicom_from_index = np.eye(4)
    dicom_from_index[:3, 3] = -(np.array(values.shape[::-1]) - 1) / 2
    grid = AttenuationGrid(values, dicom_from_index, ())
    room = np.ascontiguousarray(values.transpose(1, 0, 2)[::-1])  # RTK's order: Z, Y, X
    first = -(np.array(room.shape[::-1]) - 1) / 2
    pixels = PixelGrid.centred(512, 512, 0.8)
    plastimatch = Plastimatch(folder, numba.get_num_threads()) if Plastimatch.found() else None
    times: list[tuple[float, float, float]] = []
    exact_s: list[float] = []
    worst_rms = 0.0
    images, geometries, references = [], [], []
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
            if plastimatch is not None:
                taken, seen = plastimatch.drr(values, 512, 0.8, 8)
                exact_s.append(taken)
        exact = trilinear(room, first, geometry)
        rms = float(np.sqrt(np.mean((image[::16] - exact) ** 2)) / exact.max())
        worst_rms = max(worst_rms, rms)
        apart = np.abs(image - their_image[0, ::-1]).max() / image.max()
        print(f"DRR at {angle:3.0f} deg: rms {100 * rms:.4f} % of the largest, from RTK {100 * apart:.5f} % at most")
        images.append(image)
        geometries.append(geometry)
        references.append(exact)
    plain, steep, theirs = np.median(np.array(times), axis=0)
    ratio, slope = theirs / plain, float(np.median([b / a for a, b, _ in times]))
    print(
        f"DRR {1000 * plain:.1f} ms, with derivatives x {slope:.2f}, RTK Joseph {1000 * theirs:.1f} ms: x {ratio:.1f}"
    )
    met = ratio >= 2.6 and slope <= 1.25 and worst_rms <= 0.00012
    if plastimatch is None:
        print("plastimatch is not installed")
    else:
        # its first source stands where ours stands at 90 degrees; it integrates boxes, not the trilinear field
        alike = max(alikeness(seen[::up, ::left], images[1]) for up in (1, -1) for left in (1, -1))
        ratio = float(np.median(exact_s)) / plain
        print(f"plastimatch exact {1000 * np.median(exact_s):.1f} ms: x {ratio:.1f}; correlation {alike:.5f}")
        met = met and ratio >= 2.3 and alike >= 0.999
    if nanodrr is not None:
        met = study_nanodrr(nanodrr, folder, values, geometries, images, references, plain) and met
    return met


def alikeness(one: Float32, other: Float32) -> float:
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


def study_nanodrr(
    python: str,
    folder: Path,
    values: Float32,
    geometries: list[ProjectionGeometry],
    images: list[Float32],
    references: list[Float32],
    plain: float,
) -> bool:
    """nanodrr on the same body from the same places, with 250 and 500 samples along every ray."""
    dicom_from_fixed = planned_fixed_from_dicom(PatientPosition.HFS, (0.0, 0.0, 0.0)).inverse()
    world_from_voxel = np.eye(4)
    world_from_voxel[:3, 3] = -(np.array(values.shape[::-1]) - 1) / 2
    cameras = []
    for geometry in geometries:
        corners = dicom_from_fixed.apply(geometry.pixel_centres_mm()[[0, 0, -1], [0, -1, 0]])
        right, down = (way / np.linalg.norm(way) for way in (corners[1] - corners[0], corners[2] - corners[0]))
        camera = np.eye(4)
        camera[:3] = np.stack([right, down, np.cross(right, down), dicom_from_fixed.apply(geometry.source_mm)], axis=1)
        cameras.append(camera)
    met = True
    for samples in (250, 500):
        np.savez(
            folder / "nanodrr.npz",
            volume=values,
            world_from_voxel=world_from_voxel,
            world_from_camera=np.stack(cameras),
            sid_mm=1500.0,
            pixel_mm=0.8,
            shape=(512, 512),
            samples=samples,
            threads=numba.get_num_threads(),
        )
        peer = Path(__file__).with_name("nanodrr_peer.py")
        done = subprocess.run(
            [python, str(peer), str(folder / "nanodrr.npz"), str(folder / "nanodrr.npy")],
            capture_output=True,
            text=True,
            check=True,
        )
        taken = float(np.median(json.loads(done.stdout.splitlines()[-1])))
        seen = np.load(folder / "nanodrr.npy")
        alike = min(alikeness(one, other) for one, other in zip(seen, images, strict=True))
        rms = max(
            float(np.sqrt(np.mean((one[::16] - exact) ** 2)) / exact.max())
            for one, exact in zip(seen, references, strict=True)
        )
        print(
            f"nanodrr, {samples} samples: {1000 * taken:.0f} ms: x {taken / plain:.0f}; rms {100 * rms:.4f} %, "
            f"correlation {alike:.5f}"
        )
        met = met and taken >= 35.0 * plain and alike >= 0.999
    return met


def scan_of_balls(geometries: list[ProjectionGeometry]) -> list[Float32]:
    return [through_balls(one.source_mm, one.pixel_centres_mm() - one.source_mm) for one in geometries]


def through_balls(source_mm: Float64, rays: Float64) -> Float32:
    """Exact line integrals through the balls."""
    rays = rays / np.linalg.norm(rays, axis=-1, keepdims=True)
    image = np.zeros(rays.shape[:2])
    for centre, radius, value in BALLS:
        squared = (np.cross(np.array(centre) - source_mm, rays) ** 2).sum(-1)
        image += value * 2 * np.sqrt(np.clip(radius**2 - squared, 0, None))
    return image.astype(np.float32)


def study_plastimatch_fdk(folder: Path, size: int, count: int, runs: int, ours_s: float) -> bool:
    """plastimatch's reconstruction of as many projections of the same balls, made for where its own source stands."""
    if not Plastimatch.found():
        return True
    (folder / "scan").mkdir(exist_ok=True)
    peer = Plastimatch(folder, numba.get_num_threads())
    for text in peer.scan(count, size, 1.6 * 256 / size):
        write_pfm(text.with_suffix(".pfm"), through_balls(*rays_of(text, size)))
    taken = []
    for _ in range(runs):
        seconds, seen = peer.reconstruct(size, 256.0)
        taken.append(seconds)
    at = (np.arange(size) - (size - 1) / 2) * 256 / size
    z, y, x = np.meshgrid(at, at, at, indexing="ij")
    inside = (np.hypot(x, y) < 110) & (np.abs(z) < 60)
    truth = sum(v * ((x - c[0]) ** 2 + (y - c[1]) ** 2 + (z - c[2]) ** 2 < r**2) for c, r, v in BALLS)
    alike = [float(np.corrcoef(one[inside], truth[inside])[0, 1]) for one in (seen, seen[::-1], seen[:, ::-1])]
    ratio = float(np.median(taken)) / ours_s
    print(f"plastimatch {np.median(taken):.2f} s: x {ratio:.1f}; correlation with the balls {alike[0]:.3f}")
    return ratio >= 3.0 and alike[0] == max(alike) and alike[0] > 0.98


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
    parser.add_argument("--peer-python", default=os.environ.get(ENVIRONMENT))
    options = parser.parse_args()
    full, nanodrr = options.full, options.peer_python
    if nanodrr is None:
        print(f"no Python with nanodrr is named ({ENVIRONMENT}): not compared")
    warmup()
    with tempfile.TemporaryDirectory() as folder:
        rtk = Rtk(Path(folder), numba.get_num_threads())
        try:
            met = [study_drr(rtk, Path(folder), nanodrr, 5 if full else 2)]
            size, count, runs = (256, 360, 3) if full else (128, 120, 2)
            good, seconds = study_reconstruction(rtk, size, count, runs)
            met += [good, study_plastimatch_fdk(Path(folder), size, count, runs, seconds)]
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
