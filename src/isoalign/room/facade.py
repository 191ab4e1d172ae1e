"""A blocking façade of a treatment room, for scripts and notebooks.

>>> import isoalign
>>> with isoalign.open_room(scene="ball-bearing", seed=1) as room:  # doctest: +SKIP
...     images = room.acquire()
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import threading
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from contextlib import ExitStack, aclosing
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import numpy as np

from isoalign.calibration import ChannelTables, RawFrame
from isoalign.clock import SystemClock
from isoalign.devices.client import DeviceClient
from isoalign.devices.status import DIRECT, NORMAL
from isoalign.errors import RemoteError
from isoalign.geometry import Fixed, Pose, ProjectionGeometry, TableTopPosition, fixed_from_table, setup_error
from isoalign.positioning import MoveProgress, planned_pose
from isoalign.records import Match, Radiograph, Technique
from isoalign.room.adapters import DaemonCouch, DaemonImagers
from isoalign.room.beam_images import read_beam_images
from isoalign.room.calibration import ALL_RECORDS, load_calibration
from isoalign.room.cases import Case, builtin_case, patient_to_match, read_case
from isoalign.room.errors import SettingsInvalid
from isoalign.room.kv_matchers import KvMatcher, PatientToMatch
from isoalign.room.processes import ProcessGroup
from isoalign.room.settings import RoomSettings, load_settings
from isoalign.room.simulation import Ball, CouchErrors, ImagerMisalignment, SimulatedRoom, start_daemon

__all__ = ["Room", "open_room", "read_beam_images"]

T = TypeVar("T")

PENDANT_HEARD_S = 5.0
AFTER_STOP_S = 2.2
"""The daemon keeps what it sees until two seconds after a stop."""
STOP_TEST = "stop test"
HOLD_CODE = "device.hold"
BALL_BEARING = "ball-bearing"
CUBE = "cube"
EMPTY = "empty"
TWO_BALLS = "two-balls"
OPEN_FIELD = "open-field"
MARKERS = "markers"
SCENES = (EMPTY, BALL_BEARING, TWO_BALLS, CUBE, OPEN_FIELD, MARKERS)
TWO_BALLS_MM = ((4.0, -6.0, 3.0), (58.0, 27.0, -9.0))
"""Where they are with the couch at its set-up position, fixed frame: one near the axis, one far from it."""
STEEL_MU_PER_MM = 0.95
"""Steel at 60 keV, 1.2 cm2/g times 7.9 g/cm3 (NIST XCOM for iron)."""


def open_room(
    config: Path | str | None = None,
    *,
    scene: str | None = None,
    seed: int = 0,
    misalignments: Mapping[str, ImagerMisalignment] | None = None,
    couch_errors: CouchErrors | None = None,
    records: Collection[str] | None = None,
) -> Room:
    """Open a treatment room and drive it with blocking calls; use it in a ``with`` statement.

    Parameters
    ----------
    config : path, optional
        ``room.toml`` of the room; the built-in example without it.
    scene : str, optional
        Simulate the machines, with this on the couch: "empty", "ball-bearing" (a phantom of 24 balls for the imagers),
        "two-balls" (for the axis of the couch), "cube" (for the daily check), "open-field" (not even a couch top in
        the X-rays, for the panels) or "markers" (a head with implanted markers, a little off its planned place, drawn
        from the seed). Without it the machines that the configuration names are driven.
    seed : int
        Of the simulated noise.
    misalignments : mapping of imager name to ImagerMisalignment, optional
        How the simulated imagers truly stand, as differences from the configuration. Without it they stand where the
        configuration says, but for the ball-bearing scene, where each is a little off, drawn from the seed: there the
        calibration has something to find.
    couch_errors : CouchErrors, optional
        How the simulated couch truly turns. Without it it turns about the isocentre, but for the scene of two balls,
        where its axis is a little off, drawn from the seed.
    records : collection of str, optional
        Which of the calibration records that the configuration names the room works with: "imagers", "couch",
        "detectors", "channels". All without it; none with simulated machines, which stand where the configuration
        says. A calibration leaves out the record that it is to replace, and what measures the couch needs what the
        couch itself says.

    Raises
    ------
    IsoalignError
        SettingsInvalid, ProcessFailed, a record that must not be used, or what the devices report.
    """
    settings = load_settings(None if config is None else Path(config))
    if scene is not None and scene not in SCENES:
        raise SettingsInvalid(f"unknown scene {scene!r}", hint=f"Use one of {', '.join(SCENES)}.")
    if misalignments is None and scene == BALL_BEARING:
        misalignments = _seeded_misalignments(settings, seed)
    if couch_errors is None:
        couch_errors = _seeded_couch_errors(seed) if scene == TWO_BALLS else CouchErrors()
    return Room(
        settings,
        scene=scene,
        seed=seed,
        misalignments=dict(misalignments or {}),
        couch_errors=couch_errors,
        records=(ALL_RECORDS if scene is None else ()) if records is None else records,
    )


class Room:
    """An open room; made by :func:`open_room`."""

    def __init__(
        self,
        settings: RoomSettings,
        *,
        scene: str | None,
        seed: int,
        misalignments: dict[str, ImagerMisalignment],
        couch_errors: CouchErrors,
        records: Collection[str],
    ) -> None:
        calibration = load_calibration(settings, SystemClock().utc(), use=records)
        self._stack = ExitStack()
        self.simulation: SimulatedRoom | None = None
        self._case: Case | None = None
        folder = Path(tempfile.mkdtemp(prefix="isoalign-"))
        self._stack.callback(shutil.rmtree, folder, ignore_errors=True)
        try:
            if scene is None:
                self.settings = settings
                socket = folder / "daemon.socket"
                group = self._stack.enter_context(ProcessGroup(folder))
                start_daemon(settings, group, folder, socket, calibration.channels).wait_ready()
            else:
                socket = self._start_simulation(
                    settings, folder, scene, seed, misalignments, couch_errors, calibration.channels
                )
            self._loop = self._start_loop()
            self._devices = self._run(DeviceClient.connect(socket, client="script"))
            self._stack.callback(lambda: self._run(self._devices.close()))
        except BaseException:
            self._stack.close()
            raise
        couch = self.settings.couch
        self._couch = DaemonCouch(self._devices, DIRECT if couch is None else couch.approach, calibration.couch)
        self._imagers = DaemonImagers(
            self._devices, self.settings, calibration.imagers, calibration.couch, calibration.detectors
        )

    def acquire(self, technique: Technique | None = None) -> tuple[Radiograph, ...]:
        """One image of every imager, with the couch at rest."""
        chosen = technique or self.settings.technique.technique()
        return tuple(self._run(self._imagers.acquire(chosen)))

    def patient(
        self,
        folder: Path | str | None = None,
        *,
        plan: str | None = None,
        structure_set: str | None = None,
        beam: int | None = None,
    ) -> PatientToMatch:
        """The patient of a folder of DICOM files, ready to be matched; without one, the head of the scene "markers".

        Parameters
        ----------
        folder : path, optional
            With a plan, its structure set and the CT.
        plan, structure_set : str, optional
            File or SOP Instance UID, where the folder leaves a choice.
        beam : int, optional
            Number of the beam for which the patient lies; the first one by default.

        Raises
        ------
        IsoalignError
            SettingsInvalid without a folder in another scene, or what is wrong with the files.
        """
        if folder is not None:
            return patient_to_match(read_case(Path(folder), plan=plan, structure_set=structure_set), beam)
        if self._case is None:
            raise SettingsInvalid("no patient lies in this scene", hint='Name a folder, or open the scene "markers".')
        return patient_to_match(self._case, beam)

    def match(
        self, patient: PatientToMatch, radiographs: Sequence[Radiograph] | None = None, *, method: str | None = None
    ) -> Match:
        """Where kV images show a patient; moves nothing.

        Parameters
        ----------
        patient : PatientToMatch
            From :meth:`patient`.
        radiographs : sequence of two Radiograph, optional
            Taken now when they are left out.
        method : str, optional
            "2d3d", "markers" or "2d2d"; as the configuration says without it.

        Returns
        -------
        Match
            With verdict and reasons, and what the images do not tell.

        Raises
        ------
        SettingsInvalid, NoPlannedMarkers
            Before anything is exposed.
        MatchError
        """
        matcher = KvMatcher(patient, self.settings.match, lambda _text, _fraction: None)
        self._run(matcher.use(method))
        return self._run(matcher.match(self.acquire() if radiographs is None else radiographs))

    def raw_frames(self, technique: Technique | None = None) -> dict[str, RawFrame]:
        """One frame of every panel as it was sent, by imager; without X-rays when there is no technique."""
        names = [imager.name for imager in self.settings.imager]
        if technique is None:
            return {one.imager: RawFrame(one.pixels, one.read_at) for one in self._run(self._devices.read_dark(names))}
        images = self._run(self._devices.expose(names, technique))
        return {one.imager: RawFrame(one.pixels, one.read_at or one.acquired_at) for one in images}

    def machine_geometry(self) -> dict[str, ProjectionGeometry]:
        """Imager name -> the geometry that the configuration gives it."""
        return {imager.name: imager.geometry() for imager in self.settings.imager}

    def couch_position(self) -> TableTopPosition:
        """Where the table top is by the read-back of the couch, IEC 61217."""
        return self._run(self._couch.position())

    def clear(self, reason: str, user: str) -> None:
        """Clear latched interlocks whose cause is gone; once before the first move of a script."""
        self._run(self._devices.clear(reason, user))

    def move_couch(
        self, target: TableTopPosition, *, on_progress: Callable[[MoveProgress], None] | None = None
    ) -> TableTopPosition:
        """Move the couch while the enable bar is held, and return where it stopped.

        In a simulated room the pendant's bar is pressed for the script.
        """

        async def move() -> TableTopPosition:
            async for progress in self._couch.move(target):
                if on_progress is not None:
                    on_progress(progress)
            return await self._couch.position()

        return self._with_bar(move)

    def travel(self) -> dict[str, tuple[float, float]]:
        """Axis -> least and greatest value to which the couch may go, IEC 61217, mm and degrees."""
        couch = self.settings.couch
        return {} if couch is None else dict(couch.travel.limits().ranges)

    def stop_on_the_way(
        self,
        target: TableTopPosition,
        *,
        at_fraction: float = 0.5,
        speed: str = NORMAL,
        on_progress: Callable[[MoveProgress], None] | None = None,
    ) -> list[dict[str, Any]]:
        """Move the couch, stop it at a part of its way, and return what was seen around the stop.

        Afterwards the stop is cleared, so that the next motion needs no other act.

        Parameters
        ----------
        target : TableTopPosition
        at_fraction : float
            0 to 1.
        speed : str
            "service", "normal" or "fast".
        on_progress : callable, optional

        Returns
        -------
        list of dict
            Samples from 2 s before to 2 s after, as :meth:`isoalign.devices.client.DeviceClient.fault_record` has them.

        Raises
        ------
        RemoteError
            When the motion ended in any other way.
        """

        async def work() -> list[dict[str, Any]]:
            plan = await self._devices.prepare(await self._couch.command_for(target), speed=speed)
            try:
                async with aclosing(self._devices.execute(plan)) as progress:
                    async for step in progress:
                        if on_progress is not None:
                            moved = MoveProgress(step.position, step.elapsed_s, step.expected_s, step.fraction)
                            on_progress(moved)
                        if step.fraction >= at_fraction:
                            await self._devices.hold(STOP_TEST)
            except RemoteError as error:
                if error.remote_code != HOLD_CODE:
                    raise
            await asyncio.sleep(AFTER_STOP_S)
            samples = (await self._devices.fault_record())["samples"]
            await self._devices.clear(STOP_TEST, "calibration")
            return list(samples)

        return self._with_bar(work)

    def _with_bar(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run a motion while the enable bar is held; in a simulated room it is pressed for the script."""
        if self.simulation is None:
            return self._run(work())
        self._run(self._couch_hears_pendant())
        pendant = self.simulation.control("pendant")
        pendant.ask("press")
        try:
            return self._run(work())
        finally:
            pendant.ask("release")

    async def _couch_hears_pendant(self) -> None:
        """A press counts only for a couch that has seen the bar released in this session."""
        async with asyncio.timeout(PENDANT_HEARD_S), aclosing(self._devices.statuses()) as statuses:
            async for status in statuses:
                if status.couch_hears_pendant:
                    return

    def hold(self, reason: str) -> None:
        """Stop all motion."""
        self._run(self._couch.hold(reason))

    def close(self) -> None:
        """Close the room; the couch stops, simulators end."""
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _start_simulation(
        self,
        settings: RoomSettings,
        folder: Path,
        scene: str,
        seed: int,
        misalignments: dict[str, ImagerMisalignment],
        couch_errors: CouchErrors,
        channels: ChannelTables | None,
    ) -> Path:
        setup, lying = settings.session_settings().default_setup, None
        if scene == MARKERS:
            self._case = builtin_case(gold_markers=True)
            planned = planned_pose(self._case.plan.patient_position, self._case.plan.beam())
            lying = self._case.on_couch(planned, setup, _seeded_setup_error(seed))
        simulation = SimulatedRoom(
            settings,
            folder,
            setup,
            seed=seed,
            patient=lying,
            balls=_balls_of(scene, setup),
            couch_top=scene != OPEN_FIELD,
            misalignments=misalignments,
            couch_errors=couch_errors,
        )
        self._stack.enter_context(simulation)
        simulation.start_machines()
        simulation.start_daemon(channels).wait_ready()
        self.simulation = simulation
        self.settings = simulation.settings
        return simulation.daemon_socket

    def _start_loop(self) -> asyncio.AbstractEventLoop:
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, name="isoalign-room", daemon=True)
        thread.start()

        def stop() -> None:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

        self._stack.callback(stop)
        return loop

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


def _balls_of(scene: str, setup: TableTopPosition) -> tuple[Ball, ...]:
    """What lies on the couch, with the couch at its set-up position."""
    from isoalign.calibration import WALK_OUT_BALL_RADIUS_MM, built_in_phantom, cube_phantom

    if scene in {BALL_BEARING, CUBE}:
        phantom = built_in_phantom() if scene == BALL_BEARING else cube_phantom()
        centres, radius_mm = phantom.centres_mm, phantom.radius_mm
    elif scene == TWO_BALLS:
        centres, radius_mm = np.array(TWO_BALLS_MM), WALK_OUT_BALL_RADIUS_MM
    else:
        return ()
    on_table = fixed_from_table(setup).inverse().apply(centres)
    return tuple(Ball((float(x), float(y), float(z)), radius_mm, STEEL_MU_PER_MM) for x, y, z in on_table)


def _seeded_setup_error(seed: int) -> Pose[Fixed, Fixed]:
    """Up to 8 mm along and 2 degrees about every axis."""
    draw = np.random.default_rng([seed, 0x5E7])
    return setup_error(*(float(value) for value in (*draw.uniform(-8.0, 8.0, 3), *draw.uniform(-2.0, 2.0, 3))))


def _seeded_couch_errors(seed: int) -> CouchErrors:
    """An axis up to 0.7 mm beside the isocentre that leans by up to 0.1 degrees."""
    draw = np.random.default_rng([seed, 0xA815])
    x, y = (float(value) for value in draw.uniform(-0.5, 0.5, 2))
    lean_x, lean_y = (float(value) for value in draw.uniform(-0.07, 0.07, 2))
    return CouchErrors(axis_offset_mm=(x, y), axis_lean_deg=(lean_x, lean_y))


def _seeded_misalignments(settings: RoomSettings, seed: int) -> dict[str, ImagerMisalignment]:
    """Misalignments of realistic size: a panel shifted by up to 2 mm and turned by up to 0.5 degrees on its arm."""
    rng = np.random.default_rng([seed, 0xCA1])
    found = {}
    for imager in settings.imager:
        x, y = (float(value) for value in rng.uniform(-2.0, 2.0, 2))
        turn, angle = (float(value) for value in rng.uniform(-0.5, 0.5, 2))
        found[imager.name] = ImagerMisalignment(
            gantry_angle_deg=0.5 * angle, receptor_translation_mm=(x, y), receptor_angle_deg=turn
        )
    return found
