"""Solids against fine sampling of their definitions, and the couch top against its drawing."""

from __future__ import annotations

import numpy as np
import pytest

from isoalign.geometry import ImagerAxis, PixelGrid, ProjectionGeometry
from isoalign.records import InvalidRecord
from isoalign.simulators.materials import CARBON_FIBRE, RIGID_FOAM, Mixture
from isoalign.simulators.raycast import DetectorRays
from isoalign.simulators.solids import Cylinder, Polyhedron, Solid, Sphere, add_solids_areal_density, couch_top

WATER = Mixture(1.0, 0.0)
GEOMETRY = ProjectionGeometry.from_axis(
    ImagerAxis(20.0, 300.0, 500.0, (5.0, -9.0), 12.0), PixelGrid.centred(48, 40, 3.2)
)
TETRAHEDRON = np.array([[-1.0, 0, 0, 10], [0, -1, 0, 12], [0, 0, -1, 8], [0.6, 0.5, 0.62, 15]])


def image_of(*solids: Solid, geometry: ProjectionGeometry = GEOMETRY) -> np.ndarray:
    rays = DetectorRays.of(geometry)
    out = np.zeros((rays.rows, rays.columns, 2))
    add_solids_areal_density(solids, rays, out)
    return out


def sampled(inside: object, geometry: ProjectionGeometry = GEOMETRY, count: int = 20_000) -> np.ndarray:
    """Mass per area of a body of unit density by sampling its definition along every sixth ray."""
    pixels = geometry.pixel_centres_mm()[::6, ::6]
    t = (np.arange(count) + 0.5) / count
    out = np.zeros(pixels.shape[:2])
    for at in np.ndindex(out.shape):
        way = pixels[at] - geometry.source_mm
        out[at] = inside(geometry.source_mm + t[:, None] * way).mean() * np.linalg.norm(way) * 0.1  # type: ignore[operator]
    return out


SPHERE = Sphere(np.array([4.0, -6.0, 9.0]), 21.0, WATER)
CYLINDER = Cylinder(np.array([-20.0, 5.0, 0.0]), np.array([25.0, -14.0, 18.0]), 17.0, WATER)
AXIS = (CYLINDER.end_mm - CYLINDER.begin_mm) / np.linalg.norm(CYLINDER.end_mm - CYLINDER.begin_mm)


def in_cylinder(points: np.ndarray) -> np.ndarray:
    along = (points - CYLINDER.begin_mm) @ AXIS
    across = np.linalg.norm(points - CYLINDER.begin_mm - along[:, None] * AXIS, axis=1)
    return (along >= 0) & (along <= np.linalg.norm(CYLINDER.end_mm - CYLINDER.begin_mm)) & (across <= 17.0)


@pytest.mark.parametrize(
    ("solid", "inside"),
    [
        (SPHERE, lambda p: np.linalg.norm(p - SPHERE.centre_mm, axis=1) <= 21.0),
        (CYLINDER, in_cylinder),
        (
            Polyhedron.box((-11, -20, -7), (30, 9, 16), WATER),
            lambda p: ((p >= (-11, -20, -7)) & (p <= (30, 9, 16))).all(axis=1),
        ),
        (Polyhedron(TETRAHEDRON, WATER), lambda p: (p @ TETRAHEDRON[:, :3].T <= TETRAHEDRON[:, 3]).all(axis=1)),
    ],
)
def test_chords_against_sampling(solid: Solid, inside: object) -> None:
    seen = image_of(solid)[::6, ::6, 0]
    expected = sampled(inside)
    assert (expected > 0.5).sum() > 3
    assert (expected == 0).sum() > 3
    assert np.abs(seen - expected).max() < 0.008  # sampling steps of 0.03 mm at both ends


def test_sphere_through_the_middle_is_its_diameter() -> None:
    geometry = ProjectionGeometry.from_axis(ImagerAxis(0.0, 1000.0, 1500.0), PixelGrid.centred(3, 3, 1.0))
    seen = image_of(Sphere(np.zeros(3), 4.0, Mixture(2.0, 0.5)), geometry=geometry)
    assert seen[1, 1] == pytest.approx([2.0 * 0.8, 0.5 * 0.8], abs=1e-12)


def test_the_shadow_window_loses_nothing() -> None:
    for centre in ((0, 0, 0), (40, -30, 60), (-60, 50, -80), (110, 80, 0), (0, 500, 0)):
        ball = Sphere(np.array(centre, dtype=float), 13.0, WATER)
        # a cube around it hides the ball from the shortcut: without it, every pixel is looked at
        slow = sampled(lambda p, c=ball.centre_mm: np.linalg.norm(p - c, axis=1) <= 13.0, count=4000)
        assert np.abs(image_of(ball)[::6, ::6, 0] - slow).max() < 0.04


def test_a_hole_takes_away_what_the_full_body_adds() -> None:
    full, hole = (
        Polyhedron.box((-20, -20, -20), (20, 20, 20), WATER),
        Polyhedron.box((-19, -19, -19), (19, 19, 19), -WATER),
    )
    shell = image_of(full, hole)
    assert shell.min() > -1e-12
    assert 0.19 < shell[24, 20, 0] < 0.26  # two walls of 1 mm, slightly slanted


def shifted(solids: tuple[Solid, ...], by_mm: tuple[float, ...]) -> list[Solid]:
    planes = [one.planes for one in solids if isinstance(one, Polyhedron)]
    moved = [np.column_stack([one[:, :3], one[:, 3] + one[:, :3] @ by_mm]) for one in planes]
    return [Polyhedron(one, solid.mixture) for one, solid in zip(moved, solids, strict=True)]


def test_couch_top_from_above() -> None:
    geometry = ProjectionGeometry.from_axis(ImagerAxis(0.0, 1000.0, 1500.0), PixelGrid.centred(3, 301, 1.0))
    # the isocentre 120 mm above the table top, 700 mm from its head end
    moved = shifted(couch_top(), (0.0, 700.0, -120.0))
    assert len(moved) == len(couch_top())
    profile = image_of(*moved, geometry=geometry)[1, :, 0]
    plate = 0.4 * CARBON_FIBRE.water_g_cm3 + 4.6 * RIGID_FOAM.water_g_cm3
    assert profile[150] == pytest.approx(plate, rel=1e-3)  # two skins of 2 mm and 46 mm of foam
    assert profile[30:-30].min() > 0.9 * plate
    assert profile[0] == 0.0  # the edge of the couch lies inside the field
    assert profile[:80].max() > 1.5 * plate  # a rail on each side, inside the field
    assert profile[-80:].max() > 1.5 * plate
    assert np.allclose(profile, profile[::-1], atol=1e-9)


def test_nothing_of_the_couch_top_is_above_its_surface() -> None:
    geometry = ProjectionGeometry.from_axis(ImagerAxis(90.0, 1000.0, 1500.0), PixelGrid.centred(3, 3, 1.0))
    raised = shifted(couch_top(), (0.0, 0.0, -2.0))
    assert not image_of(*raised, geometry=geometry).any()


def test_solids_that_make_no_sense_are_refused() -> None:
    with pytest.raises(InvalidRecord, match="radius"):
        Sphere(np.zeros(3), 0.0, WATER)
    with pytest.raises(InvalidRecord, match="positive radius and length"):
        Cylinder(np.zeros(3), np.zeros(3), 1.0, WATER)
    with pytest.raises(InvalidRecord, match="low corner"):
        Polyhedron.box((0, 0, 0), (1, 0, 1), WATER)
