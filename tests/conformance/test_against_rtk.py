"""The cone-beam toolkit RTK as an oracle: the same numbers to both, matrices and positions compared.

RTK computes in double precision from radians, so agreement is a matter of rounding: 1e-9 relative, row by row.
Loading it takes many seconds; it is loaded only when one of these tests runs.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from isoalign.geometry import Fixed, ImagerAxis, PixelGrid, Pose, ProjectionGeometry, XrayImageReceptor
from isoalign.geometry.nine_parameter import NineParameters

PEER = Path(__file__).with_name("rtk_peer.py")
RELATIVE = 1e-9
GEOMETRIES = 300
GRID = PixelGrid(1024, 768, 0.4, 0.388, (-148.0, 205.0))


class Rtk:
    """RTK in a process of its own, with NumPy on this side; every projection that is added has a number."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._answers: list[dict[str, Any]] = []

    def _ask(self, given: object) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(given) + "\n")
        self._process.stdin.flush()
        self._answers.append(json.loads(self._process.stdout.readline()))
        return len(self._answers) - 1

    def add(self, parameters: NineParameters) -> int:
        return self._ask(list(parameters.values))

    def add_vectors(
        self,
        source: npt.NDArray[np.float64],
        receptor: npt.NDArray[np.float64],
        x: npt.NDArray[np.float64],
        y: npt.NDArray[np.float64],
    ) -> int:
        return self._ask([source.tolist(), receptor.tolist(), x.tolist(), y.tolist()])

    def matrix(self, index: int) -> npt.NDArray[np.float64]:
        return np.array(self._answers[index]["matrix"])

    def source_mm(self, index: int) -> npt.NDArray[np.float64]:
        return np.array(self._answers[index]["source_mm"])

    def parameters(self, index: int) -> NineParameters:
        answer = self._answers[index]
        gantry, out_of_plane, in_plane = (float(angle) for angle in np.degrees(answer["angles_rad"]))
        panel_x, panel_y, source_x, source_y = answer["offsets"]
        return NineParameters(
            *answer["distances"], gantry, panel_x, panel_y, out_of_plane, in_plane, source_x, source_y
        )


@pytest.fixture(scope="module")
def rtk() -> Iterator[Rtk]:
    if importlib.util.find_spec("itk") is None:
        pytest.skip("the cone-beam toolkit RTK (itk-rtk) is not installed: make peers")
    with subprocess.Popen(
        [sys.executable, str(PEER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert json.loads(process.stdout.readline()) == "ready"
        yield Rtk(process)
        process.stdin.close()
        process.wait(30)


def random_parameters(count: int, *, on_axis: bool = False) -> list[NineParameters]:
    rng = np.random.default_rng(61217)
    made = []
    for _ in range(count):
        sid = rng.uniform(500, 2500)
        sdd = sid + rng.uniform(0, 1000) if on_axis else rng.uniform(100, 3500)
        offsets = np.zeros(2) if on_axis else rng.uniform(-100, 100, 2)
        gantry, in_plane = rng.uniform(-720, 720), rng.uniform(-360, 360)
        values = (sid, sdd, gantry, *rng.uniform(-200, 200, 2), rng.uniform(-85, 85), in_plane, *offsets)
        made.append(NineParameters(*(float(value) for value in values)))
    return made


def relative_difference(found: npt.NDArray[np.float64], expected: npt.NDArray[np.float64]) -> float:
    """Row by row of the rotating part, and the last column by itself: its elements are a thousand times larger."""
    off = np.abs(found - expected)
    turning = off[:, :3].max(axis=1) / np.abs(expected[:, :3]).max(axis=1)
    return float(max(turning.max(), off[:, 3].max() / np.abs(expected[:, 3]).max()))


def test_matrices_of_random_parameters(rtk: Rtk) -> None:
    worst = 0.0
    for parameters in random_parameters(GEOMETRIES):
        worst = max(worst, relative_difference(parameters.matrix(), rtk.matrix(rtk.add(parameters))))
    assert worst <= RELATIVE


WILD = [  # the parameter sets of RTK's own test of its geometry file: angles of many turns, lengths of many metres
    (615.0, 548.0, 36.0, 1.3, 1.57, 15.4, 13.48, 5.42, 7.56),
    (615.0, 15.0, -8.0, 1.3, 1.57, 15.4, 13.48, 5.42, 7.56),
    (354.0, 873.0, 3218.0, 354.4, 6587.1, 0.483, 384.4, 6874.4, 384.4),
    (1869.0, 6987.0, 684.0, 681.0, -45.1, 6548.1, 6547.0, 0.214, 0.217),
    (1532.0, 3218.0, 98732.0, -184.5, 548.1, -659.4, 123.4, 87.4, -15476.0),
    (578.0, 68.0, 9879.0, -38.4, 2158.4, -158.4, -43.3, 3218.4, 325.4),
]


@pytest.mark.parametrize("values", WILD)
def test_matrices_of_wild_parameters(rtk: Rtk, values: tuple[float, ...]) -> None:
    parameters = NineParameters(*values)
    theirs = rtk.matrix(rtk.add(parameters))
    assert relative_difference(parameters.matrix(), theirs) <= RELATIVE
    assert relative_difference(parameters.wrapped().matrix(), theirs) <= RELATIVE
    parameters.require_matrix(theirs)


def test_matrices_of_machine_axes_with_pitch_and_receptor_angle(rtk: Rtk) -> None:
    """From RT Image terms to RTK's parameters: receptor translation in rotated axes, pitch as out-of-plane angle."""
    worst = 0.0
    for parameters in random_parameters(GEOMETRIES, on_axis=True):
        axis = parameters.to_axis()
        geometry = ProjectionGeometry.from_axis(axis, PixelGrid(2, 2, 1.0, 1.0, (0.0, 0.0)))
        index = rtk.add(NineParameters.from_axis(axis))
        # our matrix gives rows downwards and a positive distance, theirs Yr upwards and a negative one
        ours = np.diag([-1.0, 1.0, -1.0]) @ geometry.projection_matrix()
        worst = max(worst, relative_difference(ours, rtk.matrix(index)))
        np.testing.assert_allclose(rtk.source_mm(index), geometry.source_mm, atol=1e-9)
    assert worst <= RELATIVE


def test_any_source_and_receptor_by_their_vectors(rtk: Rtk) -> None:
    """RTK decomposes source, receptor origin and axes on its own; the parameters it finds make the same matrix."""
    worst = 0.0
    for parameters in random_parameters(GEOMETRIES):
        geometry = parameters.to_geometry(GRID)
        rotation, origin = geometry.fixed_from_receptor.rotation, geometry.fixed_from_receptor.translation_mm
        index = rtk.add_vectors(geometry.source_mm, origin, rotation[:, 0], rotation[:, 1])
        ours = NineParameters.from_geometry(geometry)
        worst = max(worst, relative_difference(ours.matrix(), rtk.matrix(index)))
        theirs = rtk.parameters(index)
        np.testing.assert_allclose(ours.wrapped().values[:2], theirs.values[:2], rtol=1e-9)
        np.testing.assert_allclose(theirs.matrix(), ours.matrix(), rtol=0, atol=1e-9 * np.abs(ours.matrix()).max())
    assert worst <= RELATIVE


def test_angles_wrap_as_theirs_do(rtk: Rtk) -> None:
    """In [0, 360) degrees; theirs were radians in between (16 digits of up to 720 degrees)."""
    for parameters in random_parameters(GEOMETRIES):
        theirs = rtk.parameters(rtk.add(parameters))
        difference = np.array(parameters.wrapped().values) - theirs.values
        assert np.abs((difference + 180.0) % 360.0 - 180.0).max() < 1e-9
        assert all(0.0 <= theirs.values[place] < 360.0 for place in (2, 5, 6))


@pytest.mark.parametrize("gantry", [0.0, 90.0, 180.0, 270.0, 359.999, -45.0, 725.0])
def test_points_land_on_the_same_pixels(rtk: Rtk, gantry: float) -> None:
    """Pixels by way of an image whose first pixel is the upper left, columns along -Yr."""
    geometry = ProjectionGeometry.from_axis(ImagerAxis(gantry, 1000.0, 1536.0, (-117.0, -1.0), 2.0), GRID)
    index = rtk.add(NineParameters.from_geometry(geometry))
    points = np.random.default_rng(5).uniform(-100, 100, (50, 3))
    homogeneous = np.c_[points, np.ones(50)] @ rtk.matrix(index).T
    x, y = (homogeneous[:, :2] / homogeneous[:, 2:]).T
    pixels = np.stack([(x - GRID.first_pixel_mm[0]) / 0.388, (GRID.first_pixel_mm[1] - y) / 0.4], axis=1)
    np.testing.assert_allclose(geometry.project(points), pixels, atol=1e-8)


def test_a_wrong_sign_would_be_seen(rtk: Rtk) -> None:
    """The comparison above can fail: a panel tilted the other way is far outside the tolerance."""
    parameters = NineParameters(1000.0, 1500.0, 30.0, 5.0, 6.0, 4.0, 3.0)
    other = NineParameters(1000.0, 1500.0, 30.0, 5.0, 6.0, -4.0, 3.0)
    assert relative_difference(other.matrix(), rtk.matrix(rtk.add(parameters))) > 1e-3


def test_pair_fixed_in_the_room(rtk: Rtk) -> None:
    pose = Pose(Fixed, XrayImageReceptor, np.eye(3), (10.0, 20.0, -600.0))
    geometry = ProjectionGeometry(np.array([50.0, -40.0, 900.0]), pose, GRID)
    index = rtk.add(NineParameters.from_geometry(geometry))
    np.testing.assert_allclose(rtk.source_mm(index), (50.0, -40.0, 900.0), atol=1e-9)
