"""The generator simulator process: one X-ray generator with its tube, without a panel."""

from __future__ import annotations

import argparse

from isoalign.simulators.beam_path import BeamSender
from isoalign.simulators.imager import GENERATOR, start_sides
from isoalign.simulators.process import Simulation, run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command-line arguments of this simulator."""
    parser.add_argument("--name", default="A", help="name of its imager")
    parser.add_argument("--seed", type=int, default=0, help="of boost times and measurement errors")
    parser.add_argument("--beam", metavar="HOST:PORT", help="truth connection of the panel that its X-rays hit")


async def start(options: argparse.Namespace) -> Simulation:
    """Start it on the running loop; raises InvalidTruthRequest when the panel's address makes no sense."""
    beam = None if options.beam is None else BeamSender(options.beam)
    whole = argparse.Namespace(**vars(options), scene=None, rows=1, columns=1)
    return await start_sides("generator", whole, frozenset({GENERATOR}), beam)


def main(options: argparse.Namespace) -> int:
    """Run until told to end; returns the exit code."""
    return run(f"generator-{options.name}", start, options)
