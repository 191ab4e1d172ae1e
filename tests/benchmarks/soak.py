"""The long proofs in full, one after the other, within a time; the next call goes on where this one ends.

    python tests/benchmarks/soak.py                    as much as fits into 85 minutes
    python tests/benchmarks/soak.py --minutes 600      everything
    python tests/benchmarks/soak.py dicom alignment    parts whose name holds one of these words
    python tests/benchmarks/soak.py --list             what there is, and how each has ended

A part is a test file with tests marked `soak`, or a study. What a part has proved holds for the sources that it ran
with: when those of the package, or its own, have changed, it is run again. Studies that keep their results go on in the
middle, the others begin anew; one of those that has taken longer than is left is put off to the next call. Exits with 1
when a part misses a goal, with 2 when there are parts left.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from blocks import FOLDER, ROOT, fingerprint

MINUTES = 85.0
ENDING_S = 30.0
"""As long as a part may take to end after it was asked to."""
NOT_FINISHED = 2

REACHED, MISSED, OPEN = "reached", "missed", "open"


@dataclass(frozen=True)
class Part:
    """One long proof.

    Attributes
    ----------
    options : callable
        Of the study, given the folder for results of the present sources and the minutes that are left.
    goes_on : bool
        Whether a run that was broken off goes on in the middle.
    """

    source: Path
    options: Callable[[Path, float], list[str]] = lambda _folder, _minutes: ["--full"]
    goes_on: bool = False

    @property
    def name(self) -> str:
        return self.source.stem.removeprefix("study_")

    def command(self, folder: Path, minutes: float) -> list[str]:
        if self.source.name.startswith("test_"):
            return [sys.executable, "-m", "pytest", "-q", "-m", "soak", str(self.source.relative_to(ROOT))]
        return [sys.executable, str(self.source), *self.options(folder, minutes)]


def _with_output(folder: Path, _minutes: float) -> list[str]:
    return ["--full", "--output", str(folder)]


def _with_minutes(_folder: Path, minutes: float) -> list[str]:
    return ["--full", "--minutes", f"{minutes:.1f}"]


def _with_resume(name: str) -> Callable[[Path, float], list[str]]:
    return lambda folder, _minutes: ["--full", "--resume", str(folder / f"{name}.jsonl")]


GO_ON: dict[str, Callable[[Path, float], list[str]]] = {
    "alignment": _with_output,
    "calibrated_room": _with_output,
    "dicom_proofs": _with_minutes,
    **{name: _with_resume(name) for name in ("markers", "matcher", "registration", "second_opinion")},
}
KEEP_BLOCKS = {"corrupt_frames", "link_loss", "positioning", "stop_distance", "two_channels"}


def parts() -> list[Part]:
    """All of them: the tests, then the studies."""
    marked = [path for path in sorted((ROOT / "tests").rglob("test_*.py")) if "mark.soak" in path.read_text()]
    studies = []
    for path in sorted(Path(__file__).parent.glob("study_*.py")):
        name = path.stem.removeprefix("study_")
        options = GO_ON.get(name)
        if options is not None:
            studies.append(Part(path, options, goes_on=True))
        else:
            studies.append(Part(path, goes_on=name in KEEP_BLOCKS))
    return [*map(Part, marked), *studies]


@dataclass
class Known:
    """What earlier calls have found; kept in a file."""

    path: Path
    entries: dict[str, dict[str, object]]

    @classmethod
    def read(cls, path: Path) -> Known:
        with contextlib.suppress(OSError, ValueError):
            return cls(path, json.loads(path.read_text()))
        return cls(path, {})

    def outcome(self, part: Part, mark: str) -> str:
        entry = self.entries.get(part.name, {})
        return str(entry["outcome"]) if entry.get("sources") == mark else OPEN

    def seconds(self, part: Part) -> float:
        """That it took so far, with whatever sources; 0 when it was never run."""
        return float(str(self.entries.get(part.name, {}).get("seconds", 0.0)))

    def note(self, part: Part, mark: str, outcome: str, seconds: float) -> None:
        before = self.entries.get(part.name, {})
        if before.get("sources") == mark and before.get("outcome") == OPEN and part.goes_on:
            seconds += float(str(before["seconds"]))
        self.entries[part.name] = {"sources": mark, "outcome": outcome, "seconds": round(seconds, 1)}
        self.path.parent.mkdir(exist_ok=True)
        written = self.path.with_suffix(".new")
        written.write_text(json.dumps(self.entries, indent=1))
        written.replace(self.path)


def run(part: Part, folder: Path, limit_s: float) -> str:
    """Run a part for at most so long; how it has ended."""
    folder.mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen(part.command(folder, limit_s / 60), cwd=ROOT, start_new_session=True)
    try:
        code = process.wait(limit_s)
    except subprocess.TimeoutExpired:
        return OPEN
    else:
        if code == NOT_FINISHED and part.goes_on:
            return OPEN
        return REACHED if code == 0 else MISSED
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask it and what it has started to end, as Ctrl-C does, and insist after a while."""
    for number in (signal.SIGINT, signal.SIGKILL):
        if process.poll() is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(ENDING_S)


def soak(chosen: Sequence[Part], known: Known, deadline_s: float) -> None:
    """Run what is open, in order, until the deadline (monotonic seconds)."""
    for number, part in enumerate(chosen, start=1):
        mark = fingerprint(part.source)
        if known.outcome(part, mark) != OPEN:
            continue
        left_s = deadline_s - time.monotonic() - ENDING_S
        if left_s <= 0 or (not part.goes_on and known.seconds(part) > left_s):
            continue
        print(f"\n== {number} of {len(chosen)}: {part.name}; {left_s / 60:.0f} min left", flush=True)
        begun_s = time.monotonic()
        outcome = run(part, FOLDER / hashlib.sha256(mark.encode()).hexdigest()[:12], left_s)
        known.note(part, mark, outcome, time.monotonic() - begun_s)


def report(chosen: Sequence[Part], known: Known) -> int:
    """Print how every part has ended; the exit code."""
    outcomes = {part: known.outcome(part, fingerprint(part.source)) for part in chosen}
    print(f"\n{'part':<28}  outcome   minutes")
    for part, outcome in outcomes.items():
        print(f"{part.name:<28}  {outcome:<8}{known.seconds(part) / 60:9.1f}")
    left = [part.name for part, outcome in outcomes.items() if outcome == OPEN]
    missed = [part.name for part, outcome in outcomes.items() if outcome == MISSED]
    print(f"{len(chosen) - len(left)} of {len(chosen)} parts are finished with these sources", end="")
    print(f"; call again to go on with: {', '.join(left)}" if left else "")
    if missed:
        print(f"a goal is missed in: {', '.join(missed)}")
    return 1 if missed else NOT_FINISHED if left else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """The program; returns its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", help="only parts whose name holds one of these")
    parser.add_argument("--minutes", type=float, default=MINUTES)
    parser.add_argument("--list", action="store_true", help="run nothing")
    options = parser.parse_args(arguments)
    deadline_s = time.monotonic() + 60 * options.minutes
    known = Known.read(FOLDER / "parts.json")
    chosen = [part for part in parts() if not options.words or any(word in part.name for word in options.words)]
    if not chosen:
        parser.error(f"no part has one of these words in its name: {', '.join(options.words)}")
    if not options.list:
        try:
            soak(chosen, known, deadline_s)
        except KeyboardInterrupt:
            print("\nbroken off", flush=True)
    return report(chosen, known)


if __name__ == "__main__":
    sys.exit(main())
