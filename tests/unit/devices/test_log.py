"""The daemon's log: one JSON object a line, whoever says it."""

from __future__ import annotations

import json
import subprocess
import sys

PROGRAM = """
import logging, structlog
from isoalign.devices.log import configure_logging
configure_logging("daemon")
structlog.get_logger("ours").info("something.happened", number=1)
logging.getLogger("asyncio").warning("Unknown child process pid %d", 7)
logging.getLogger("asyncio").info("not worth a line")
try:
    1 / 0
except ZeroDivisionError:
    logging.getLogger("asyncio").exception("it broke")
"""


def test_what_libraries_say_is_json_too() -> None:
    """Regression: a warning of asyncio came as plain text, and whoever read the log line by line stumbled over it."""
    shown = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=60)
    lines = [json.loads(line) for line in shown.stderr.splitlines()]
    assert [line["event"] for line in lines] == ["something.happened", "library.said", "library.said"]
    assert lines[1]["text"] == "Unknown child process pid 7"
    assert (lines[1]["logger"], lines[1]["level"], lines[1]["process"]) == ("asyncio", "warning", "daemon")
    assert lines[2]["level"] == "error"


FULL_DISK = """
import os, structlog, time
from isoalign.devices import log
kept = os.dup(2)
os.dup2(os.open("/dev/full", os.O_WRONLY), 2)
log.configure_logging("daemon")
ours = structlog.get_logger("ours")
for number in range(5):
    ours.info("lost", number=number)
while log.lines_lost() < 5:
    time.sleep(0.001)
os.dup2(kept, 2)
ours.info("kept")
"""


def test_a_full_disk_stops_nobody_and_is_told_when_there_is_room_again() -> None:
    shown = subprocess.run([sys.executable, "-c", FULL_DISK], capture_output=True, text=True, check=True, timeout=60)
    lines = [json.loads(line) for line in shown.stderr.splitlines()]
    assert [line["event"] for line in lines] == ["kept", "log.lines-lost"]
    assert lines[1]["lines"] == 5
