"""Generates codec, C header, Wireshark dissector and interface document from the definitions in this folder.

``python firmware_protocols/generate.py`` writes them; ``--check`` only says which are stale and exits with 1.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from definitions import FOLDER, Definitions, load
from make_c import c_header
from make_document import interface_document
from make_python import python_source
from make_readers import readers_source
from make_wireshark import wireshark_dissector

ROOT = FOLDER.parent


def outputs(definitions: Definitions) -> dict[Path, str]:
    """Every generated file and what it must contain."""
    return {
        ROOT / "src/isoalign/protocol/messages.py": python_source(definitions),
        ROOT / "src/isoalign/protocol/readers.py": readers_source(definitions),
        FOLDER / "INTERFACE.md": interface_document(definitions),
        FOLDER / "wireshark/isoalign.lua": wireshark_dissector(definitions),
        FOLDER / "c/isoalign_protocol.h": c_header(definitions),
    }


def main() -> int:
    """Write or check the generated files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 when a file is stale")
    check = parser.parse_args().check
    stale = 0
    for path, text in outputs(load()).items():
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        stale += 1
        print(f"{'stale' if check else 'written'}: {path.relative_to(ROOT)}")
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
