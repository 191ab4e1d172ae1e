"""Errors of the interlock chain."""

from __future__ import annotations

from isoalign.errors import DeviceError


class ClearRefused(DeviceError):
    """A latch cannot be cleared: its cause is still there, or nobody takes responsibility."""

    code = "interlock.clear-refused"
    default_hint = "Remove the cause that is named, then clear again with a reason and the name of the user."


class UnknownRule(DeviceError):
    """A latch was asked for that is not in the table of rules."""

    code = "interlock.unknown-rule"
    default_hint = "This is a defect: every cause must be a row of the table."
