"""The program: its list of commands, and how every call ends in one exit code."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError

import isoalign
from isoalign.cli.failures import INTERRUPTED, present_crash, present_error, present_misuse
from isoalign.errors import IsoalignError

HELP = """
Couch geometry and positioning for image-guided radiotherapy.

Software channel only: the hard-wired safety chain is the integrator's, and this is not a cleared medical device.
"""

COMMANDS = {
    "demo": ("isoalign.cli.demo:demo", "Align a simulated patient, from plan to report."),
    "convert": (
        "isoalign.cli.convert:convert",
        "Convert table-top positions between IEC 61217, Isocentric Standard and machine scales.",
    ),
    "couch-shift": (
        "isoalign.cli.couch_shift:couch_shift",
        "Turn a DICOM Spatial Registration and a plan into the move of the couch.",
    ),
    "drr": ("isoalign.cli.drr:drr", "Render a digitally reconstructed radiograph of a CT folder."),
    "match": ("isoalign.cli.match:match", "Match images of the day to a planning CT."),
    "reconstruct": (
        "isoalign.cli.reconstruct:reconstruct",
        "Reconstruct the projections of a cone-beam scan as a CT.",
    ),
    "study": ("isoalign.cli.study:study", "Say how far matches may be trusted, over many cases with a known truth."),
    "markers": (
        "isoalign.cli.markers:app",
        "Find implanted markers in a CT or kV images, and match two images to planned markers.",
    ),
    "couch": ("isoalign.cli.couch:app", "Look at the couch, move it, hold it."),
    "gantry": ("isoalign.cli.gantry:app", "Look at the gantry, rotate it, move its imager arm, hold it."),
    "expose": ("isoalign.cli.expose:expose", "Take kV images."),
    "calibrate": (
        "isoalign.cli.calibrate:app",
        "Find the machine's errors, prove the result, and keep it as a signed record.",
    ),
    "protocol": ("isoalign.cli.protocol_tools:app", "Read what machines and this computer said to each other."),
    "dicom": ("isoalign.cli.dicom:app", "Look at DICOM files and peers, and move objects."),
    "simulate": ("isoalign.cli.simulate:simulate", "Start the device simulators and print their addresses."),
    "config": ("isoalign.cli.config:app", "Check or show the configuration of a room."),
    "warmup": ("isoalign.cli.warmup:warmup", "Compile the numerical kernels into their cache on disk."),
}


def build_app() -> App:
    """The commands with their help lines; none of their modules is imported yet."""
    app = App(
        name="isoalign",
        help=HELP,
        version=isoalign.__version__,
        version_flags=["--version"],
        suppress_keyboard_interrupt=False,  # Ctrl-C is an exit code of ours
    )
    for name, (path, help_line) in COMMANDS.items():
        app.command(path, name=name, help=help_line)
    return app


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command; every way out, also an unexpected error, is an exit code and not a traceback."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    as_json = "--json" in given
    try:
        result = build_app()(given, exit_on_error=False, result_action="return_value")
    except CycloptsError as error:  # cyclopts has shown it already, with the help line that fits
        return present_misuse(error, as_json=as_json)
    except IsoalignError as error:
        return present_error(error, as_json=as_json)
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # the reader of our output went away (| head): nothing to say, and nobody to say it to
        sys.stderr.close()
        return 0
    except Exception as error:  # noqa: BLE001 - the last resort of the program
        return present_crash(error, given, as_json=as_json)
    return result if isinstance(result, int) and not isinstance(result, bool) else 0
