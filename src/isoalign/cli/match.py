"""``isoalign match``: images of the day to a planning CT, from files."""

from __future__ import annotations

import json
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from cyclopts import Group, Parameter

from isoalign.cli.errors import UnusableArgument
from isoalign.cli.progress import StepProgress

if TYPE_CHECKING:
    from isoalign.records import Volume
    from isoalign.reports import MatchReport
    from isoalign.room.match_files import Target

Point = tuple[float, float, float]
_PLAN = Group("Where the patient should be")
_SCAN = Group("Match of volumes")

EXIT_CODES = {"accepted": 0, "doubtful": 6, "failed": 6}
"""Exit code by verdict: a match that is not accepted ends like any other match error."""


def match(
    ct: Path,
    day: list[Path],
    /,
    *,
    plan: Annotated[Path | None, Parameter(group=_PLAN)] = None,
    beam: Annotated[int | None, Parameter(group=_PLAN)] = None,
    isocentre: Annotated[Point | None, Parameter(negative="", group=_PLAN)] = None,
    structure_set: Annotated[Path | None, Parameter(group=_SCAN)] = None,
    region: Annotated[str | None, Parameter(group=_SCAN)] = None,
    margin: Annotated[float, Parameter(group=_SCAN)] = 15.0,
    verification_isocentre: Annotated[Point, Parameter(negative="", group=_SCAN)] = (0.0, 0.0, 0.0),
    metric: Annotated[Literal["intensity", "mutual-information"], Parameter(group=_SCAN)] = "intensity",
    capture_starts: Annotated[int, Parameter(group=_SCAN)] = 0,
    out: Path = Path("match.html"),
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
    open_report: Annotated[bool, Parameter(name="--open", negative="")] = False,
) -> int:
    """Match images of the day to a planning CT: kV images, a cone-beam CT or an in-room CT.

    Two RT Images are matched to digitally reconstructed radiographs (2D/3D); a folder with a CT series or a file of
    isoalign reconstruct is matched to the CT itself (3D/3D). Ends with 0 when the match is accepted and with 6 when it
    is doubtful or failed; then there are no six numbers.

    Parameters
    ----------
    ct
        Folder with the slices of the planning CT.
    day
        Two acquired RT Images (DICOM files), or one folder or npz file with a volume.
    plan
        RT Ion Plan (DICOM file): isocentre, patient position, and the angles of the table top.
    beam
        Number of the beam; the first one by default.
    isocentre
        Isocentre in the DICOM patient frame of the planning CT, mm, in place of a plan.
    structure_set
        RT Structure Set (DICOM file) of the planning CT, for --region.
    region
        Structure around which the volumes must fit: the box around it, widened by --margin.
    margin
        Margin around the structure, mm.
    verification_isocentre
        The machine isocentre in the frame of reference of the volume of the day, mm.
    metric
        intensity for CT on CT; mutual-information where the tissues have other grey values.
    capture_starts
        So many further searches from displaced starts, to say from how far the result is found again.
    out
        The report to write, one HTML page with overlays.
    as_json
        Print the match as one JSON document instead of a table.
    open_report
        Show the report in the web browser.
    """
    if plan is None and isocentre is None:
        raise UnusableArgument("where the patient should be is not known: give --plan or --isocentre")
    if (region is None) != (structure_set is None):
        raise UnusableArgument("--region and --structure-set go together")

    from isoalign.reports import match_summary, match_to_json, write_match_report
    from isoalign.reports.console import print_result
    from isoalign.room.cases import load_ct_folder
    from isoalign.room.match_files import is_volume

    volumes = [path for path in day if is_volume(path)]
    if volumes and len(day) > 1:
        raise UnusableArgument(f"{volumes[0]} is a volume; it is matched alone, not with {len(day) - 1} more")
    if not volumes and region is not None:
        raise UnusableArgument("--region is for a match of volumes")
    with StepProgress() as progress:
        progress("begin", f"Reading {ct}", None)
        planning, advice = load_ct_folder(ct)
        target = _target(plan, beam, isocentre, planning)
        progress("done", f"{planning.hounsfield.shape[0]} slices", None)
        for words in advice:
            progress("warning", words, None)
        if volumes:
            box = (structure_set, region, margin) if structure_set is not None and region is not None else None
            report = _match_volume(
                planning, volumes[0], target, verification_isocentre, box, metric, capture_starts, progress
            )
        else:
            report = _match_images(planning, day, target, progress)
        progress("begin", "Report", None)
        write_match_report(report, out)
        progress("done", str(out), None)
    if as_json:
        print(json.dumps({**match_to_json(report), "report": str(out)}, indent=2))
    else:
        print_result(match_summary(report, out))
    if open_report:
        webbrowser.open(out.resolve().as_uri())
    return EXIT_CODES[report.match.verdict.value]


def _target(plan: Path | None, beam: int | None, isocentre: Point | None, planning: Volume) -> Target:
    from isoalign.geometry import TableAngles
    from isoalign.room.cases import load_plan_file
    from isoalign.room.match_files import Target

    if plan is None:
        return Target(planning.patient_position, np.array(isocentre))
    loaded = load_plan_file(plan)
    numbers = [one.number for one in loaded.beams]
    if beam is not None and beam not in numbers:
        raise UnusableArgument(f"--beam {beam}: the plan has the beams {', '.join(map(str, numbers))}")
    chosen = loaded.beam(beam)
    angles = TableAngles(chosen.patient_support_angle_deg, chosen.table_top_pitch_deg, chosen.table_top_roll_deg)
    return Target(loaded.patient_position, np.array(isocentre or chosen.isocentre_mm), angles)


def _match_images(planning: Volume, images: list[Path], target: Target, progress: StepProgress) -> MatchReport:
    from isoalign.reports import MatchReport, match_views
    from isoalign.room.match_files import match_pair, read_pair

    progress("begin", "Reading the images", None)
    pair = read_pair(images)
    progress("done", ", ".join(one.acquisition.imager for one in pair.radiographs), None)
    progress("begin", "2D/3D match", None)
    found = match_pair(planning, pair, target, lambda fraction, text: progress("progress", text, fraction))
    progress("done", found.match.verdict.value, None)
    facts = [
        ("Planned isocentre, DICOM patient frame", _point_words(target.isocentre_mm)),
        *(
            (f"Gradient correlation, image {one.imager}", f"{one.gradient_correlation_end:.3f}")
            for one in found.match.views
        ),
        ("Table top while imaging", "stated by the images" if found.start is not None else "not stated: no couch move"),
    ]
    return MatchReport(
        found.match, facts, match_views(found.match, pair.radiographs), start=found.start, target=found.target
    )


def _match_volume(
    planning: Volume,
    path: Path,
    target: Target,
    isocentre: Point,
    box: tuple[Path, str, float] | None,
    metric: str,
    capture_starts: int,
    progress: StepProgress,
) -> MatchReport:
    from isoalign.registration import Metric
    from isoalign.reports import MatchReport, slice_views
    from isoalign.room.match_files import box_around, match_day, read_day

    progress("begin", f"Reading {path}", None)
    day, advice = read_day(path)
    progress("done", f"{day.hounsfield.shape[0]} slices", None)
    for words in advice:
        progress("warning", words, None)
    progress("begin", "3D/3D match", None)
    found = match_day(
        planning,
        day,
        target,
        day_isocentre_mm=np.array(isocentre),
        region=None if box is None else box_around(*box),
        metric=Metric.INFORMATION if metric == "mutual-information" else Metric.INTENSITY,
        capture_starts=capture_starts,
        progress=lambda fraction, text: progress("progress", text, fraction),
    )
    progress("done", found.match.verdict.value, None)
    figures, capture = found.scan.figures, found.scan.capture
    facts = [
        ("Planned isocentre, DICOM patient frame", _point_words(target.isocentre_mm)),
        ("Isocentre in the volume of the day", _point_words(np.array(isocentre))),
        ("Metric", metric),
        ("Correlation at edges; in the lowest parts", f"{figures.correlation:.3f}; {figures.detail:.3f}"),
        ("Part of the edges that the day shows", f"{100 * figures.overlap:.0f} %"),
        ("The second metric would move it by", f"{figures.second_mm:.2f} mm"),
        ("Condition of the equations", f"{figures.condition:.0f}"),
    ]
    if capture is not None:
        words = f"{capture.returned} of {capture.starts} within ±{capture.reach_mm:.0f} mm, ±{capture.reach_deg:.0f}°"
        facts.append(("Found again from displaced starts", words))
    views = slice_views(planning, day, found.start, found.scan.verification_from_planning, target.isocentre_mm)
    return MatchReport(found.match, facts, views, names=("Volume of the day", "Planning CT"))


def _point_words(point_mm: np.typing.NDArray[np.float64]) -> str:
    return "({:.1f}, {:.1f}, {:.1f}) mm".format(*point_mm)
