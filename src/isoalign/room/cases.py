"""Cases for a demonstration: the built-in head phantom, or a folder of DICOM files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from isoalign.dicom.media import read_case_folder, read_ct_folder
from isoalign.dicom.node import Peer, require_stored, send
from isoalign.dicom.objects import (
    CaseDatasets,
    Dataset,
    Series,
    build_case,
    build_drr_image,
    read_plan,
    read_structure_set,
    read_volume,
    spacing_advice,
    write_file,
)
from isoalign.dicom.objects.common import read_patient, read_study
from isoalign.dicom.objects.files import read_file
from isoalign.geometry import Array, DicomPatient, Fixed, Pose, ProjectionGeometry, TableTopPosition
from isoalign.positioning import planned_pose
from isoalign.records import Patient, Plan, StructureSet, Volume
from isoalign.room.kv_matchers import PatientToMatch, markers_of
from isoalign.room.settings import KvMatchSettings, PeerSettings
from isoalign.room.simulation import Implant, PatientOnCouch

if TYPE_CHECKING:
    from isoalign.simulators.marker_head import MarkerHead

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
    body : Volume or None
        What X-rays see of the virtual patient in place of the CT, where its CT holds metal that ``implants`` are.
    implants : tuple of Implant
        Metal in the virtual patient.
    """

    plan: Plan
    structure_set_uid: str | None
    volume: Volume
    structure_set: StructureSet
    datasets: Callable[[], Iterator[Dataset]]
    count: int
    warnings: tuple[str, ...] = ()
    body: Volume | None = None
    implants: tuple[Implant, ...] = ()

    def on_couch(
        self, planned: Pose[Fixed, DicomPatient], setup: TableTopPosition, error: Pose[Fixed, Fixed]
    ) -> PatientOnCouch:
        """The virtual patient, wrong by ``error`` (about the isocentre) with the couch at ``setup``."""
        volume = self.volume if self.body is None else self.body
        return PatientOnCouch.with_setup_error(volume, planned, setup, error, self.implants)


def case_of(objects: CaseDatasets, *, body: Volume | None = None, implants: tuple[Implant, ...] = ()) -> Case:
    """Objects in memory as a case."""
    structures = read_structure_set(objects.structure_set).structure_set
    plan, count = read_plan(objects.plan), len(objects.all)
    return Case(plan, None, objects.volume, structures, lambda: iter(objects.all), count, body=body, implants=implants)


def builtin_case(patient_support_angle_deg: float = 0.0, *, gold_markers: bool = False) -> Case:
    """The procedural head phantom as DICOM objects, planned at an angle of the patient support.

    With ``gold_markers`` it has implanted markers that kV images show.
    """
    if gold_markers:
        from isoalign.simulators.marker_head import marker_head

        return marker_case(marker_head(), patient_support_angle_deg)
    from isoalign.simulators.phantom import head_phantom

    phantom = head_phantom()
    return case_of(
        build_case(
            phantom.volume,
            phantom.structures,
            phantom.isocentre_mm,
            patient=PHANTOM_PATIENT,
            created_at=datetime.now(UTC),
            label="HEAD PHANTOM",
            patient_support_angle_deg=patient_support_angle_deg,
        )
    )


def marker_case(head: MarkerHead, patient_support_angle_deg: float = 0.0) -> Case:
    """A head with markers as DICOM objects; the virtual patient has them as balls of gold where they truly are."""
    objects = build_case(
        head.volume,
        head.structures,
        head.isocentre_mm,
        patient=PHANTOM_PATIENT,
        created_at=datetime.now(UTC),
        label="GOLD MARKERS",
        patient_support_angle_deg=patient_support_angle_deg,
    )
    implants = _balls(head.centres_mm, head.diameter_mm, head.attenuation_per_mm)
    return case_of(objects, body=head.body, implants=implants)


def with_gold_markers(case: Case, settings: KvMatchSettings) -> Case:
    """A case whose virtual patient has a ball of gold where the CT shows a marker of the structure set.

    The voxels of a CT show a marker too thick and too faint for X-ray images. A case whose metal is known is left as it
    is.

    Raises
    ------
    NoPlannedMarkers, InputDataError
    """
    if case.implants:
        return case
    from isoalign.registration import MarkerShape
    from isoalign.simulators.marker_images import GOLD_PER_MM

    shape = MarkerShape(settings.marker_diameter_mm, settings.marker_length_mm)
    points_mm = markers_of(case.structure_set, case.volume, shape).markers.points_mm
    return replace(case, implants=_balls(points_mm, shape.diameter_mm, GOLD_PER_MM))


def _balls(centres_mm: Array, diameter_mm: float, mu_per_mm: float) -> tuple[Implant, ...]:
    return tuple(Implant((float(x), float(y), float(z)), 0.5 * diameter_mm, mu_per_mm) for x, y, z in centres_mm)


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
        files.structure_set,
        files.datasets,
        len(files.files),
        (*files.warnings, *spacing_advice(volume)),
    )


def patient_to_match(case: Case, beam_number: int | None = None) -> PatientToMatch:
    """What kV pairs of the patient of a case are compared with, for a beam; the first one by default."""
    from isoalign.registration import prepare

    planned = planned_pose(case.plan.patient_position, case.plan.beam(beam_number))
    return PatientToMatch(prepare(case.volume), case.volume, case.structure_set, planned)


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
