"""The main job in a simulated room: from plan to report, every machine a process of its own."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from isoalign.calibration import ChannelTables
from isoalign.clock import SystemClock
from isoalign.errors import IsoalignError, RemoteError
from isoalign.geometry import (
    DicomPatient,
    Fixed,
    Pose,
    Representation,
    TableTopPosition,
    fixed_from_table,
    residual_of,
    setup_error,
)
from isoalign.positioning import planned_pose, setup_position
from isoalign.records import SessionRecord, SimulationTruth, components_in_words
from isoalign.room.archives import ArchiveKind
from isoalign.room.calibration import load_calibration
from isoalign.room.cases import Case, builtin_case, read_case, store_case, with_gold_markers
from isoalign.room.clearance import example_clearance
from isoalign.room.client import RoomClient
from isoalign.room.demo_calibration import MachineErrors, calibrate_room, machine_errors
from isoalign.room.in_room_ct import FIELD_OPEN
from isoalign.room.kv_matchers import IN_WORDS
from isoalign.room.settings import MatchMethod, RoomSettings, StorageSettings, load_settings
from isoalign.room.simulated_scanner import SimulatedScanner, with_simulated_scanner
from isoalign.room.simulation import PatientOnCouch, SimulatedRoom

OnEvent = Callable[[str, str, float | None], None]
"""``on_event(kind, text, fraction)``: kind is "begin", "progress", "done" or "note"."""

HIDDEN_ERROR_MM = 10.0
HIDDEN_ERROR_DEG = 3.0
HIDDEN_DEG: dict[MatchMethod, float] = {"2d3d": HIDDEN_ERROR_DEG, "markers": HIDDEN_ERROR_DEG, "2d2d": 0.5}
"""Largest drawn turn about an axis. A 2D/2D match models no turns out of the images, and does not tell one of three."""
PARKED_OFFSET_MM = (35.0, -120.0, -60.0)
USER = "demo"


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What a demonstration is asked to do.

    Attributes
    ----------
    case : Path or None
        Folder of DICOM files; None makes a head phantom.
    plan, structure_set : str or None
        File or SOP Instance UID, where the case leaves a choice.
    offset : six floats or None
        The hidden set-up error (mm, degrees); None draws it from the seed within +-10 mm and +-3 degrees.
    in_room_ct : bool
        Whether the set-up images are a CT of an in-room scanner.
    support_angle_deg : float
        Patient support angle that the plan of the made head phantom asks for.
    machine_errors : bool
        Whether imagers and couch stand and move otherwise than the room believes.
    calibrate : bool
        Whether imagers and couch are calibrated before, and the room works with the records.
    match : str or None
        How kV pairs are matched: "2d3d", "markers" or "2d2d"; None as the configuration says. For "markers" the made
        head phantom has implanted markers.
    """

    output: Path
    case: Path | None = None
    plan: str | None = None
    structure_set: str | None = None
    seed: int = 0
    offset: tuple[float, float, float, float, float, float] | None = None
    archive: str = "embedded"
    config: Path | None = None
    in_room_ct: bool = False
    support_angle_deg: float = 0.0
    machine_errors: bool = False
    calibrate: bool = False
    match: MatchMethod | None = None


def hidden_error(
    seed: int, offset: tuple[float, ...] | None, largest_deg: float = HIDDEN_ERROR_DEG
) -> Pose[Fixed, Fixed]:
    """The set-up error that is planted: the given one, or one drawn from the seed."""
    if offset is not None:
        return setup_error(*offset)
    rng = np.random.default_rng([seed, 0x15CA])
    shift = rng.uniform(-HIDDEN_ERROR_MM, HIDDEN_ERROR_MM, 3)
    turn = rng.uniform(-largest_deg, largest_deg, 3)
    return setup_error(*(float(value) for value in (*shift, *turn)))


def run_demo(options: DemoOptions, on_event: OnEvent) -> SessionRecord:
    """Run the whole way once; returns the record of the session, with the truth disclosed.

    A refused match and a residual out of tolerance end in a record that says so; every other failure is raised.

    Raises
    ------
    IsoalignError
        Names the cause and the next step; the couch is at rest and every process has been stopped.
    """
    return asyncio.run(_Demonstration(options, on_event).run())


class _Demonstration:
    def __init__(self, options: DemoOptions, on_event: OnEvent) -> None:
        self._options = options
        self._say = on_event
        self._kind = ArchiveKind(options.archive)
        base = load_settings(options.config)
        self._settings = base.model_copy(
            update={
                "storage": StorageSettings(folder=(options.output / "room-data").resolve()),
                "clearance": base.clearance or example_clearance(),
            }
        )
        if options.match is not None:
            match = base.match.model_copy(update={"method": options.match})
            self._settings = self._settings.model_copy(update={"match": match})
        self._method = self._settings.match.method
        if options.in_room_ct:
            self._settings = with_simulated_scanner(self._settings)
        self._patient: PatientOnCouch | None = None
        self._channels: ChannelTables | None = None

    async def run(self) -> SessionRecord:
        case = self._prepare_case()
        erring = self._options.machine_errors
        errors = machine_errors(self._settings, self._options.seed) if erring else MachineErrors()
        if self._options.calibrate:
            await self._calibrate(errors, case)
        # a record that must not be used is told at once
        self._channels = load_calibration(self._settings, SystemClock().utc()).channels
        planned = planned_pose(case.plan.patient_position, case.plan.beam())
        setup = setup_position(case.plan.beam(), self._settings.session_settings().default_setup)
        error = hidden_error(self._options.seed, self._options.offset, HIDDEN_DEG[self._method])
        patient = case.on_couch(planned, setup, error)
        self._patient = patient
        with SimulatedRoom(
            self._settings,
            self._options.output,
            _parked(setup, self._settings),
            seed=self._options.seed,
            patient=patient,
            archive=self._kind,
            misalignments=errors.imagers,
            couch_errors=errors.couch,
        ) as room:
            await self._start(room, case)
            async with await RoomClient.connect(room.room_socket) as client:
                record = await self._session(room, client, case)
            truth = _disclose(room, patient, planned, error, _told(record), self._options.seed)
        return dataclasses.replace(record, truth=truth)

    async def _calibrate(self, errors: MachineErrors, case: Case) -> None:
        self._say("begin", "Calibrating kV imagers and couch", None)
        stated = await asyncio.to_thread(
            calibrate_room,
            self._settings,
            errors,
            self._options.output / "calibration",
            self._options.seed,
            case.plan.beam().patient_support_angle_deg,
            lambda text, fraction: self._say("progress", text, fraction),
        )
        self._settings = self._settings.model_copy(update={"calibration": stated})
        self._say("done", f"signed records {stated.imagers} and {stated.couch}", None)

    def _prepare_case(self) -> Case:
        if self._options.case is None:
            markers = self._method == "markers"
            self._say("begin", "Making a head phantom" + (" with implanted markers" if markers else ""), None)
            case = builtin_case(self._options.support_angle_deg, gold_markers=markers)
        else:
            self._say("begin", f"Reading {self._options.case}", None)
            case = read_case(self._options.case, plan=self._options.plan, structure_set=self._options.structure_set)
            if self._method == "markers":
                case = with_gold_markers(case, self._settings.match)
        self._say("done", f"{case.plan.label}: {case.volume.hounsfield.shape[0]} CT slices", None)
        for warning in case.warnings:
            self._say("note", warning, None)
        return case

    async def _start(self, room: SimulatedRoom, case: Case) -> None:
        self._say("begin", "Starting couch, imagers, pendant and archive", None)
        await asyncio.to_thread(room.start_machines)
        daemon = room.start_daemon(self._channels)
        self._say("done", f"{len(room.settings.imager)} imagers, archive {self._kind.value}", None)
        self._say("begin", "Storing the case in the archive (C-STORE)", None)
        assert room.settings.dicom is not None
        count = await asyncio.to_thread(
            store_case, case, room.settings.dicom.archive, lambda text, fraction: self._say("progress", text, fraction)
        )
        self._say("done", f"{count} objects", None)
        self._say("begin", "Starting device daemon and room process", None)
        await asyncio.to_thread(daemon.wait_ready)
        await asyncio.to_thread(room.start_room().wait_ready)
        self._say("done", "", None)

    async def _session(self, room: SimulatedRoom, client: RoomClient, case: Case) -> SessionRecord:
        try:
            await self._align(room, client, case)
        except RemoteError as error:
            if error.remote_code != "match.refused":
                await self._hold(client, str(error))
                raise
            self._say("failed", f"{error.message}. Nothing was moved by it.", None)
        except BaseException:
            await self._hold(client, "the demonstration was interrupted")
            raise
        return await client.record()

    async def _align(self, room: SimulatedRoom, client: RoomClient, case: Case) -> None:
        loaded = await self._act(
            client,
            "Loading the patient (C-ECHO, C-MOVE of plan, structure set, CT)",
            "load",
            plan_uid=case.plan.sop_instance_uid,
            structure_set_uid=case.structure_set_uid,
        )
        self._say("done", f"plan {loaded['plan_label']}, {loaded['slices']} slices", None)
        moved = await self._move(room, client, "Couch to the set-up position", "move_to_setup")
        self._say("done", "", None)
        self._say_clearance(moved)
        if self._options.in_room_ct:
            found = await self._scan(room, client, case)
        else:
            found = await self._act(client, f"Orthogonal kV pair and {IN_WORDS[self._method]}", "image_and_match")
        self._say("done", _found_in_words(found), None)
        correction = found["correction"]
        self._say("note", "target  IEC 61217            " + _six(correction["target_iec"]), None)
        self._say("note", "        Isocentric Standard  " + _six(correction["target_isocentric"]), None)
        if correction["limited_axes"]:
            self._say("note", f"limited and re-centred: {', '.join(correction['limited_axes'])}", None)
        if correction["not_corrected"]:
            untold = components_in_words(tuple(correction["not_corrected"]))
            self._say("note", f"not available from these images, and not corrected: {untold}", None)
        await self._act(client, "Approve (first act)", "approve", correction_id=correction["id"], user=USER)
        self._say("done", f"correction {correction['id']} approved by '{USER}'; nothing has moved", None)
        moved = await self._move(room, client, "Move (second act)", "move")
        self._say("done", "", None)
        self._say_clearance(moved)
        with_day = self._options.in_room_ct and self._method == "2d3d"
        pair = "kV pair and match to the in-room CT" if with_day else "Second kV pair and match"
        proof = await self._act(client, pair, "image_and_match")
        verdict = ("within" if proof["within_tolerance"] else "OUT OF") + " tolerance"
        if proof["not_available"]:
            verdict += " as far as the images tell"
        self._say("done", f"residual {_found_in_words(proof)}: {verdict}", None)
        sent = await self._act(client, "Images and Spatial Registrations to the archive (C-STORE)", "close")
        self._say("done", f"{len(sent['objects'])} objects" + (sent["waiting"] and f"; {sent['waiting']}"), None)

    async def _scan(self, room: SimulatedRoom, client: RoomClient, case: Case) -> dict[str, Any]:
        """A CT of the in-room scanner, which sends while the field is open."""
        assert room.settings.dicom is not None
        assert room.settings.dicom.in_room_ct is not None
        assert self._patient is not None
        scanner = SimulatedScanner(room.settings.dicom.in_room_ct, room.settings.dicom.host)
        lies = fixed_from_table(room.control("couch").true_position()) @ self._patient.table_from_dicom
        self._say("begin", "In-room CT: scanning", None)
        seed = self._options.seed
        images = await asyncio.to_thread(lambda: scanner.scan(case.volume, lies, case.plan, seed=seed))
        self._say("done", f"{len(images)} images", None)
        self._say("begin", "In-room CT: C-STORE, storage commitment and 3D/3D match", None)
        field_open = asyncio.Event()

        def progress(step: str, text: str, fraction: float | None) -> None:
            if text == FIELD_OPEN:
                field_open.set()
            if step != "state":
                self._say("progress", text, fraction)

        act = asyncio.create_task(client.act("scan_and_match", progress))
        opened = asyncio.create_task(field_open.wait())
        try:
            await asyncio.wait([act, opened], return_when=asyncio.FIRST_COMPLETED)
            if field_open.is_set():
                await asyncio.to_thread(scanner.deliver, images, lambda _text, _fraction: None)
            return await act
        finally:
            opened.cancel()
            act.cancel()

    def _say_clearance(self, moved: dict[str, Any]) -> None:
        words = f"clearance on the way: {moved['clearance']}"
        if moved["not_checked"]:
            words += f"; not checked: {', '.join(moved['not_checked'])}"
        self._say("note", words, None)

    async def _move(self, room: SimulatedRoom, client: RoomClient, title: str, act: str) -> dict[str, Any]:
        pendant = room.control("pendant")
        pressed = asyncio.create_task(asyncio.to_thread(pendant.ask, "press"))
        try:
            return await self._act(client, f"{title} (enable bar pressed on the pendant)", act)
        finally:
            await pressed
            await asyncio.to_thread(pendant.ask, "release")

    async def _act(self, client: RoomClient, title: str, name: str, **parameters: Any) -> dict[str, Any]:
        self._say("begin", title, None)

        def progress(step: str, text: str, fraction: float | None) -> None:
            if step != "state":
                self._say("progress", text, fraction)

        return await client.act(name, progress, **parameters)

    async def _hold(self, client: RoomClient, reason: str) -> None:
        with suppress(IsoalignError):
            await asyncio.shield(client.hold(reason))


def _parked(setup: TableTopPosition, settings: RoomSettings) -> TableTopPosition:
    """Where the couch stands before the session: away from the set-up position, inside travel."""
    lateral, longitudinal, vertical = PARKED_OFFSET_MM
    values = setup.values
    parked = TableTopPosition(
        Representation.IEC_61217,
        values[0] + lateral,
        values[1] + longitudinal,
        values[2] + vertical,
        patient_support_angle_deg=values[5],
    )
    travel = settings.session_settings().limits.travel
    return setup if travel.violations(parked) else parked


def _disclose(
    room: SimulatedRoom,
    patient: PatientOnCouch,
    planned: Pose[Fixed, DicomPatient],
    error: Pose[Fixed, Fixed],
    told: TableTopPosition | None,
    seed: int,
) -> SimulationTruth:
    """What the simulators knew, judged by the couch's true pose, never by a match."""
    true_table = fixed_from_table(room.control("couch").true_position())
    true_pose = true_table @ patient.table_from_dicom
    stated = None if told is None else residual_of(true_table @ fixed_from_table(told).inverse())
    return SimulationTruth(residual_of(error), residual_of(true_pose @ planned.inverse()), seed, stated)


def _told(record: SessionRecord) -> TableTopPosition | None:
    """Where the room said last that the table top is."""
    if record.arrived is not None or not record.passes:
        return record.arrived
    return record.passes[-1].table_top


def _found_in_words(found: dict[str, Any]) -> str:
    x, y, z = found["translation_mm"]
    turns = (
        f"{axis} " + ("not available" if f"{axis}_deg" in found["not_available"] else f"{found[f'{axis}_deg']:+.2f}")
        for axis in ("pitch", "roll", "yaw")
    )
    return f"lateral {x:+.2f}, longitudinal {y:+.2f}, vertical {z:+.2f} mm; {', '.join(turns)} deg"


def _six(values: list[float]) -> str:
    return (
        "  ".join(f"{value:+9.2f}" for value in values[:3])
        + " mm"
        + "".join(f"  {v:+6.2f}" for v in values[3:])
        + " deg"
    )
