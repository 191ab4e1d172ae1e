"""Long studies in blocks whose results are kept on disk, so that one that was broken off goes on where it was.

Results of other sources than the present ones are not used: the file says by a hash what they were measured on.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import structlog

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "soak-output"


def fingerprint(study: Path) -> str:
    """Of the package and the study."""
    hashed = hashlib.sha256()
    for path in (*sorted((ROOT / "src").rglob("*.py")), study):
        hashed.update(path.read_bytes())
    return hashed.hexdigest()


def run_blocks(
    study: Path, keys: Iterable[Any], one: Callable[[Any], dict[str, Any]], *, keep: bool
) -> list[dict[str, Any]]:
    """The result of every key in order; with ``keep`` those of an earlier run that was broken off are not made again.

    The file of kept results is removed when the last block is done.
    """
    # a stop is what is wanted here, no news
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    path = FOLDER / f"{study.stem}.jsonl"
    known: dict[str, dict[str, Any]] = {}
    if keep:
        mark = fingerprint(study)
        lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        if lines and lines[0] == {"sources": mark}:
            known = {json.dumps(line["key"]): line["result"] for line in lines[1:]}
        else:
            FOLDER.mkdir(exist_ok=True)
            path.write_text(json.dumps({"sources": mark}) + "\n")
    results = []
    for number, key in enumerate(keys, start=1):
        begun_s = time.monotonic()
        result = known.get(json.dumps(key))
        if result is None:
            result = one(key)
            if keep:
                with path.open("a") as file:
                    file.write(json.dumps({"key": key, "result": result}) + "\n")
                print(f"block {number} took {time.monotonic() - begun_s:.0f} s", flush=True)
        results.append(result)
    if keep:
        path.unlink()
    return results
