"""Cases for a demonstration: the built-in head phantom, or a folder of DICOM files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

from isoalign.dicom.media import read_case_folder, read_ct_folder
from isoalign.dicom.node import Peer, require_stored, send
from isoalign.dicom.objects import (
    Dataset,
    Series,
    build_case,
    build_drr_image,
    read_plan,
    read_volume,
    spacing_advice,
    write_file,
)
from isoalign.dicom.objects.common import read_patient, read_study
from isoalign.dicom.objects.files import read_file
from isoalign.geometry import ProjectionGeometry
from isoalign.records import Patient, Plan, Volume
from isoalign.room.settings import PeerSettings

ProgressCallback = Callable[[str, float | None], None]

SENDER_AE_TITLE = "PLANNING"
PHANTOM_PATIENT = Patient("ISOALIGN-HEAD", "Phantom^Head", "", "O")


@dataclass(frozen=True, slots=True)
class Case:
    """A plan with its CT, ready to be stored in an archive.

    Attributes
    ----------
    structure_set_uid : str or None
        The structure set that the user named, where the plan's own reference is not to be followed.
    volume : Volume
        The CT, for the virtual patient; the room gets its own over DICOM.
    datasets : callable
        Reads every object of the case, one by one.
    """

    plan: Plan
    structure_set_uid: str | None
    volume: Volume
    datasets: Callable[[], Iterator[Dataset]]
    count: int
    warnings: tuple[str, ...] = ()


def builtin_case(patient_support_angle_deg: float = 0.0) -> Case:
    """The procedural head phantom as DICOM objects, planned at an angle of the patient support."""
    from isoalign.simulators.phantom import head_phantom

    phantom = head_phantom()
    objects = build_case(
        phantom.volume,
        phantom.structures,
        phantom.isocentre_mm,
        patient=PHANTOM_PATIENT,
        created_at=datetime.now(UTC),
        label="HEAD PHANTOM",
        patient_support_angle_deg=patient_support_angle_deg,
    )
    return Case(read_plan(objects.plan), None, objects.volume, lambda: iter(objects.all), len(objects.all))


def read_case(folder: Path, *, plan: str | None = None, structure_set: str | None = None) -> Case:
    """A folder of DICOM files, checked to be one whole case.

    Raises
    ------
    InputDataError
        One of the many ways in which a folder is not a case; names the file and what to do.
    """
    files = read_case_folder(folder, structure_set, plan=plan)
    volume = read_volume((one.read() for one in files.ct_files), expected_uids=files.structure_set.ct.sop_instance_uids)
    return Case(
        files.plan,
        files.structure_set.sop_instance_uid if files.named_structure_set else None,
        volume,
        files.datasets,
        len(files.files),
        (*files.warnings, *spacing_advice(volume)),
    )


def store_case(case: Case, archive: PeerSettings, on_progress: ProgressCallback) -> int:
    """Store a case in an archive, as the planning system would; returns the number of objects."""
    peer = Peer(archive.ae_title, archive.host, archive.port)
    results = send(
        peer,
        case.datasets(),
        calling_ae_title=SENDER_AE_TITLE,
        on_progress=lambda done: on_progress(f"{done} of {case.count} objects", done / case.count),
    )
    require_stored(results, peer)
    return len(results)


def load_ct_folder(folder: Path) -> tuple[Volume, tuple[str, ...]]:
    """The CT series in a folder (other objects are left aside), and what the user should know about it.

    Raises
    ------
    InputDataError
    """
    volume = read_volume(read_ct_folder(folder))
    return volume, spacing_advice(volume)


def load_plan_file(path: Path) -> Plan:
    """The RT Ion Plan in a file.

    Raises
    ------
    InputDataError
    """
    return read_plan(read_file(path))


def write_drr_dicom(
    path: Path,
    line_integrals: npt.NDArray[np.float32],
    geometry: ProjectionGeometry,
    volume: Volume,
    *,
    isocentre_mm: npt.ArrayLike,
    ct_folder: Path,
) -> Path:
    """Write a digitally reconstructed radiograph as RT Image, in the study of the CT in ``ct_folder``."""
    first = next(read_ct_folder(ct_folder))
    image = build_drr_image(
        line_integrals,
        geometry,
        patient=read_patient(first),
        study=read_study(first),
        series=Series(1),
        frame_of_reference_uid=volume.frame_of_reference_uid,
        patient_position=volume.patient_position,
        isocentre_mm=isocentre_mm,
        created_at=datetime.now(UTC),
    )
    return write_file(image, path)
