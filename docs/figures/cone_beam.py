"""Cone-beam CT: one projection, and slices of the reconstructions of several kinds of scan."""

from __future__ import annotations

import math
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt

from figures.conventions import save
from isoalign.geometry import ImagerAxis, PixelGrid, ProjectionGeometry
from isoalign.geometry.nine_parameter import NineParameters
from isoalign.imaging.cone_beam import ReconstructionGrid, reconstruct

PIXELS = PixelGrid.centred(48, 128, 2.0)
BODIES = [
    ((0.0, 0.0, 0.0), (65.0, 60.0, 52.0), 0.02),
    ((28.0, 0.0, 12.0), (12.0, 20.0, 12.0), 0.012),
    ((-25.0, 0.0, 18.0), (9.0, 20.0, 14.0), -0.014),
    ((-8.0, 0.0, -25.0), (3.0, 20.0, 3.0), 0.02),
]


def projection(geometry: ProjectionGeometry) -> npt.NDArray[np.float32]:
    """Exact line integrals of the ellipsoids."""
    ray = geometry.pixel_centres_mm() - geometry.source_mm
    length = np.linalg.norm(ray, axis=-1)
    image = np.zeros(length.shape)
    for centre, semi_axes, value in BODIES:
        start, along = (geometry.source_mm - np.array(centre)) / semi_axes, ray / semi_axes
        a, b, c = (along**2).sum(-1), along @ start, float(start @ start) - 1.0
        image += value * 2 * np.sqrt(np.clip(b * b - a * c, 0, None)) / a * length
    return image.astype(np.float32)


def arc(count: int, span: float, aside: float = 0.0) -> list[ProjectionGeometry]:
    return [
        ProjectionGeometry.from_axis(ImagerAxis(span * i / count, 1000.0, 1500.0, (aside, 0.0)), PIXELS)
        for i in range(count)
    ]


def wobbling(count: int) -> list[ProjectionGeometry]:
    made = []
    for number in range(count):
        angle = 2 * math.pi * number / count
        shift = (4.0 + 3.0 * math.cos(2 * angle), 3.0 * math.sin(angle))
        made.append(NineParameters(1000.0, 1500.0, math.degrees(angle), *shift, 0.5, 1.0).to_geometry(PIXELS))
    return made


def draw_cone_beam(path: Path) -> None:
    """Six pictures; slices from 0 to 0.035 /mm."""
    grid = ReconstructionGrid.centred((2, 140, 150), 1.0)
    moving, whole = wobbling(180), arc(180, 360.0)
    moved = [projection(one) for one in moving]
    scans = [
        ("whole turn", whole, whole),
        ("short scan, 210°", arc(105, 210.0), None),
        ("panel moved aside by 70 mm", arc(180, 360.0, 70.0), None),
        ("wobbling arc, calibrated", moving, moving),
        ("wobbling arc, taken for ideal", moving, whole),
    ]
    figure, axes = plt.subplots(2, 3, figsize=(10.0, 7.0))
    axes.flat[0].imshow(projection(whole[0]), cmap="gray")
    axes.flat[0].set_title("one projection", fontsize=9)
    for axis, (title, taken, assumed) in zip(axes.flat[1:], scans, strict=True):
        images = moved if taken is moving else [projection(one) for one in taken]
        found = reconstruct(images, assumed or taken, grid).attenuation()[1]
        axis.imshow(found, cmap="gray", vmin=0.0, vmax=0.035)
        axis.set_title(title, fontsize=9)
    for axis in axes.flat:
        axis.axis("off")
    figure.tight_layout()
    save(figure, path)
