"""dciodvfy on our objects, and which of its errors the documentation explains."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

EXCEPTIONS = Path(__file__).resolve().parents[2] / "docs" / "conformance" / "validator-exceptions.md"


def documented_exceptions() -> set[tuple[str, str]]:
    """(IOD, error line) pairs of the table in the documentation."""
    rows = re.findall(r"^\| `(\w+)` \| `(Error - .*?)` \|", EXCEPTIONS.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return set(rows)


def undocumented_errors(program: Path, path: Path, iod: str) -> set[str]:
    """What the validator says against an object beyond what is documented for its kind, e.g. ``RTImage``."""
    shown = subprocess.run([program, path], capture_output=True, text=True, timeout=60, check=False)
    lines = (shown.stdout + shown.stderr).splitlines()
    assert iod in lines, "the validator recognises the object"
    errors = {re.sub(r"\s+", " ", line).strip() for line in lines if line.startswith("Error")}
    return errors - {error for of, error in documented_exceptions() if of == iod}
