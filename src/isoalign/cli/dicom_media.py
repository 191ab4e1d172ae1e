"""``isoalign dicom import`` and ``export``: the file mode, for media."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from isoalign.cli.dicom_options import AsJson, show_facts
from isoalign.cli.errors import UnusableArgument

Kinds = Annotated[
    tuple[Literal["ct", "structure-set", "rt-image", "plan", "registration"], ...],
    Parameter(name="--kind", negative="", help="Only objects of this kind; may be given more than once."),
]
PatientId = Annotated[str, Parameter(name="--patient", help="Only objects of the patient with this ID.")]
StudyUid = Annotated[str, Parameter(name="--study", help="Only objects of this Study Instance UID.")]
SeriesUid = Annotated[str, Parameter(name="--series", help="Only objects of this Series Instance UID.")]
FrameUid = Annotated[str, Parameter(name="--frame", help="Only objects of this Frame of Reference UID.")]
Sources = Annotated[Path, Parameter(help="Files, folders (searched whole), or archives: tar in any packing, zip.")]

FOUND_CONFLICTS = 3
"""Exit code of an import that has put objects aside: that of data that cannot be used."""


def import_(
    folder: Path,
    /,
    *sources: Sources,
    kind: Kinds = (),
    patient: PatientId = "",
    study: StudyUid = "",
    series: SeriesUid = "",
    frame: FrameUid = "",
    as_json: AsJson = False,
) -> int:
    """Take DICOM files of a medium into a store, with the checks of objects that come over the network.

    CT Image, RT Structure Set, RT Image and RT Ion Plan are taken; a DICOMDIR is not read. An object whose UID belongs
    to another object that is stored is kept in received/quarantine. Archives are read in memory, within limits.

    Parameters
    ----------
    folder
        Where objects (received/) and their index are kept.
    """
    from isoalign.cli.progress import StepProgress
    from isoalign.room.media_tools import Wanted, import_files

    _require_named(sources)
    with StepProgress() as progress:
        progress("begin", "importing", None)
        done = import_files(
            sources,
            folder,
            Wanted(kind, patient, study, series, frame),
            lambda count, rate: progress("progress", f"{count} objects, {rate:.0f} a second", None),
        )
        progress("done", f"{done.new} objects imported, {done.known} were there already", None)
        for remark in done.remarks:
            progress("warning", remark, None)
        for conflict in done.conflicts:
            progress("warning", f"not imported: {conflict}", None)
    facts = {
        "imported": done.new,
        "known": done.known,
        "conflicts": done.conflicts,
        "remarks": done.remarks,
        "duration_s": round(done.duration_s, 3),
    }
    show_facts("isoalign.dicom-import/1", facts, as_json)
    return FOUND_CONFLICTS if done.conflicts else 0


def export(
    folder: Path,
    /,
    *sources: Sources,
    kind: Kinds = (),
    patient: PatientId = "",
    study: StudyUid = "",
    series: SeriesUid = "",
    frame: FrameUid = "",
    as_json: AsJson = False,
) -> int:
    """Write DICOM files for a medium: Part 10, Implicit VR Little Endian, no DICOMDIR.

    CT Image, Spatial Registration, RT Structure Set and RT Image are written, one file for each, named after kind and
    UID; other objects are left out. No file is ever replaced.

    Parameters
    ----------
    folder
        Where the files go; made when it is missing.
    """
    from isoalign.cli.progress import StepProgress
    from isoalign.room.media_tools import Wanted, export_files

    _require_named(sources)
    with StepProgress() as progress:
        progress("begin", "exporting", None)
        count = export_files(
            sources,
            folder,
            Wanted(kind, patient, study, series, frame),
            lambda count, rate: progress("progress", f"{count} objects, {rate:.0f} a second", None),
        )
        progress("done", f"{count} objects written to {folder}", None)
    show_facts("isoalign.dicom-export/1", {"exported": count}, as_json)
    return 0


def _require_named(sources: tuple[Path, ...]) -> None:
    if not sources:
        raise UnusableArgument("no source is named", hint="Give files, folders or archives after the folder.")
