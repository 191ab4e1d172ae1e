"""``isoalign demo``: the whole way from plan to report in a simulated room."""

from __future__ import annotations

import json
import webbrowser
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from isoalign.cli.errors import OutputNotWritable, UnusableArgument
from isoalign.cli.progress import StepProgress
from isoalign.records import Outcome

EXIT_CODES = {
    Outcome.ALIGNED: 0,
    Outcome.ALIGNED_IN_PART: 0,
    Outcome.OUT_OF_TOLERANCE: 7,
    Outcome.HELD: 7,
    Outcome.MATCH_REFUSED: 6,
    Outcome.FAILED: 7,
}
"""Exit code of a session that ran to its end, whatever it found; an error has its own."""


def demo(
    *,
    case: Path | None = None,
    plan: str | None = None,
    structure_set: str | None = None,
    seed: int = 0,
    offset: Annotated[tuple[float, float, float, float, float, float] | None, Parameter(negative="")] = None,
    archive: Literal["embedded", "orthanc", "dcmtk"] = "embedded",
    in_room_ct: Annotated[bool, Parameter(negative="")] = False,
    match: Literal["2d3d", "markers", "2d2d"] | None = None,
    config: Path | None = None,
    support_angle: float = 0.0,
    machine_errors: Annotated[bool, Parameter(negative="")] = False,
    calibrate: Annotated[bool, Parameter(negative="")] = False,
    output: Path = Path("demo-output"),
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
    open_report: Annotated[bool, Parameter(name="--open", negative="")] = False,
) -> int:
    """Align a simulated patient: plan and CT over DICOM, kV pair, match, correction, proof, report.

    Without --case a head phantom is made; it needs no data. The patient on the couch has a hidden set-up error that
    only the simulated images tell. Approving the correction and moving the couch are two acts; the demo performs
    both and says so. Ends with 0 when aligned (as far as
    the images tell), 7 when out of tolerance, or with the code of the error.

    Parameters
    ----------
    case
        Folder of DICOM files: a plan, its structure set and the CT.
    plan
        Which plan, when the case has several: a file or a SOP Instance UID.
    structure_set
        Which structure set, when the plan's own reference does not resolve: a SOP Instance UID or a file.
    seed
        Seed of the hidden set-up error and of the image noise.
    offset
        The hidden set-up error itself: lateral, longitudinal, vertical (mm), pitch, roll, yaw (degrees).
    archive
        Who plays the treatment management system.
    in_room_ct
        Begin with a CT of a scanner in the room instead of a kV pair: it sends while its field is open, asks for
        storage commitment, and is matched to the planning CT (3D/3D).
    match
        How kV pairs are matched: 2d3d (to the whole CT), markers (implanted markers, which the made head phantom then
        has) or 2d2d (to DRRs; one rotation is not told, and drawn errors turn by at most 0.5 degrees); as the
        configuration says without it. After an in-room CT, 2d3d compares with that, the others with the planning CT.
    config
        Configuration of the room, room.toml; the defaults without it.
    support_angle
        Patient support angle, degrees, that the plan of the made head phantom asks for.
    machine_errors
        Let the imagers' panels stand 1 to 2 mm beside where the room believes them, the axis of the couch up to 2 mm
        beside the isocentre, leaning and walking, and the table top sag, drawn from the seed. Without --calibrate the
        room aligns the patient to a wrong place and does not know, or refuses a match whose two views contradict each
        other.
    calibrate
        Calibrate the imagers first, with a ball-bearing phantom on the couch, then the axis of the couch, with two
        balls at seven couch angles, and let the room work with the signed records.
    output
        Folder for the report, the record and the logs.
    as_json
        Print the record of the session as one JSON document instead of a table.
    open_report
        Show the report in the web browser.
    """
    if case is not None and not case.is_dir():
        raise UnusableArgument(f"--case {case} is not a folder", hint="Name a folder of DICOM files.")
    if case is not None and support_angle:
        raise UnusableArgument("--support-angle is for the made head phantom; a case has its own in the plan")
    _prepare(output)

    from isoalign.reports import record_to_json, session_summary, write_session_report
    from isoalign.reports.console import print_result
    from isoalign.room.demo import DemoOptions, run_demo

    options = DemoOptions(
        case=case,
        plan=plan,
        structure_set=structure_set,
        seed=seed,
        offset=offset,
        archive=archive,
        in_room_ct=in_room_ct,
        match=match,
        config=config,
        support_angle_deg=support_angle,
        machine_errors=machine_errors,
        calibrate=calibrate,
        output=output,
    )
    with StepProgress() as progress:
        record = run_demo(options, on_event=progress)
        progress("begin", "Report", None)
        report = write_session_report(record, output / "report.html")
        document = record_to_json(record)
        (output / "record.json").write_text(json.dumps(document, indent=2), encoding="utf-8")
        progress("done", str(report), None)
    if as_json:
        print(json.dumps({**document, "report": str(report)}, indent=2))
    else:
        print_result(session_summary(record, report))
    if open_report:
        webbrowser.open(report.resolve().as_uri())
    return EXIT_CODES[record.outcome]


def _prepare(output: Path) -> None:
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputNotWritable(f"cannot make the folder {output}: {error.strerror}") from error
