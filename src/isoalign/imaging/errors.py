"""Errors of the imaging room."""

from __future__ import annotations

from isoalign.errors import InputDataError


class EmptyVolume(InputDataError):
    """A CT volume holds nothing that attenuates X-rays."""

    code = "imaging.empty-volume"
    default_hint = "Check the rescale slope and intercept of the CT: everything in it is air."


class NoSignal(InputDataError):
    """A radiograph has no pixel above zero."""

    code = "imaging.no-signal"
    default_hint = "Check that the generator fired and that the panel sent the image of this exposure."


class UnusableWindow(InputDataError):
    """A display window without width, or no value to choose one from."""

    code = "imaging.unusable-window"
    default_hint = "Choose two different limits, or an image with at least one finite value."


class UnusableRegion(InputDataError):
    """A region of interest is empty or not within the image."""

    code = "imaging.unusable-region"
    default_hint = "Rows and columns count from zero at the upper left pixel."


class UnusableBeam(InputDataError):
    """A beam quality or a spectrum makes no sense, or lies beyond the tables."""

    code = "imaging.unusable-beam"
    default_hint = "Give energies between 40 and 150 keV with weights that are not negative and not all zero."
