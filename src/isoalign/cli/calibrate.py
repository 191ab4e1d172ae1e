"""``isoalign calibrate``: find the machine's errors, prove the result, and keep it as a signed record."""

from __future__ import annotations

from cyclopts import App

COMMANDS = {
    "kinematics": ("isoalign.cli.calibrate_kinematics:kinematics", "How the couch's axes truly stand and give way."),
    "two-channels": ("isoalign.cli.calibrate_channels:two_channels", "Second channels, and the table of stops."),
    "detector": ("isoalign.cli.calibrate_detector:detector", "Offset, gain, defects and lag of flat panels."),
    "daily-check": ("isoalign.cli.calibrate_daily:daily_check", "A cube, two images, a known shift, six numbers."),
    "walkout": ("isoalign.cli.calibrate_walkout:walkout", "Find where the axis of the couch truly is."),
    "winston-lutz": (
        "isoalign.cli.calibrate_winston_lutz:winston_lutz",
        "Find the ball against the treatment isocentre, and which way to move the couch.",
    ),
    "kv-imager": ("isoalign.cli.calibrate_kv_imager:kv_imager", "Find where each kV source and panel truly stand."),
    "new-key": ("isoalign.cli.calibrate_records:new_key", "Make the key with which a room signs its records."),
    "verify": ("isoalign.cli.calibrate_records:verify", "Prove a record: signature, room, serial numbers, validity."),
    "history": ("isoalign.cli.calibrate_history:history", "Show what records of one kind have found over time."),
    "compare": ("isoalign.cli.calibrate_history:compare", "Show what changed from one record to another."),
}
"""Each procedure is one function in a module of its own, imported when it is called."""

app = App(name="calibrate", help="Find the machine's errors, prove the result, and keep it as a signed record.")
for _name, (_path, _help_line) in COMMANDS.items():
    app.command(_path, name=_name, help=_help_line)
