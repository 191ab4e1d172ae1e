"""The command line: one module for each group of commands, loaded only when the command is called.

:func:`main` is the program ``isoalign``. What a command shows as its result goes to standard output, everything else
(progress, warnings, errors) to standard error. With ``--json`` standard output carries exactly one JSON document: the
result, or ``{"error": {...}}``.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program and return its exit code.

    Parameters
    ----------
    arguments : sequence of str, optional
        The command line without the program's name; ``sys.argv[1:]`` by default.
    """
    from isoalign.cli.program import run

    return run(arguments)
