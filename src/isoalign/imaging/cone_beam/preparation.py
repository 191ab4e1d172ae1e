"""From the frames of a scan to line integrals, with places for what a panel and a patient add."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from isoalign.geometry import ProjectionGeometry
from isoalign.imaging.cone_beam.errors import UnusableReconstruction
from isoalign.imaging.detector import DetectorCalibration, corrected_frame, transmission_line_integrals
from isoalign.imaging.detector_lag import LagCorrection

Float32 = npt.NDArray[np.float32]
ScatterCorrection = Callable[[Float32, ProjectionGeometry], Float32]
"""Takes a corrected intensity image and its geometry, gives the image without scatter."""

LEAST_PRIMARY = 0.05
"""Part of the intensity that a scatter correction always leaves."""


@dataclass(frozen=True, slots=True)
class UniformScatter:
    """Scatter that is the same all over the image, from what passes the patient.

    Attributes
    ----------
    open_field : float
        Corrected intensity of the empty field.
    scatter_to_primary : float
        Ratio behind the patient.
    shadow : float
        Below this part of the open field a pixel is behind the patient.

    Raises
    ------
    UnusableReconstruction

    Notes
    -----
    Boellaard et al., Radiother. Oncol. 44 (1997) 149, with a constant ratio.
    """

    open_field: float
    scatter_to_primary: float
    shadow: float = 0.6

    def __post_init__(self) -> None:
        if not (self.open_field > 0 and self.scatter_to_primary >= 0 and 0 < self.shadow < 1):
            raise UnusableReconstruction(
                f"no scatter model: open field {self.open_field:g}, scatter to primary {self.scatter_to_primary:g}, "
                f"shadow {self.shadow:g}"
            )

    def __call__(self, intensity: Float32, geometry: ProjectionGeometry) -> Float32:  # noqa: ARG002 - one of many models
        """The image without its scatter."""
        behind = intensity[intensity < self.shadow * self.open_field]
        if behind.size == 0:
            return intensity
        scatter = float(behind.mean()) * self.scatter_to_primary / (1.0 + self.scatter_to_primary)
        return np.asarray(np.maximum(intensity - np.float32(scatter), LEAST_PRIMARY * intensity), dtype=np.float32)


class ProjectionPreparation:
    """Frames of one scan, in their order, to line integrals: offset, lag, gain, defects, scatter, logarithm.

    Parameters
    ----------
    open_field : array_like, scalar or shape (rows, columns)
        Intensity of the empty field at the dose of the scan, corrected as the frames are.
    detector : DetectorCalibration, optional
        None for frames that the panel has corrected itself.
    lag : LagCorrection, optional
        It keeps what earlier frames left behind, so it belongs to this scan alone.
    scatter : callable, optional
        A :data:`ScatterCorrection`.
    """

    def __init__(
        self,
        open_field: npt.ArrayLike,
        *,
        detector: DetectorCalibration | None = None,
        lag: LagCorrection | None = None,
        scatter: ScatterCorrection | None = None,
    ) -> None:
        self._open_field = np.asarray(open_field, dtype=np.float32)
        self._detector = detector
        self._lag = lag
        self._scatter = scatter

    def __call__(self, frame: npt.ArrayLike, geometry: ProjectionGeometry) -> Float32:
        """The line integrals of the next frame, shape (rows, columns).

        Raises
        ------
        UnusableFrame
        """
        image = np.asarray(frame, dtype=np.float32)
        if self._lag is not None:
            dark = np.float32(0.0) if self._detector is None else self._detector.dark
            image = self._lag(image - dark) + dark
        if self._detector is not None:
            image = corrected_frame(image, self._detector)
        if self._scatter is not None:
            image = self._scatter(image, geometry)
        return transmission_line_integrals(image, self._open_field)
