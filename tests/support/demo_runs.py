"""What a demonstration has printed."""

from __future__ import annotations

import json


def judged(code: int, out: str, err: str) -> tuple[int, dict, str]:
    """Exit code, the record or error document, and the progress; there is no traceback."""
    assert "Traceback" not in err, err
    assert out, err
    return code, json.loads(out), err
