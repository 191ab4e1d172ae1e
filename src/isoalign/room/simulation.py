"""A simulated treatment room: every machine a process of its own, speaking real bytes.

Starts the firmware simulators, the archive peer, the device daemon and the room process, hands each the others'
addresses, and stops them again. What the simulators know (the hidden set-up error) reaches only the panel simulators'
scene file.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from isoalign.geometry import DicomPatient, Fixed, Pose, TableTop, TableTopPosition, fixed_from_table
from isoalign.records import Volume
from isoalign.room.archives import ArchiveKind, start_archive
from isoalign.room.clearance import daemon_clearance
from isoalign.room.loopback import free_port
from isoalign.room.processes import ChildProcess, ProcessGroup
from isoalign.room.settings import CouchSettings, RoomSettings
from isoalign.room.simulator_control import SimulatorControl

if TYPE_CHECKING:
    from isoalign.calibration import ChannelTables


@dataclass(frozen=True, slots=True)
class Implant:
    """A metal ball in the patient; its centre in the DICOM patient frame, mm."""

    centre_mm: tuple[float, float, float]
    radius_mm: float
    mu_per_mm: float


@dataclass(frozen=True, slots=True)
class PatientOnCouch:
    """What lies on the couch: the CT as the X-rays see it, how it truly lies on the table top, and metal in it."""

    volume: Volume
    table_from_dicom: Pose[TableTop, DicomPatient]
    implants: tuple[Implant, ...] = ()

    @property
    def balls(self) -> tuple[Ball, ...]:
        """The implants, where they are on the table top."""
        return tuple(
            Ball((float(x), float(y), float(z)), one.radius_mm, one.mu_per_mm)
            for one in self.implants
            for x, y, z in (self.table_from_dicom.apply(one.centre_mm),)
        )

    @classmethod
    def with_setup_error(
        cls,
        volume: Volume,
        planned: Pose[Fixed, DicomPatient],
        setup: TableTopPosition,
        error: Pose[Fixed, Fixed],
        implants: tuple[Implant, ...] = (),
    ) -> PatientOnCouch:
        """A patient who, with the couch at ``setup``, lies wrong by ``error`` (about the isocentre)."""
        return cls(volume, fixed_from_table(setup).inverse() @ error @ planned, implants)


@dataclass(frozen=True, slots=True)
class Ball:
    """A metal ball fixed to the table top, mm."""

    centre_mm: tuple[float, float, float]
    radius_mm: float
    mu_per_mm: float


@dataclass(frozen=True, slots=True)
class ImagerMisalignment:
    """How an imager truly stands, as differences from what the room believes."""

    gantry_angle_deg: float = 0.0
    sad_mm: float = 0.0
    sid_mm: float = 0.0
    receptor_translation_mm: tuple[float, float] = (0.0, 0.0)
    receptor_angle_deg: float = 0.0


@dataclass(frozen=True, slots=True)
class CouchErrors:
    """How a simulated couch truly stands and turns; mm, degrees, kg.

    Attributes
    ----------
    axis_offset_mm : (float, float)
        Where the axis of the patient support truly is, X and Y of the fixed frame.
    axis_lean_deg : (float, float)
        How far it leans towards +X and +Y.
    axis_walk_mm : float
        Radius on which it goes around twice in a turn.
    payload_kg, sag_mm, sag_pitch_deg : float
        What lies on the table; how far the top sinks and tilts at 150 kg and full extension.
    """

    axis_offset_mm: tuple[float, float] = (0.0, 0.0)
    axis_lean_deg: tuple[float, float] = (0.0, 0.0)
    axis_walk_mm: float = 0.0
    payload_kg: float = 0.0
    sag_mm: float = 0.0
    sag_pitch_deg: float = 0.0

    def arguments(self) -> list[str]:
        """For the command line of the couch simulator."""
        given: dict[str, tuple[float, ...]] = {
            "--axis-offset-mm": self.axis_offset_mm,
            "--axis-lean-deg": self.axis_lean_deg,
            "--axis-walk-mm": (self.axis_walk_mm,),
            "--payload-kg": (self.payload_kg,),
            "--sag-mm": (self.sag_mm,),
            "--sag-pitch-deg": (self.sag_pitch_deg,),
        }
        return [word for name, values in given.items() for word in (name, *map(repr, values))]


class SimulatedRoom:
    """The processes of a simulated room; use as a context manager.

    Parameters
    ----------
    settings : RoomSettings
        What the room believes; its device and archive addresses are replaced by the simulators'.
    output : Path
        Logs and the scene go here.
    start_position : TableTopPosition
        Where the couch stands at first.
    """

    def __init__(
        self,
        settings: RoomSettings,
        output: Path,
        start_position: TableTopPosition,
        *,
        seed: int = 0,
        patient: PatientOnCouch | None = None,
        balls: Sequence[Ball] = (),
        couch_top: bool = True,
        misalignments: dict[str, ImagerMisalignment] | None = None,
        couch_errors: CouchErrors = CouchErrors(),
        archive: ArchiveKind | None = None,
        scene_file: Path | None = None,
    ) -> None:
        self.output = output
        self.settings = settings
        self.seed = seed
        self.archive_kind = archive
        self._start_position = start_position
        self._scene_file = scene_file
        self._patient = patient
        self._balls = (*balls, *(() if patient is None else patient.balls))
        self._couch_top = couch_top
        self._misalignments = misalignments or {}
        self._couch_errors = couch_errors
        # sockets need a short path, and their folder must not outlive the room
        self._run_folder = Path(tempfile.mkdtemp(prefix="isoalign-"))
        self.processes = ProcessGroup(output / "logs")
        self._controls: dict[str, SimulatorControl] = {}

    @property
    def daemon_socket(self) -> Path:
        """Where the device daemon listens."""
        return self._run_folder / "daemon.socket"

    @property
    def room_socket(self) -> Path:
        """Where the room process listens."""
        return self._run_folder / "room.socket"

    def start_machines(self) -> None:
        """Start couch, imager, pendant and gantry simulators (and the archive), and note their addresses."""
        position = [repr(value) for value in self._start_position.values]
        couch = self.processes.start(
            "couch",
            [
                "-m",
                "isoalign.simulators",
                "couch",
                "--seed",
                str(self.seed),
                "--start",
                *position,
                *self._couch_errors.arguments(),
            ],
        )
        pendant = self.processes.start("pendant", ["-m", "isoalign.simulators", "pendant"])
        gantry = self.processes.start(
            "gantry", ["-m", "isoalign.simulators", "gantry", "--seed", str(self.seed), "--arm-extended"]
        )
        if self.archive_kind is not None:
            assert self.settings.dicom is not None
            dicom = self.settings.dicom.model_copy(update={"port": free_port()})
            peer = start_archive(self.archive_kind, self.processes, self._run_folder, dicom)
            self._replace(dicom=dicom.model_copy(update={"archive": peer}))
        couch.wait_ready()
        scene = self._scene_file or self._write_scene(couch.ready["truth"])
        for number, imager in enumerate(self.settings.imager):
            self.processes.start(
                f"imager-{imager.name}",
                [
                    "-m",
                    "isoalign.simulators",
                    "imager",
                    "--name",
                    imager.name,
                    "--scene",
                    str(scene),
                    "--seed",
                    str(self.seed * 16 + number),
                ],
            )
        pendant.wait_ready()
        imagers = []
        for imager in self.settings.imager:
            ready = self.processes[f"imager-{imager.name}"].wait_ready()
            addresses = {role: ready[role] for role in ("generator", "panel", "image")}
            imagers.append({**imager.model_dump(), **addresses})
        couch_settings = {} if self.settings.couch is None else self.settings.couch.model_dump()
        self._replace(
            couch={**couch_settings, "serial": couch.ready["serial"], "baud": couch.ready["baud"]},
            pendant=pendant.ready["pendant"],
            gantry=gantry.wait_ready()["gantry"],
            imager=imagers,
        )

    def start_daemon(self, channels: ChannelTables | None = None) -> ChildProcess:
        """Start the device daemon; not yet ready."""
        return start_daemon(self.settings, self.processes, self._run_folder, self.daemon_socket, channels)

    def start_room(self) -> ChildProcess:
        """Start the room process; not yet ready. The daemon must be ready."""
        path = self._run_folder / "room.json"
        path.write_text(self.settings.model_dump_json(indent=2), encoding="utf-8")
        return self.processes.start(
            "room",
            [
                "-m",
                "isoalign.room.service",
                "--config",
                str(path),
                "--daemon",
                str(self.daemon_socket),
                "--socket",
                str(self.room_socket),
            ],
        )

    def ready_lines(self) -> list[dict[str, Any]]:
        """What each machine said when it was ready: its kind and its addresses."""
        names = ("couch", "pendant", "gantry", *(f"imager-{imager.name}" for imager in self.settings.imager))
        return [self.processes[name].ready for name in names]

    def control(self, name: str) -> SimulatorControl:
        """The truth-and-fault line of ``couch``, ``pendant``, ``gantry`` or ``imager-<name>``."""
        if name not in self._controls:
            key = "control" if name == "pendant" else "truth"
            self._controls[name] = SimulatorControl(self.processes[name].ready[key])
        return self._controls[name]

    def close(self) -> None:
        """Stop every process and remove the sockets."""
        for control in self._controls.values():
            control.close()
        self._controls.clear()
        self.processes.close()
        shutil.rmtree(self._run_folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _replace(self, **changes: Any) -> None:
        document = self.settings.model_dump(mode="json")
        for key, value in changes.items():
            document[key] = value.model_dump(mode="json") if hasattr(value, "model_dump") else value
        self.settings = RoomSettings.model_validate(document)

    def _write_scene(self, couch_truth: dict[str, Any]) -> Path:
        # the scene is the simulators' business; loading their reader here would load their kernels
        import numpy as np

        volume_name = None
        if self._patient is not None:
            volume_name = "patient.npz"
            volume = self._patient.volume
            np.savez(
                self._run_folder / volume_name,
                hounsfield=np.asarray(volume.hounsfield, dtype=np.int16),
                dicom_from_index=volume.dicom_from_index,
            )
        scene = {
            "volume": volume_name,
            "table_from_dicom": None if self._patient is None else self._patient.table_from_dicom.matrix.tolist(),
            "couch_top": self._couch_top,
            "spheres": [
                {"centre_mm": list(ball.centre_mm), "radius_mm": ball.radius_mm, "mu_per_mm": ball.mu_per_mm}
                for ball in self._balls
            ],
            "couch_truth": couch_truth,
            "fixed_table_position": None,
            "imagers": {imager.name: self._true_imager(imager.name) for imager in self.settings.imager},
            "seed": self.seed,
        }
        path = self._run_folder / "scene.json"
        path.write_text(json.dumps(scene), encoding="utf-8")
        return path

    def _true_imager(self, name: str) -> dict[str, Any]:
        believed = next(imager for imager in self.settings.imager if imager.name == name)
        off = self._misalignments.get(name, ImagerMisalignment())
        return {
            "gantry_angle_deg": believed.gantry_angle_deg + off.gantry_angle_deg,
            "sad_mm": believed.sad_mm + off.sad_mm,
            "sid_mm": believed.sid_mm + off.sid_mm,
            "rows": believed.rows,
            "columns": believed.columns,
            "pixel_mm": believed.pixel_mm,
            "receptor_translation_mm": [
                a + b for a, b in zip(believed.receptor_translation_mm, off.receptor_translation_mm, strict=True)
            ],
            "receptor_angle_deg": believed.receptor_angle_deg + off.receptor_angle_deg,
        }


def _couch_address(couch: CouchSettings) -> dict[str, Any]:
    return {"serial": couch.serial, "baud": couch.baud} if couch.tcp is None else couch.tcp.model_dump()


def start_daemon(
    settings: RoomSettings,
    processes: ProcessGroup,
    folder: Path,
    socket_path: Path,
    channels: ChannelTables | None = None,
) -> ChildProcess:
    """Write the device daemon's configuration and start it; not yet ready.

    Parameters
    ----------
    channels : ChannelTables, optional
        From a record of the couch's two channels and its stops.
    """
    couch = settings.couch
    config: dict[str, Any] = {
        "socket": str(socket_path),
        "room": settings.name,
        "couch": None if couch is None else _couch_address(couch),
        "pendant": None if settings.pendant is None else settings.pendant.model_dump(),
        "gantry": None if settings.gantry is None else settings.gantry.model_dump(),
        "imagers": [
            {
                "name": imager.name,
                "generator": imager.generator.model_dump(),
                "panel": imager.panel.model_dump(),
                "image": imager.image.model_dump(),
            }
            for imager in settings.imager
        ],
        **settings.interlocks.model_dump(exclude_none=True),
    }
    if couch is not None:
        config["clearance"] = daemon_clearance(settings.clearance)
        config["limits"] = {axis: list(limits) for axis, limits in couch.travel.limits().ranges.items()}
    if channels is not None:
        # no lag is a finding too: left out, the daemon would take what the couch says; below zero is the fit's noise
        config["secondary_lag_s"] = {axis: max(lag_s, 0.0) for axis, lag_s in channels.secondary_lag_s.items()}
        config["secondary_scale"] = channels.secondary_scale
        config["secondary_offset"] = channels.secondary_offset
        config["stop_reaction_s"] = {axis: max(time_s, 0.0) for axis, time_s in channels.stops.reaction_s.items()}
    path = folder / "daemon.json"
    path.write_text(json.dumps(config), encoding="utf-8")
    return processes.start("daemon", ["-m", "isoalign.devices.daemon", "--config", str(path), "--realtime"])
