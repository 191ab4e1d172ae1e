"""Loading a patient over DICOM: echo, plan, structure set, CT slices, with the preconditions checked on the way.

Source: sections 2.2.3.2 and 2.2.4.1 of the conformance statement.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from isoalign.dicom.errors import (
    MoveDestinationUnknown,
    MoveFailed,
    RetrieveIncomplete,
    SeveralFramesOfReference,
    StructureSetUnresolved,
    WrongPatient,
)
from isoalign.dicom.node.associations import echo
from isoalign.dicom.node.receiver import StorageReceiver
from isoalign.dicom.node.retrieve import retrieve
from isoalign.dicom.node.settings import NodeSettings, Peer
from isoalign.dicom.objects.ct import read_volume, spacing_advice
from isoalign.dicom.objects.plan import read_plan
from isoalign.dicom.objects.rt_image_reader import ReadRtImage, read_rt_image
from isoalign.dicom.objects.structure_set import read_structure_set
from isoalign.dicom.resolution import require_one_frame
from isoalign.records import Patient, Plan, StructureSet, Volume

LoadProgress = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class LoadedCase:
    """What a positioning session needs of a patient."""

    plan: Plan
    structure_set: StructureSet
    volume: Volume
    warnings: tuple[str, ...] = ()
    reference_images: tuple[ReadRtImage, ...] = ()


def load_patient(
    peer: Peer,
    plan_uid: str,
    receiver: StorageReceiver,
    settings: NodeSettings,
    *,
    structure_set_uid: str | None = None,
    progress: LoadProgress | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> LoadedCase:
    """Retrieve and check plan, structure set and CT, and the RT Images that the plan's beams name.

    Parameters
    ----------
    peer : Peer
        The archive; it must know ``settings.ae_title`` as a move destination that leads to ``receiver``.
    structure_set_uid : str, optional
        Used instead of the plan's reference, when the user named one.
    progress : callable, optional
        ``progress(done, total, what)``; may be called from another thread.

    Raises
    ------
    StructureSetUnresolved
        When the plan's reference leads nowhere and no structure set was named.
    WrongPatient, MissingSlices, SeveralFramesOfReference, MixedSeries, NotAxial, GappyCt, PlanWithoutIsocentre and
    other InputDataError; any DicomNetworkError
    """

    def report(what: str) -> Callable[[int, int], None]:
        return lambda done, total: None if progress is None else progress(done, total, what)

    echo(peer, settings)
    report("echo")(1, 1)
    retrieve(peer, [plan_uid], receiver, settings, progress=report("plan"), cancelled=cancelled)
    plan = read_plan(receiver.store.read(plan_uid))
    chosen_uid = structure_set_uid or plan.structure_set_uid
    _retrieve_structure_set(peer, plan, chosen_uid, receiver, settings, structure_set_uid is not None, report)
    read = read_structure_set(receiver.store.read(chosen_uid))
    structure_set = read.structure_set
    _require_same_patient(plan.patient, structure_set.patient, "structure set", chosen_uid)
    require_one_frame(plan, structure_set)
    slices = structure_set.ct.sop_instance_uids
    report_of_slices = retrieve(
        peer,
        slices,
        receiver,
        settings,
        study_instance_uid=structure_set.ct.study_instance_uid,
        series_instance_uid=structure_set.ct.series_instance_uid,
        progress=report("CT slices"),
        cancelled=cancelled,
    )
    datasets = [receiver.store.read(uid) for uid in dict.fromkeys(slices)]
    for dataset in datasets:
        patient = Patient(str(dataset.get("PatientID", "")).strip())
        _require_same_patient(plan.patient, patient, "CT slice", str(dataset.SOPInstanceUID))
    volume = read_volume(datasets, expected_uids=slices)
    _require_frame_of(structure_set, volume)
    told = (f"CT slices: {report_of_slices.warning}",) if report_of_slices.warning else ()
    images, remarks = _retrieve_reference_images(peer, plan, receiver, settings, report, cancelled)
    warnings = (*read.warnings, *told, *spacing_advice(volume), *remarks)
    return LoadedCase(plan, structure_set, volume, warnings, images)


def _retrieve_reference_images(
    peer: Peer,
    plan: Plan,
    receiver: StorageReceiver,
    settings: NodeSettings,
    report: Callable[[str], Callable[[int, int], None]],
    cancelled: Callable[[], bool],
) -> tuple[tuple[ReadRtImage, ...], tuple[str, ...]]:
    """The RT Images that the plan's beams name, and what to tell about those that the archive does not deliver.

    A patient can be positioned without them, so that missing ones are told and refuse nothing.
    """
    uids = tuple(dict.fromkeys(uid for beam in plan.beams for uid in beam.reference_image_uids))
    if not uids:
        return (), ()
    remarks: tuple[str, ...] = ()
    try:
        told = retrieve(peer, uids, receiver, settings, progress=report("reference images"), cancelled=cancelled)
        remarks = (f"reference images: {told.warning}",) if told.warning else ()
    except (RetrieveIncomplete, MoveFailed) as error:
        if isinstance(error, MoveDestinationUnknown):
            raise
        remarks = (f"reference images of the plan are missing: {error.message}",)
    images = tuple(read_rt_image(receiver.store.read(uid)) for uid in uids if uid in receiver.store)
    for image in images:
        _require_same_patient(plan.patient, image.patient, "reference image", image.sop_instance_uid)
    return images, remarks


def _retrieve_structure_set(
    peer: Peer,
    plan: Plan,
    uid: str,
    receiver: StorageReceiver,
    settings: NodeSettings,
    named: bool,
    report: Callable[[str], Callable[[int, int], None]],
) -> None:
    question = (
        f"plan {plan.label!r} references the structure set {uid or 'none at all'}, which {peer} does not deliver. "
        "Which structure set belongs to it?"
    )
    if not uid:
        raise StructureSetUnresolved(question, referenced="")
    try:
        retrieve(peer, [uid], receiver, settings, progress=report("structure set"))
    except (RetrieveIncomplete, MoveFailed) as error:
        if named or isinstance(error, MoveDestinationUnknown):
            raise
        raise StructureSetUnresolved(question, referenced=uid) from error


def _require_same_patient(expected: Patient, found: Patient, what: str, uid: str) -> None:
    if expected.patient_id != found.patient_id:
        raise WrongPatient(
            f"the {what} {uid} belongs to another patient than the plan: Patient ID (0010,0020) differs", object=uid
        )


def _require_frame_of(structure_set: StructureSet, volume: Volume) -> None:
    if volume.frame_of_reference_uid != structure_set.frame_of_reference_uid:
        raise SeveralFramesOfReference(
            f"the CT uses the frame of reference {volume.frame_of_reference_uid}, the structure set "
            f"{structure_set.frame_of_reference_uid}",
            frames=[volume.frame_of_reference_uid, structure_set.frame_of_reference_uid],
        )
