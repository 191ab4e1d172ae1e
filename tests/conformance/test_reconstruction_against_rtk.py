"""RTK on the same images: reconstructions of whole, short and displaced scans, and projections of a volume.

The scans are exact line integrals of balls, computed here; RTK gets the same arrays. Loading it takes many seconds,
so one process serves all tests of this module.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from isoalign.geometry import ImagerAxis, PatientPosition, PixelGrid, ProjectionGeometry, planned_fixed_from_dicom
from isoalign.geometry.nine_parameter import NineParameters
from isoalign.imaging import AttenuationGrid, render_drr
from isoalign.imaging.attenuation import PADDING, AttenuationVolume
from isoalign.imaging.cone_beam import ReconstructionGrid, reconstruct

PEER = Path(__file__).with_name("rtk_images_peer.py")
Float32 = npt.NDArray[np.float32]
WATER = 0.02
BALLS = [((0.0, 0.0, 0.0), 55.0, WATER), ((20.0, 8.0, -14.0), 15.0, 0.005), ((-25.0, -12.0, 10.0), 9.0, -0.004)]
"""Centre in the fixed frame, radius (mm), attenuation (1/mm)."""
RtkImages = Callable[..., Float32]


@pytest.fixture(scope="module")
def rtk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RtkImages]:
    if importlib.util.find_spec("itk") is None:
        pytest.skip("the cone-beam toolkit RTK (itk-rtk) is not installed: make peers")
    folder = tmp_path_factory.mktemp("rtk")
    with subprocess.Popen(
        [sys.executable, str(PEER), str(folder), "2"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        stdin, stdout = process.stdin, process.stdout
        assert json.loads(stdout.readline()) == "ready"

        def ask(**arrays: object) -> Float32:
            np.savez(folder / "given.npz", **arrays)  # type: ignore[arg-type]
            stdin.write(json.dumps("given.npz") + "\n")
            stdin.flush()
            json.loads(stdout.readline())
            return np.asarray(np.load(folder / "given.npz.rtk.npy"))

        yield ask
        stdin.close()
        process.wait(30)


def chords_mm(geometry: ProjectionGeometry, centre: npt.ArrayLike, radius: float) -> npt.NDArray[np.float64]:
    directions = geometry.pixel_centres_mm() - geometry.source_mm
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    squared = (np.cross(np.asarray(centre) - geometry.source_mm, directions) ** 2).sum(axis=-1)
    return 2 * np.sqrt(np.clip(radius**2 - squared, 0.0, None))


def scan_of_balls(geometries: list[ProjectionGeometry]) -> list[Float32]:
    return [
        sum(value * chords_mm(one, centre, radius) for centre, radius, value in BALLS).astype(np.float32)  # type: ignore[union-attr]
        for one in geometries
    ]


def truth_of(points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.asarray(
        sum(value * (np.linalg.norm(points - np.array(centre), axis=-1) < radius) for centre, radius, value in BALLS)
    )


SCANS = {  # projections, arc, panel moved aside by (mm)
    "whole": (120, 360.0, 0.0),
    "short": (80, 240.0, 0.0),
    "displaced": (120, 360.0, 50.0),
}


@pytest.mark.parametrize("kind", SCANS)
def test_reconstruction(rtk: RtkImages, kind: str) -> None:
    """The same error against the truth as RTK's, and the same image but for how each blends redundant rays."""
    count, span, aside = SCANS[kind]
    pixels = PixelGrid.centred(100, 120, 1.6)
    geometries = [
        ProjectionGeometry.from_axis(ImagerAxis(i * span / count, 1000.0, 1500.0, (aside, 0.0)), pixels)
        for i in range(count)
    ]
    scan = scan_of_balls(geometries)
    grid = ReconstructionGrid.centred((60, 70, 80), 1.5)
    found = reconstruct(scan, geometries, grid).attenuation()

    first = (pixels.first_pixel_mm[0], -pixels.first_pixel_mm[1], 0.0)
    slices, rows, columns = grid.shape
    last = np.array([columns - 1, slices - 1, rows - 1])
    given = rtk(
        task="reconstruct",
        parameters=[NineParameters.from_geometry(one).values for one in geometries],
        projections=np.stack(scan)[:, ::-1],
        pixel_mm=(1.6, 1.6, 1.0),
        first_pixel_mm=first,
        volume=np.zeros((rows, slices, columns), np.float32),
        voxel_mm=(1.5, 1.5, 1.5),
        first_voxel_mm=-last / 2 * 1.5,
    )
    # RTK: (Z, Y, X); here slices along +Y, rows along -Z, columns along +X
    expected = given[::-1].transpose(1, 0, 2)

    points = grid.points_mm()
    inside = np.hypot(points[..., 0], points[..., 2]) < 50
    truth = truth_of(points)
    ours, theirs = (np.sqrt(np.mean((image - truth)[inside] ** 2)) for image in (found, expected))
    difference = np.sqrt(np.mean((found - expected)[inside] ** 2))
    assert theirs < 0.06 * WATER  # what the edges of the balls make of any filter
    # where a displaced panel's overlap ends is each program's own choice
    assert ours == pytest.approx(theirs, rel=0.002 if kind == "displaced" else 0.001)
    assert difference < {"whole": 0.02, "short": 0.2, "displaced": 0.2}[kind] * theirs


def test_projection(rtk: RtkImages) -> None:
    """Joseph's method by both: the same image to rounding."""
    rng = np.random.default_rng(4)
    values = np.zeros((40, 44, 48), np.float32)
    values[PADDING:-PADDING, PADDING:-PADDING, PADDING:-PADDING] = rng.uniform(0.0, 0.03, (36, 40, 44))
    spacing = np.array([1.5, 1.7, 2.0])
    # fixed axes as array axes (Z, Y, X), which is how RTK takes a volume: a patient frame that is the fixed frame
    pose = planned_fixed_from_dicom(PatientPosition.HFS, (0.0, 0.0, 0.0))
    first = -(np.array(values.shape[::-1]) - 1) / 2 * spacing
    dicom_from_index = np.eye(4)
    dicom_from_index[:3, :3] = pose.rotation.T @ np.diag(spacing)
    dicom_from_index[:3, 3] = pose.rotation.T @ first
    grid = AttenuationGrid(values, dicom_from_index, ())
    pixels = PixelGrid.centred(60, 70, 1.9)
    # within 25 degrees of an axis of the volume, where RTK takes the same one for all rays
    for angle in (0.0, 25.0, 90.0):
        geometry = ProjectionGeometry.from_axis(ImagerAxis(angle, 1000.0, 1500.0, (4.0, -3.0)), pixels)
        found = render_drr(AttenuationVolume(grid, ()), geometry, pose)
        expected = rtk(
            task="project",
            parameters=[NineParameters.from_geometry(geometry).values],
            projections=np.zeros((1, 60, 70), np.float32),
            pixel_mm=(1.9, 1.9, 1.0),
            first_pixel_mm=(pixels.first_pixel_mm[0], -pixels.first_pixel_mm[1], 0.0),
            volume=values,
            voxel_mm=spacing,
            first_voxel_mm=first,
        )[0, ::-1]
        np.testing.assert_allclose(found, expected, atol=2e-5 * expected.max())
