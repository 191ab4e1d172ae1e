"""Cone-beam reconstruction after Feldkamp, Davis and Kress, one projection at a time.

Source: L. A. Feldkamp, L. C. Davis, J. W. Kress, "Practical cone-beam algorithm", J. Opt. Soc. Am. A 1 (1984) 612.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from isoalign.geometry import Array, DicomPatient, Fixed, PatientPosition, Pose, ProjectionGeometry
from isoalign.imaging.attenuation import WATER_PER_MM
from isoalign.imaging.compiled import kernel_lock
from isoalign.imaging.cone_beam.arc import (
    FULL_TURN_DEG,
    WIDEST_GAP_DEG,
    ScanArc,
    displaced_weights,
    short_scan_weights,
)
from isoalign.imaging.cone_beam.errors import (
    AnglesOutOfOrder,
    ArcTooShort,
    DetectorTooFarAside,
    TooFewProjections,
    UnusableProjection,
    UnusableReconstruction,
)
from isoalign.imaging.cone_beam.grid import ReconstructionGrid
from isoalign.imaging.cone_beam.hounsfield import HounsfieldCalibration
from isoalign.imaging.cone_beam.kernels import (
    SLICES,
    backproject,
    resample,
    tabulate,
    to_hounsfield_slices,
    to_slices,
)
from isoalign.imaging.cone_beam.ramp import RampFilter, continued, filter_length, filtered
from isoalign.imaging.cone_beam.views import View, source_angle_deg, view_of
from isoalign.records import Volume

Float32 = npt.NDArray[np.float32]

FEWEST_PROJECTIONS = 16
DISPLACED_FROM = 0.1
"""Part of the panel's width by which its middle lies aside of the central ray from which on it counts as displaced."""
FEWEST_OVERLAP_COLUMNS = 3
OVERLAP_MARGIN_COLUMNS = 1
BATCH = 8
"""Projections that are backprojected together."""
DEPTH_STEP_ROWS = 0.2
"""Shift, in detector rows, between neighbouring depths of the table; adds under 0.1 % to the error at edges."""
MOST_TABLE_ELEMENTS = 2**26


@dataclass(frozen=True, slots=True)
class ReconstructionSettings:
    """How to filter.

    Attributes
    ----------
    ramp : RampFilter
    truncation_correction : bool
        Continue rows that the body leaves by a water cylinder, so that the rim of the field of view stays even.
    """

    ramp: RampFilter = field(default_factory=RampFilter)
    truncation_correction: bool = False


PLAIN_SETTINGS = ReconstructionSettings()
NOMINAL_WATER = HounsfieldCalibration()


@dataclass(frozen=True, slots=True)
class _Filtered:
    """A filtered projection, columns contiguous, before its share of the arc is known."""

    along_deg: float
    view: View
    columns: Float32
    first_column_mm: float


class ConeBeamReconstruction:
    """A reconstruction that grows with every projection.

    The result does not depend on when it is asked for, or on how many projections are added at a time: every voxel is
    one sum in the order of the rotation.

    Parameters
    ----------
    arc : ScanArc
        The rotation that the scan will make. A full turn weighs all projections alike (and blends the two sides of a
        displaced detector); a shorter arc gets short-scan weights.
    grid : ReconstructionGrid
    settings : ReconstructionSettings

    Notes
    -----
    Exact in the plane of the source only; with growing distance from it the axial density falls off (the cone-beam
    artefact of every circular scan). Each projection may have a geometry of its own: source and panel may wobble by
    millimetres and degrees about the circle.
    """

    def __init__(
        self, arc: ScanArc, grid: ReconstructionGrid, settings: ReconstructionSettings = PLAIN_SETTINGS
    ) -> None:
        self.arc = arc
        self.grid = grid
        self.settings = settings
        slices, rows, columns = grid.shape
        self._sum = _aligned((rows, columns, -(-slices // SLICES) * SLICES))
        self._table = np.zeros(0, np.float32)
        self._waiting: list[tuple[_Filtered, float]] = []
        self._first: _Filtered | None = None
        self._second_deg = math.nan
        self._last: _Filtered | None = None
        self._before_last_deg = math.nan
        self._steps_deg: list[float] = []
        self._panel: _Panel | None = None
        self._depths: list[int] = []

    @property
    def count(self) -> int:
        """How many projections were added."""
        return len(self._steps_deg) + (self._first is not None)

    @property
    def covered_deg(self) -> float:
        """How much of the arc was seen so far, degrees."""
        return 0.0 if self._first is None or self._last is None else self._last.along_deg - self._first.along_deg

    def add(self, line_integrals: Float32, geometry: ProjectionGeometry) -> None:
        """Add the next projection of the rotation.

        Parameters
        ----------
        line_integrals : ndarray, shape (rows, columns)
        geometry : ProjectionGeometry
            Where source and panel stood, as calibrated for this angle.

        Raises
        ------
        UnusableProjection
            On a wrong shape, NaN or infinite values, or an image without any contrast.
        AnglesOutOfOrder, TooFewProjections, ArcTooShort, DetectorTooFarAside, UnusableScanGeometry
        """
        image = _checked(line_integrals, geometry)
        view = view_of(geometry)
        along = self._along(geometry)
        if self._panel is None:
            self._panel = _Panel.of(view, self.arc, self.settings)
        item = self._panel.filter(image, view, along)
        self._queue(item)

    def _along(self, geometry: ProjectionGeometry) -> float:
        angle = source_angle_deg(geometry)
        if self._last is None:
            along = self.arc.along_deg(angle, after_deg=0.0)
            slack = WIDEST_GAP_DEG
            if abs(along) > slack:
                raise AnglesOutOfOrder(
                    f"the first projection is at {angle:.2f} degrees, the arc starts at {self.arc.start_deg:g}"
                )
            return along
        along = self.arc.along_deg(angle, after_deg=self._last.along_deg)
        step = along - self._last.along_deg
        if step <= 1e-6 or along > self.arc.span_deg + 0.5:
            raise AnglesOutOfOrder(
                f"projection {self.count + 1} at source angle {angle:.2f} degrees does not follow the one before it "
                f"within the arc from {self.arc.start_deg:g} to {self.arc.stop_deg:g}",
                projection=self.count + 1,
            )
        if step > WIDEST_GAP_DEG:
            raise TooFewProjections(
                f"{step:.1f} degrees without a projection before source angle {angle:.2f} degrees; at most "
                f"{WIDEST_GAP_DEG:g} are allowed",
                gap_deg=step,
            )
        return along

    def _queue(self, item: _Filtered) -> None:
        """Keep the newest back until the next one tells its share of the arc; in a full turn the first as well."""
        last = self._last
        if last is None:
            self._first = item
        else:
            self._steps_deg.append(item.along_deg - last.along_deg)
            if last is self._first:
                self._second_deg = item.along_deg
                if not self.arc.is_full:
                    self._commit(last, (item.along_deg - last.along_deg) / 2)
            else:
                self._commit(last, (item.along_deg - self._before_last_deg) / 2)
            self._before_last_deg = last.along_deg
        self._last = item

    def _commit(self, item: _Filtered, share_deg: float) -> None:
        self._waiting.append((item, share_deg))
        if len(self._waiting) == BATCH:
            self._flush()

    def _flush(self) -> None:
        self._backproject(self._waiting, self._sum)
        self._waiting = []

    def _total(self, *, partial: bool) -> Float32:
        """The sum over all projections, those kept back included."""
        first, last = self._first, self._last
        if not partial:
            self._require_complete()
        self._flush()
        if first is None or last is None or last is first:
            return self._sum
        total = _aligned(self._sum.shape)
        np.copyto(total, self._sum)
        backwards = last.along_deg - self._before_last_deg
        if not self.arc.is_full:
            rest = [(last, backwards / 2)]
        else:
            open_deg = FULL_TURN_DEG - self.covered_deg
            closing = open_deg if open_deg <= WIDEST_GAP_DEG else 0.0
            rest = [
                (last, (backwards + closing) / 2),
                (first, (self._second_deg - first.along_deg + closing) / 2),
            ]
        self._backproject(rest, total)
        return total

    def _require_complete(self) -> None:
        if self.count < FEWEST_PROJECTIONS:
            raise TooFewProjections(f"{self.count} projections; a reconstruction needs {FEWEST_PROJECTIONS} or more")
        step = float(np.median(self._steps_deg))
        needed = self.arc.span_deg - (2.5 if self.arc.is_full else 1.5) * step
        if self.covered_deg < needed:
            raise ArcTooShort(
                f"the projections cover {self.covered_deg:.1f} degrees of an arc of {self.arc.span_deg:.1f}",
                hint="Go on adding projections, or ask for a partial result.",
                covered_deg=self.covered_deg,
            )

    def attenuation(self, *, partial: bool = False) -> Float32:
        """The reconstruction so far.

        Parameters
        ----------
        partial : bool
            Accept an arc that is not complete yet.

        Returns
        -------
        ndarray, shape (slices, rows, columns), float32
            Linear attenuation, 1/mm.

        Raises
        ------
        TooFewProjections, ArcTooShort
            When the arc is not complete and ``partial`` is not set.
        """
        total = self._total(partial=partial)
        out = np.empty(self.grid.shape, np.float32)
        with kernel_lock:
            to_slices(total, out)
        return out

    def volume(
        self,
        fixed_from_dicom: Pose[Fixed, DicomPatient],
        patient_position: PatientPosition,
        *,
        calibration: HounsfieldCalibration = NOMINAL_WATER,
        frame_of_reference_uid: str = "",
        partial: bool = False,
    ) -> Volume:
        """The reconstruction so far as a CT.

        Parameters
        ----------
        fixed_from_dicom : Pose[Fixed, DicomPatient]
            The patient frame in which the CT is to be told, in the room: usually where the plan wants it, so that the
            isocentre of the room is the plan's and a later match finds the set-up error.
        patient_position : PatientPosition
        calibration : HounsfieldCalibration
        frame_of_reference_uid : str
        partial : bool
            Accept an arc that is not complete yet.

        Raises
        ------
        TooFewProjections, ArcTooShort
        """
        total = self._total(partial=partial)
        hounsfield = np.empty(self.grid.shape, np.int16)
        with kernel_lock:
            water, air = calibration.water_per_mm, calibration.air_per_mm
            to_hounsfield_slices(total, water, water - air, hounsfield)
        hounsfield.setflags(write=False)
        origin, axes = self.grid.in_patient(fixed_from_dicom)
        return Volume(
            hounsfield, origin, np.array(self.grid.spacing_mm), axes, frame_of_reference_uid, patient_position
        )

    def _backproject(self, items: Sequence[tuple[_Filtered, float]], volume: Float32) -> None:
        """Add filtered projections with their shares of the arc to a sum."""
        if not items:
            return
        lines = np.stack([item.columns * np.float32(math.radians(share)) for item, share in items])
        described = np.array([self._describe(item) for item, _ in items])
        nearest, farthest = described[:, 7], described[:, 8]
        slice_mm = self.grid.steps_mm[1, 2] * np.arange(volume.shape[2]) + self.grid.origin_mm[1]
        for first in range(0, volume.shape[2], SLICES):
            heights = slice_mm[first : first + SLICES]
            scale = np.array([-one.view.sid_mm / one.view.row_spacing_mm for one, _ in items])
            levels = np.array([one.view.source_mm[1] for one, _ in items])
            steps = scale[:, None] * (heights - levels[:, None])
            depths = self._depths_of(first // SLICES, float(np.abs(steps[0]).max() * (farthest[0] - nearest[0])))
            one_size = depths * lines.shape[1] * SLICES
            at_once = max(1, MOST_TABLE_ELEMENTS // one_size)
            for start in range(0, len(items), at_once):
                part = slice(start, start + at_once)
                views = described[part].copy()
                views[:, 8] = (depths - 1) / (farthest[part] - nearest[part])
                inverse = np.linspace(nearest[part], farthest[part], depths, axis=1)
                rows = np.array([one.view.first_pixel_mm[1] / one.view.row_spacing_mm for one, _ in items[part]])
                table = self._table_of((len(views), depths, lines.shape[1], SLICES))
                with kernel_lock:
                    tabulate(lines[part], rows, steps[part], inverse, table)
                    backproject(table, views, first, volume)

    def _depths_of(self, block: int, spread_rows: float) -> int:
        """How many depths the table of a block of slices has: as its first view needs, and the same ever after."""
        if block == len(self._depths):
            self._depths.append(max(2, math.ceil(spread_rows / DEPTH_STEP_ROWS) + 1))
        return self._depths[block]

    def _table_of(self, shape: tuple[int, int, int, int]) -> Float32:
        size = math.prod(shape)
        if self._table.size < size:
            self._table = _aligned((size,))
        return self._table[:size].reshape(shape)

    def _describe(self, item: _Filtered) -> Array:
        """Depth and column of the voxel lines of a view, and the range of 1 / depth over the grid (nine numbers)."""
        view, grid = item.view, self.grid
        from_source = grid.origin_mm - view.source_mm
        steps = grid.steps_mm
        depth = np.array([from_source @ view.away, steps[:, 1] @ view.away, steps[:, 0] @ view.away])
        across = np.array(
            [from_source @ view.along_columns, steps[:, 1] @ view.along_columns, steps[:, 0] @ view.along_columns]
        )
        across *= view.sid_mm / view.column_spacing_mm
        _, rows, columns = grid.shape
        corners = (
            depth[0]
            + np.array([0, rows - 1, 0, rows - 1]) * depth[1]
            + np.array([0, 0, 1, 1]) * (columns - 1) * depth[2]
        )
        if corners.min() <= 0.05 * view.sad_mm:
            raise UnusableReconstruction(
                f"the reconstruction grid reaches to {corners.min():.0f} mm before the source; make it smaller"
            )
        first_column = -item.first_column_mm / view.column_spacing_mm
        return np.array([*depth, *across, first_column, 1.0 / corners.max(), 1.0 / corners.min()])


@dataclass(frozen=True, slots=True)
class _Panel:
    """What all projections of a scan share: redundancy, columns to add at either side, the filter."""

    arc: ScanArc
    overlap_deg: float | None
    towards_columns: bool
    shape: tuple[int, int]
    before: int
    after: int
    water_cylinder: bool
    response: Array

    @classmethod
    def of(cls, view: View, arc: ScanArc, settings: ReconstructionSettings) -> _Panel:
        first, last = (float(value) for value in view.columns_mm[[0, -1]])
        aside = (first + last) / 2
        before = after = 0
        overlap: float | None = None
        if abs(aside) > DISPLACED_FROM * (last - first):
            overlap = _overlap_deg(view, arc, min(-first, last))
            missing = round(2 * abs(aside) / view.column_spacing_mm)
            before, after = (missing, 0) if aside > 0 else (0, missing)
        elif not arc.is_full:
            widest = float(np.abs(view.fan_deg).max())
            if (arc.span_deg - 180.0) / 2 < widest:
                raise ArcTooShort(
                    f"an arc of {arc.span_deg:.1f} degrees is shorter than the {180 + 2 * widest:.1f} that a fan of "
                    f"{2 * widest:.1f} degrees needs"
                )
        if settings.truncation_correction:
            more = view.columns // 2
            before, after = (
                max(before, more * (aside <= 0 or overlap is None)),
                max(after, more * (aside >= 0 or overlap is None)),
            )
        response = settings.ramp.response(filter_length(before + view.columns + after))
        shape = (view.rows, view.columns)
        return cls(arc, overlap, aside > 0, shape, before, after, settings.truncation_correction, response)

    def filter(self, image: Float32, view: View, along_deg: float) -> _Filtered:
        """Resample, weigh and filter one projection."""
        if (view.rows, view.columns) != self.shape:
            raise UnusableProjection(f"a projection of {(view.rows, view.columns)} pixels in a scan of {self.shape}")
        if view.from_view is not None:
            resampled = np.empty(self.shape, np.float32)
            with kernel_lock:
                resample(np.ascontiguousarray(image), view.from_view, resampled)
            image = resampled
        across, upwards = view.columns_mm, view.rows_mm[:, None]
        weights = view.sid_mm / np.sqrt(view.sid_mm**2 + across**2 + upwards**2)
        weights *= self._redundancy(view, along_deg)
        rows = np.asarray(image * weights, dtype=np.float32)
        pixel_mm = view.column_spacing_mm * view.sad_mm / view.sid_mm
        if self.water_cylinder:
            share = 0.5 if self.arc.is_full and self.overlap_deg is None else 1.0
            rows = continued(rows, self.before, self.after, pixel_mm, WATER_PER_MM * share)
            if self.overlap_deg is not None:  # towards the missing side the weights have ended the row already
                rows[:, : self.before] *= not self.towards_columns
                rows[:, rows.shape[1] - self.after :] *= self.towards_columns
        elif self.before or self.after:
            rows = np.pad(rows, ((0, 0), (self.before, self.after)))
        out = filtered(rows, self.response)
        # 1 / depth^2 is left to the backprojection
        out *= np.float32(view.sad_mm**2 / pixel_mm)
        first_mm = view.first_pixel_mm[0] - self.before * view.column_spacing_mm
        return _Filtered(along_deg, view, np.ascontiguousarray(out.T), first_mm)

    def _redundancy(self, view: View, along_deg: float) -> Array | float:
        if self.overlap_deg is not None:
            return displaced_weights(view.fan_deg, self.overlap_deg, towards_columns=self.towards_columns)
        if self.arc.is_full:
            return 0.5
        return short_scan_weights(self.arc, along_deg, view.fan_deg)


def _overlap_deg(view: View, arc: ScanArc, reach_mm: float) -> float:
    """Fan angle up to which a displaced detector sees both sides."""
    if not arc.is_full:
        raise ArcTooShort(f"a displaced detector needs a full turn, not an arc of {arc.span_deg:.1f} degrees")
    if reach_mm < FEWEST_OVERLAP_COLUMNS * view.column_spacing_mm:
        raise DetectorTooFarAside(f"the panel reaches {reach_mm:.1f} mm beyond the rotation axis, which is too little")
    return math.degrees(math.atan2(reach_mm - OVERLAP_MARGIN_COLUMNS * view.column_spacing_mm, view.sid_mm))


def _checked(line_integrals: Float32, geometry: ProjectionGeometry) -> Float32:
    image = np.asarray(line_integrals, dtype=np.float32)
    grid = geometry.grid
    if image.shape != (grid.rows, grid.columns) or min(image.shape) < 4:
        raise UnusableProjection(f"a projection of {image.shape} pixels; the geometry has {(grid.rows, grid.columns)}")
    low, high = float(image.min()), float(image.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise UnusableProjection("a projection holds NaN or infinite values")
    if low == high:
        raise UnusableProjection(f"every pixel of a projection is {low:g}: it shows nothing")
    return image


def _aligned(shape: tuple[int, ...]) -> Float32:
    """Zeros that start at a cache line, so that no vector load crosses one."""
    size = math.prod(shape)
    buffer = np.zeros(size + 16, np.float32)
    offset = (-buffer.ctypes.data // 4) % 16
    return buffer[offset : offset + size].reshape(shape)


Progress = Callable[[int, int], bool | None]
"""Called after each projection with how many are done and how many there are; returning False stops."""


def reconstruct(
    projections: Iterable[Float32],
    geometries: Sequence[ProjectionGeometry],
    grid: ReconstructionGrid,
    settings: ReconstructionSettings = PLAIN_SETTINGS,
    *,
    progress: Progress | None = None,
) -> ConeBeamReconstruction:
    """Reconstruct a finished scan.

    Parameters
    ----------
    projections : iterable of ndarray, shape (rows, columns)
        Line integrals in the order of the rotation.
    geometries : sequence of ProjectionGeometry
        One for each projection; the arc follows from them.
    grid : ReconstructionGrid
    settings : ReconstructionSettings
    progress : callable, optional
        May return False to stop; what was reconstructed until then is returned.

    Raises
    ------
    UnusableProjection, AnglesOutOfOrder, TooFewProjections, ArcTooShort, DetectorTooFarAside, UnusableScanGeometry,
    UnusableReconstruction
    """
    if len(geometries) < FEWEST_PROJECTIONS:
        raise TooFewProjections(f"{len(geometries)} projections; a reconstruction needs {FEWEST_PROJECTIONS} or more")
    growing = ConeBeamReconstruction(ScanArc.of(geometries), grid, settings)
    for number, (image, geometry) in enumerate(zip(projections, geometries, strict=True), start=1):
        growing.add(image, geometry)
        if progress is not None and progress(number, len(geometries)) is False:
            break
    return growing
