"""``python -m isoalign.simulators KIND``: one simulator as a process of its own; ``KINDS`` says of which there are."""

from __future__ import annotations

import argparse
import importlib
import sys
from types import ModuleType

from isoalign.simulators.process import add_arguments

KINDS = {
    "couch": "six-axis couch on a pseudo-terminal",
    "imager": "generator and flat panel of one kV imager on TCP",
    "generator": "X-ray generator of one kV imager on TCP, by itself",
    "panel": "flat panel of one kV imager on TCP, by itself",
    "pendant": "hand pendant with the enabling switch on TCP",
    "gantry": "gantry with the kV imager arm on TCP",
    "link": "a line between a driver and a simulator, to be spoiled by command",
}
MODULES = {"link": "link_proxy"}
"""Where the module does not have the name of its kind."""


def main(arguments: list[str] | None = None) -> int:
    """Parse, run, return the exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    parser = argparse.ArgumentParser(prog="python -m isoalign.simulators", description=__doc__)
    kinds = parser.add_subparsers(dest="kind", required=True)
    for kind, what in KINDS.items():
        one = kinds.add_parser(kind, help=what)
        add_arguments(one)
        if given and given[0] == kind:
            _module(kind).add_arguments(one)
    options = parser.parse_args(given)
    code: int = _module(options.kind).main(options)
    return code


def _module(kind: str) -> ModuleType:
    return importlib.import_module(f"isoalign.simulators.{MODULES.get(kind, kind)}")


if __name__ == "__main__":
    sys.exit(main())
