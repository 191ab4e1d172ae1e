"""Errors of the room: configuration and the supervision of its processes."""

from __future__ import annotations

from isoalign.errors import ConfigurationError, IsoalignError


class SettingsInvalid(ConfigurationError):
    """``room.toml`` does not say what it should."""

    code = "config.invalid"
    default_hint = "Correct the keys that the message names; `isoalign config show` prints a complete example."


class SettingsMissing(ConfigurationError):
    """There is no configuration file at the given path, or it cannot be read."""

    code = "config.missing"
    default_hint = "Name an existing file; `isoalign config show > room.toml` writes a documented example."


class ProcessFailed(IsoalignError):
    """A process of the room did not start, or ended when it should not."""

    code = "room.process-failed"
    exit_code = 10
    default_hint = "The end of its log is shown above; the whole log lies in the output folder."


class ProgramMissing(IsoalignError):
    """A program that an option asks for is not installed."""

    code = "room.program-missing"
    exit_code = 10
    default_hint = "Install it, or leave the option out."
