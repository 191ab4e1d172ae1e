"""Errors of cone-beam reconstruction."""

from __future__ import annotations

from isoalign.errors import GeometryError, InputDataError


class UnusableProjection(InputDataError):
    """A projection of a scan has the wrong shape, holds NaN, or shows nothing."""

    code = "imaging.unusable-projection"
    default_hint = "Check the panel and the order of rows and columns, or leave the projection out."


class TooFewProjections(InputDataError):
    """A scan has too few projections, or a hole between two of them, for a reconstruction."""

    code = "imaging.too-few-projections"
    default_hint = "Acquire at least one projection every 12 degrees; one a degree or more is usual."


class ArcTooShort(InputDataError):
    """The projections of a scan do not cover the arc that a reconstruction needs."""

    code = "imaging.arc-too-short"
    default_hint = "A short scan needs 180 degrees and the fan angle; a displaced detector needs a full turn."


class AnglesOutOfOrder(InputDataError):
    """The projections of a scan do not follow its rotation."""

    code = "imaging.angles-out-of-order"
    default_hint = "Add projections in the order of rotation, each angle once, within the arc that was announced."


class DetectorTooFarAside(InputDataError):
    """A displaced detector does not see the rotation axis with a margin, so that there is no overlap to blend."""

    code = "imaging.detector-too-far-aside"
    default_hint = "Move the detector so that it reaches some centimetres beyond the rotation axis."


class MirroredGeometry(GeometryError):
    """A projection matrix belongs to a mirrored image."""

    code = "imaging.mirrored-geometry"
    default_hint = "Rows must run along +Xr and columns along -Yr, seen from the source; flip the image or the matrix."


class UnusableScanGeometry(GeometryError):
    """A projection matrix or the pose of source and panel cannot belong to a cone-beam scan about the Y axis."""

    code = "imaging.unusable-scan-geometry"
    default_hint = "Check units (mm, pixels), the frame (IEC fixed) and that the panel stands upright to the Y axis."


class UnusableReconstruction(InputDataError):
    """The grid, the filter or the arc that a reconstruction was asked for makes no sense."""

    code = "imaging.unusable-reconstruction"
    default_hint = "Check the numbers that the message names."


class UnusableWaterScan(InputDataError):
    """A scan of a water cylinder does not show water where it was said to be."""

    code = "imaging.unusable-water-scan"
    default_hint = "Check position and radius of the cylinder, and that the scan is of water in air."
