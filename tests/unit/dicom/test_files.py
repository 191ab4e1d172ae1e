"""Files that are damaged on purpose."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from isoalign.dicom.errors import TruncatedFile
from isoalign.dicom.objects import CaseDatasets, read_file, write_file


def test_sequences_nested_too_deeply_are_damage_and_no_crash(case: CaseDatasets, tmp_path: Path) -> None:
    """The reader runs out of stack; it was a RecursionError."""
    undefined = 0xFFFFFFFF
    opening = struct.pack("<HHI", 0x0040, 0xA730, undefined) + struct.pack("<HHI", 0xFFFE, 0xE000, undefined)
    closing = struct.pack("<HHI", 0xFFFE, 0xE00D, 0) + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    path = write_file(case.ct[0], tmp_path / "deep.dcm")
    path.write_bytes(path.read_bytes() + opening * 3000 + closing * 3000)
    with pytest.raises(TruncatedFile, match="damaged"):
        read_file(path)
