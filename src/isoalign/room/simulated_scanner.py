"""A simulated in-room CT: scans the patient as they truly lie, sends the images and asks for their commitment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from isoalign.dicom.identity import new_uid
from isoalign.dicom.node import NodeSettings, Peer, request_commitment, require_stored, send
from isoalign.dicom.objects import CtAcquisition, Dataset, Series, build_ct_images
from isoalign.geometry import DicomPatient, Fixed, Pose
from isoalign.records import Plan, Study, Volume
from isoalign.room.errors import ProcessFailed, SettingsInvalid
from isoalign.room.loopback import LOOPBACK, free_port
from isoalign.room.settings import InRoomCtSettings, PeerSettings, RoomSettings

ProgressCallback = Callable[[str, float | None], None]

SCANNER_AE_TITLE = "CT1"
TUBE_VOLTAGE_KV = 120.0


@dataclass(frozen=True, slots=True)
class SimulatedScanner:
    """An in-room CT beside a simulated room.

    Attributes
    ----------
    settings : InRoomCtSettings
        Where the room listens, and as whom the scanner calls.
    host : str
        Of the room.
    """

    settings: InRoomCtSettings
    host: str

    def scan(
        self, patient: Volume, fixed_from_patient: Pose[Fixed, DicomPatient], plan: Plan, *, seed: int = 0
    ) -> list[Dataset]:
        """The images of one scan, in a study and a frame of reference of their own."""
        from isoalign.simulators.in_room_ct import scan_of_patient

        seen = scan_of_patient(patient, fixed_from_patient, origin_mm=self.settings.origin_mm, seed=seed)
        volume = replace(seen, frame_of_reference_uid=new_uid(), series_instance_uid=new_uid())
        now = datetime.now(UTC)
        return build_ct_images(
            volume,
            patient=plan.patient,
            study=Study(new_uid(), study_id="CT", study_date=now.strftime("%Y%m%d"), study_time=now.strftime("%H%M%S")),
            series=Series(1, volume.series_instance_uid),
            created_at=now,
            acquisition=CtAcquisition(
                acquired_at=now,
                table_top=None,
                tube_voltage_kv=TUBE_VOLTAGE_KV,
                tube_current_ma=200.0,
                exposure_time_ms=1000.0,
                exposure_mas=200.0,
                source_detector_mm=1000.0,
                source_axis_mm=570.0,
                data_collection_diameter_mm=500.0,
                reconstruction_diameter_mm=500.0,
            ),
        )

    def deliver(self, images: Sequence[Dataset], on_progress: ProgressCallback) -> None:
        """Send images to the open field and have them confirmed. Blocks.

        Raises
        ------
        DicomNetworkError
        ProcessFailed
            When the room does not confirm every image.
        """
        peer = Peer(self.settings.ae_title, self.host, self.settings.port)
        node = NodeSettings(self.settings.scanner.ae_title, association_timeout_s=10.0, response_timeout_s=30.0)
        results = send(
            peer,
            images,
            node,
            on_progress=lambda done: on_progress(f"{done} of {len(images)} images sent", done / len(images)),
        )
        require_stored(results, peer)
        names = [(str(one.SOPClassUID), str(one.SOPInstanceUID)) for one in images]
        confirmed = request_commitment(peer, names, node)
        if confirmed.failed:
            raise ProcessFailed(f"the room confirms {len(confirmed.committed)} of {len(images)} images of the scanner")


def with_simulated_scanner(settings: RoomSettings) -> RoomSettings:
    """The settings with an in-room CT on this machine, on a free port.

    Raises
    ------
    SettingsInvalid
        When the configuration has no section ``dicom``.
    """
    if settings.dicom is None:
        raise SettingsInvalid("the configuration has no [dicom]: no in-room CT can send to the room")
    scanner = PeerSettings(ae_title=SCANNER_AE_TITLE, host=LOOPBACK, port=free_port())
    stated = settings.dicom.in_room_ct or InRoomCtSettings(scanner=scanner)
    in_room_ct = stated.model_copy(update={"port": free_port(), "scanner": scanner})
    return settings.model_copy(update={"dicom": settings.dicom.model_copy(update={"in_room_ct": in_room_ct})})
