"""A procedural head for demonstrations and tests: CT, structures, isocentre and marker seeds.

Built from formulas and a seed; no patient's data. Adult size, head first supine, cut through the neck. Left and right,
front and back, top and bottom differ, so a mirrored image or a wrong axis cannot pass for the right one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import contourpy
import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter, zoom

from isoalign.geometry import Array, PatientPosition
from isoalign.records import Structure, Volume, frozen_array
from isoalign.simulators import phantom_anatomy as anatomy
from isoalign.simulators.phantom_canvas import Canvas, Field

SHAPE = (200, 222, 184)
SPACING_MM = (1.0, 1.0, 1.25)
LOW_MM = (-91.5, -115.5, -165.0)
ORIGIN_MM = (-78.5, -291.0, -512.5)
"""Centre of the first voxel in the DICOM patient frame; the scanner's origin lies outside the head."""

TARGET_CENTRE_MM = (15.0, 0.0, -14.0)
TARGET_RADII_MM = (16.0, 17.0, 15.0)
MARKERS_MM = ((40.5, -21.5, 16.25), (-26.5, 33.5, 3.75), (7.5, -39.5, 2.5), (31.5, 37.5, -23.75))
MARKER_RADIUS_MM = 1.5
NOISE_HU = 6.0
UID_ROOT = 0x1505_A116_4EAD_4000_8000_0000_0000_0000
"""UUID (version 4 form) of seed 0, for UIDs under 2.25."""

BODY_POINTS = 160


@dataclass(frozen=True, slots=True)
class PhantomCase:
    """The built-in case.

    Attributes
    ----------
    volume : Volume
        CT of the head, HFS.
    structures : tuple of Structure
        BODY, BRAIN, PTV, ISO and the markers.
    isocentre_mm : ndarray, shape (3,)
        DICOM patient frame.
    marker_centres_mm : ndarray, shape (4, 3)
        DICOM patient frame.
    """

    volume: Volume
    structures: tuple[Structure, ...]
    isocentre_mm: Array
    marker_centres_mm: Array

    def __post_init__(self) -> None:
        object.__setattr__(self, "isocentre_mm", frozen_array(self.isocentre_mm, (3,), "isocentre"))
        object.__setattr__(self, "marker_centres_mm", frozen_array(self.marker_centres_mm, (None, 3), "markers"))


def head_phantom(
    seed: int = 0, *, frame_of_reference_uid: str | None = None, series_instance_uid: str = ""
) -> PhantomCase:
    """Build the head.

    Parameters
    ----------
    seed : int
        Texture, noise and small anatomical variations; the same seed gives the same CT numbers.
    frame_of_reference_uid : str, optional
        By default a UID under 2.25 that follows from the seed.
    series_instance_uid : str
    """
    rng = np.random.default_rng([seed, 7])
    canvas = Canvas.empty(LOW_MM, SPACING_MM, SHAPE)
    fine, coarse = _textures(rng)
    skin = anatomy.skin_distance(canvas)
    everything = canvas.window(LOW_MM, (1e3, 1e3, 1e3))
    canvas.paint(everything, skin, anatomy.SOFT + 20.0)
    canvas.paint(everything, skin + np.float32(2.2), anatomy.FAT + 25.0 * fine)
    muscle = skin + 5.0 + 1.6 * coarse
    canvas.paint(everything, muscle, np.where(coarse > 1.25, anatomy.FAT, anatomy.SOFT) + 8.0 * fine)
    cavity, cavity_window = anatomy.cranium(canvas, fine)
    block = canvas.hounsfield[cavity_window]
    block += np.where(cavity < -1.0, 9.0 * coarse[cavity_window] + 5.0 * fine[cavity_window], np.float32(0.0))
    anatomy.brain(canvas)
    anatomy.skull_base(canvas, rng)
    anatomy.surgery(canvas)
    anatomy.face(canvas)
    anatomy.neck(canvas, rng)
    anatomy.jaws(canvas)
    hounsfield = canvas.hounsfield
    hounsfield *= np.where((hounsfield > 250.0) & (hounsfield < 2000.0), 1.0 + 0.09 * fine, np.float32(1.0))
    hounsfield += np.float32(NOISE_HU) * rng.standard_normal(SHAPE, dtype=np.float32) * (hounsfield > -900.0)
    for centre in MARKERS_MM:
        canvas.ellipsoid(centre, (MARKER_RADIUS_MM,) * 3, 3071.0)
    volume = Volume(
        hounsfield=np.rint(np.clip(hounsfield, -1000, 3071)).astype(np.int16),
        origin_mm=np.array(ORIGIN_MM),
        spacing_mm=np.array(SPACING_MM),
        axes=np.eye(3),
        frame_of_reference_uid=frame_of_reference_uid or f"2.25.{UID_ROOT + seed}",
        patient_position=PatientPosition.HFS,
        series_instance_uid=series_instance_uid,
    )
    brain = np.full(SHAPE, 1.0, dtype=np.float32)
    brain[cavity_window] = cavity
    markers = to_dicom_mm(MARKERS_MM)
    isocentre = to_dicom_mm(TARGET_CENTRE_MM)
    structures = (
        Structure(1, "BODY", "EXTERNAL", "CLOSED_PLANAR", _contours(skin)),
        Structure(2, "BRAIN", "ORGAN", "CLOSED_PLANAR", _contours(brain + np.float32(1.0))),
        Structure(3, "PTV", "PTV", "CLOSED_PLANAR", _target_contours()),
        Structure(4, "ISO", "ISOCENTER", "POINT", (isocentre[None],)),
        *(
            Structure(5 + number, f"MARKER{number + 1}", "MARKER", "POINT", (centre[None],))
            for number, centre in enumerate(markers)
        ),
    )
    return PhantomCase(volume, structures, isocentre, markers)


def volume_without_markers(case: PhantomCase) -> Volume:
    """The CT of a head with its own markers replaced by tissue."""
    hounsfield = case.volume.hounsfield.copy()
    for centre in case.marker_centres_mm:
        x, y, z = np.rint(np.linalg.solve(case.volume.dicom_from_index, np.append(centre, 1.0))[:3]).astype(int)
        block = hounsfield[z - 3 : z + 4, y - 3 : y + 4, x - 3 : x + 4]
        block[block > 1000] = 35
    return replace(case.volume, hounsfield=hounsfield)


def to_dicom_mm(phantom_mm: npt.ArrayLike) -> Array:
    """From the phantom's own coordinates to the DICOM patient frame, (..., 3) mm."""
    inside: Array = np.asarray(phantom_mm, dtype=np.float64) - np.array(LOW_MM)
    return np.asarray(inside + np.array(ORIGIN_MM))


def _textures(rng: np.random.Generator) -> tuple[Field, Field]:
    """Two band-limited noise fields of unit variance: fine (about 3 mm) and coarse (about 14 mm)."""
    fields = []
    for step, width in ((1, 1.0), (4, 1.2)):
        small = tuple(-(-length // step) + 1 for length in SHAPE)
        noise = gaussian_filter(rng.standard_normal(small, dtype=np.float32), width)
        if step > 1:
            noise = zoom(noise, step, order=1, grid_mode=True, mode="nearest")
        noise = noise[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
        fields.append((noise / noise.std()).astype(np.float32))
    return fields[0], fields[1]


def _contours(distance_mm: Field) -> tuple[Array, ...]:
    """The longest closed outline of a signed distance in every slice, DICOM patient frame."""
    found = []
    for number, slice_mm in enumerate(distance_mm):
        if slice_mm.min() >= 0:
            continue
        padded = np.pad(slice_mm, 1, constant_values=float(SPACING_MM[0]))
        lines = contourpy.contour_generator(z=padded, line_type=contourpy.LineType.Separate).lines(0.0)
        outline = max((np.asarray(line, dtype=np.float64) for line in lines), key=len)[:-1] - 1.0
        if len(outline) < 8:
            continue
        outline = outline[:: max(1, len(outline) // BODY_POINTS)]
        heights = np.full(len(outline), float(number))
        index = np.column_stack([outline, heights])
        found.append(np.round(np.array(ORIGIN_MM) + index * np.array(SPACING_MM), 2))
    return tuple(found)


def _target_contours() -> tuple[Array, ...]:
    """Ellipses through the target, exact, one in every slice that it meets."""
    centre, radii = to_dicom_mm(TARGET_CENTRE_MM), np.array(TARGET_RADII_MM)
    angle = np.linspace(0.0, 2.0 * np.pi, 72, endpoint=False)
    found = []
    for number in range(SHAPE[0]):
        height = ORIGIN_MM[2] + number * SPACING_MM[2]
        rest = 1.0 - ((height - centre[2]) / radii[2]) ** 2
        if rest > 0.01:
            size = np.sqrt(rest) * radii[:2]
            ring = [centre[0] + size[0] * np.cos(angle), centre[1] + size[1] * np.sin(angle)]
            found.append(np.round(np.column_stack([*ring, np.full(angle.size, height)]), 2))
    return tuple(found)
