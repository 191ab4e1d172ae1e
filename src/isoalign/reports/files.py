"""Writing a file whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from isoalign.reports.errors import ReportNotWritable


def write_whole(path: Path, content: bytes) -> Path:
    """Write ``content`` beside ``path`` and rename it into place, so that no half-written file is ever seen.

    Raises
    ------
    ReportNotWritable
    """
    temporary: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        umask = os.umask(0)
        os.umask(umask)
        Path(temporary).chmod(0o666 & ~umask)
        Path(temporary).replace(path)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        raise ReportNotWritable(f"cannot write {path}: {error.strerror or error}", path=str(path)) from error
    return path
