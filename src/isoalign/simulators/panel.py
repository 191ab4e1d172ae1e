"""The panel simulator process: one flat panel with its image connection, told of X-rays on its truth connection."""

from __future__ import annotations

import argparse

from isoalign.simulators import imager
from isoalign.simulators.process import Simulation, run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command-line arguments of this simulator."""
    imager.add_arguments(parser)


async def start(options: argparse.Namespace) -> Simulation:
    """Start it on the running loop; raises as the imager's."""
    return await imager.start_sides("panel", options, frozenset({imager.PANEL}))


def main(options: argparse.Namespace) -> int:
    """Run until told to end; returns the exit code."""
    return run(f"panel-{options.name}", start, options, long_steps=True)
