"""Errors of the command line itself."""

from __future__ import annotations

from isoalign.errors import ConfigurationError


class UnusableArgument(ConfigurationError):
    """A value on the command line cannot be used."""

    code = "cli.unusable-argument"
    default_hint = "See the help of the command: isoalign COMMAND --help."


class OutputNotWritable(ConfigurationError):
    """The file or folder that a command should write cannot be written."""

    code = "cli.output-not-writable"
    default_hint = "Name a folder that exists and that you may write to."
