"""``isoalign calibrate``: find the machine's errors, prove the result, and keep it as a signed record."""

from __future__ import annotations

from cyclopts import App

COMMANDS = {
    "kinematics": ("isoalign.cli.calibrate_kinematics:kinematics", "How the couch's axes truly stand and give way."),
    "two-channels": ("isoalign.cli.calibrate_channels:two_channels", "Second channels, and the table of stops."),
    "detector": ("isoalign.cli.calibrate_detector:detector", "Offset, gain, defects and lag of flat panels."),
    "daily-check": ("isoalign.cli.calibrate_daily:daily_check", "A cube, two images, a known shift, six numbers."),
    "new-key": ("isoalign.cli.calibrate_records:new_key", "Make the key with which a room signs its records."),
    "verify": ("isoalign.cli.calibrate_records:verify", "Prove a record: signature, room, serial numbers, validity."),
}
"""Each procedure is one function in a module of its own, imported when it is called."""

app = App(name="calibrate", help="Find the machine's errors, prove the result, and keep it as a signed record.")
for _name, (_path, _help_line) in COMMANDS.items():
    app.command(_path, name=_name, help=_help_line)
