"""Errors of the simulators."""

from __future__ import annotations

from isoalign.errors import ConfigurationError, DeviceError


class InvalidScene(ConfigurationError):
    """A scene file for the imager simulators cannot be read or makes no sense."""

    code = "simulators.invalid-scene"
    default_hint = (
        "Write scene files with isoalign.simulators.scene.write_scene, or correct the key that the message names."
    )


class UnknownImager(ConfigurationError):
    """An exposure was asked of an imager that the scene does not have."""

    code = "simulators.unknown-imager"
    default_hint = "Use one of the imager names of the scene file."


class UnknownFault(ConfigurationError):
    """A fault was asked for that this simulator cannot play; nothing was changed."""

    code = "simulators.unknown-fault"
    default_hint = "Use one of the faults that the answer lists."


class InvalidTruthRequest(ConfigurationError):
    """A request on a truth or control connection makes no sense."""

    code = "simulators.invalid-request"
    default_hint = 'Send one JSON object per line, for example {"do": "truth"}.'


class CannotRender(DeviceError):
    """The virtual patient could not be rendered, so that the panel has no frame."""

    code = "simulators.cannot-render"
    default_hint = "See the simulator's log for the cause; most often the scene file or the couch address is wrong."


class UnusableTechnique(DeviceError):
    """An exposure was asked for that no tube of this kind can give."""

    code = "simulators.unusable-technique"
    default_hint = "Use 40 to 150 kV, and a tube current and an exposure time above zero."


class SimulatorSilent(DeviceError):
    """A simulator was asked for something and did not answer."""

    code = "simulators.silent"
    default_hint = "Check that it runs, and use the truth or control address that isoalign simulate prints."
