"""The nouns of the interlock chain: what is known, how old it is, and what a rule is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Generic, TypeVar

from isoalign.geometry import AXES
from isoalign.records import AxisState

T = TypeVar("T")

LINEAR_AXES = frozenset(AXES[:3])
"""Axes in mm; the others are in degrees."""


class Reaction(Enum):
    """What an open rule demands, from the mildest to the hardest. Stop names: IEC 61800-5-2.

    ``REFUSE``: nothing may start. ``SS1``: controlled stop, then brakes. ``STO``: torque off at once.
    """

    REFUSE = 0
    SS1 = 1
    STO = 2


class Activity(Enum):
    """What the devices are doing; some rules only count in some activities."""

    IDLE = "idle"
    MOTION = "motion"
    EXPOSURE = "exposure"


class Brake(Enum):
    """State of the brakes as the couch reports it."""

    ENGAGED = "engaged"
    RELEASED = "released"
    UNKNOWN = "unknown"


class Circuit(Enum):
    """State of a hard-wired circuit: current flows only when it is closed."""

    CLOSED = "closed"
    OPEN = "open"
    UNKNOWN = "unknown"


class Torque(Enum):
    """What the drives report about their torque (STO feedback, IEC 61800-5-2)."""

    ON = "on"
    OFF = "off"
    UNKNOWN = "unknown"
    CONTRADICTORY = "contradictory"


class Beam(Enum):
    """State of the treatment beam as the room tells it."""

    OFF = "off"
    READY = "ready"
    ON = "on"


class Mover(Enum):
    """What moves in the activity ``MOTION``: one at a time."""

    COUCH = "couch motion"
    GANTRY = "gantry rotation"
    CONE_BEAM = "cone-beam rotation"
    ARM = "imager arm move"


class Arm(Enum):
    """Where the imager arm is, as the gantry reports it."""

    UNKNOWN = "unknown"
    STOWED = "stowed"
    MOVING = "moving"
    EXTENDED = "extended"


@dataclass(frozen=True, slots=True)
class Observation(Generic[T]):
    """A value and when it was last known to be true (monotonic seconds)."""

    value: T
    at_s: float

    def age_s(self, now_s: float) -> float:
        """Seconds since; never negative."""
        return max(0.0, now_s - self.at_s)


@dataclass(frozen=True, slots=True)
class CouchReport:
    """What one state frame of the couch says, as far as the chain needs it.

    Attributes
    ----------
    axes : tuple of AxisState
        Six axes in the order of ``AXES``, IEC 61217, mm and degrees (per second).
    following_error : tuple of float, optional
        Commanded minus read-back per axis; empty when the firmware does not tell.
    target : tuple of float, optional
        Where the present motion ends, or the read-back when there is none; empty when the driver does not tell.
    counter_age_s : float, optional
        How long the couch's own state counter had stood still when this report arrived; None when the driver does not
        watch it.
    """

    axes: tuple[AxisState, ...]
    referenced: bool
    brake: Brake
    standstill: bool
    faults: tuple[str, ...] = ()
    following_error: tuple[float, ...] = ()
    target: tuple[float, ...] = ()
    counter_age_s: float | None = None


@dataclass(frozen=True, slots=True)
class SafetyReport:
    """What the couch says about its hard-wired circuits, its sensors and its load.

    Attributes
    ----------
    touched : tuple of str
        Touch sensors that are pressed.
    touch_force_n : float or None
        Greatest force on one of them.
    drive_temperature_c : tuple of float
        Of each axis in the order of ``AXES``; NaN when unknown.
    payload_kg : float or None
        What lies on the table top, as measured.
    """

    emergency_stop: Circuit
    enable_circuit: Circuit
    torque: Torque
    touched: tuple[str, ...]
    touch_force_n: float | None
    drive_temperature_c: tuple[float, ...]
    payload_kg: float | None


@dataclass(frozen=True, slots=True)
class ImagerReport:
    """One imager that takes part in an exposure; ``panel_temperature_c`` is None when it is unknown."""

    name: str
    door: Circuit
    panel_temperature_c: float | None


@dataclass(frozen=True, slots=True)
class GantryReport:
    """What one state frame of the gantry says, as far as the chain needs it.

    Attributes
    ----------
    angle_deg, secondary_deg : float
        IEC 61217 gantry rotation by either encoder; NaN when it gives no value.
    speed_deg_per_s : float
        Signed; NaN when it is not told.
    standstill : bool
        Neither gantry nor imager arm moves.
    counter_age_s : float, optional
        As for :class:`CouchReport`.
    """

    angle_deg: float
    secondary_deg: float
    speed_deg_per_s: float
    arm: Arm
    standstill: bool
    faults: tuple[str, ...] = ()
    counter_age_s: float | None = None


@dataclass(frozen=True, slots=True)
class Inputs:
    """Everything the rules look at. None means: never heard of, which is never safe.

    Attributes
    ----------
    couch : Observation[CouchReport]
        ``at_s`` is when the state frame arrived.
    session_ok : Observation[bool]
        Session established, protocol version and dictionary agree.
    client_heartbeat : Observation[int]
        Counter of the client that owns the motion; ``at_s`` is when it last advanced.
    enable : Observation[bool]
        Whether the bar is in its middle position; ``at_s`` is when the token last advanced.
    rest : tuple of float
        Read-back when the last motion had ended; empty when unknown. For the watch over uncommanded motion.
    rest_payload_kg : float
        Load of the table top at that time; None when unknown.
    recent_payload_kg : (float, float)
        Least and greatest load of the last seconds: a position that is told follows the load only slowly. None when
        the load is not known now.
    safety : Observation[SafetyReport]
    payload_reference_kg : float
        Load of the table top when the present motion was planned.
    beam : Observation[Beam]
        ``at_s`` is when the counter of whoever tells it last advanced.
    calibration_is_valid : bool
    imagers : tuple of ImagerReport
        Those that take part in the present exposure.
    mover : Mover
        What moves, or is about to, while the activity is a motion.
    gantry, gantry_session_ok, gantry_rest_deg
        Of the gantry, as ``couch``, ``session_ok`` and ``rest`` of the couch; the rest is None when unknown.
    """

    activity: Activity
    couch: Observation[CouchReport] | None = None
    session_ok: Observation[bool] | None = None
    client_heartbeat: Observation[int] | None = None
    enable: Observation[bool] | None = None
    rest: tuple[float, ...] = ()
    safety: Observation[SafetyReport] | None = None
    payload_reference_kg: float | None = None
    beam: Observation[Beam] | None = None
    calibration_is_valid: bool | None = None
    imagers: tuple[ImagerReport, ...] = ()
    mover: Mover = Mover.COUCH
    gantry: Observation[GantryReport] | None = None
    gantry_session_ok: Observation[bool] | None = None
    gantry_rest_deg: float | None = None
    rest_payload_kg: float | None = None
    recent_payload_kg: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """Thresholds of the chain. Proposals for a room, to be confirmed by its hazard analysis.

    Attributes
    ----------
    soft_limits : dict of axis to (least, greatest)
        Already inside the limits of the device.
    secondary_lag_s : dict of axis to float
        The secondary channel shows the position of this long ago; used to align the channels while moving. Axes that
        are not named have ``secondary_lag_default_s``.
    sag_mm_per_kg, sag_deg_per_kg : float
        So far, at most, the table top sinks (vertical) and tilts (pitch) for each kilogram, as a couch tells it that
        allows for its load.
    secondary_scale, secondary_offset : dict of axis to float
        What a calibration of the channels has found: the secondary shows (1 + scale) times the primary, plus an offset
        in mm or degrees. Axes that are not named show the same.
    payload_range_kg : (float, float)
        A little below zero, for the noise of the load cell, to the load with which the couch was calibrated.
    """

    soft_limits: dict[str, tuple[float, float]] = field(default_factory=dict)
    state_limit_s: float = 0.150
    client_limit_s: float = 0.250
    enable_limit_s: float = 0.150
    secondary_lag_s: dict[str, float] = field(default_factory=dict)
    secondary_scale: dict[str, float] = field(default_factory=dict)
    secondary_offset: dict[str, float] = field(default_factory=dict)
    secondary_lag_default_s: float = 0.020
    disagreement_moving_mm: float = 1.0
    disagreement_moving_deg: float = 0.3
    disagreement_moving_for_s: float = 0.100
    disagreement_standing_mm: float = 0.3
    disagreement_standing_deg: float = 0.1
    disagreement_standing_for_s: float = 0.300
    disagreement_step_mm: float = 0.7
    disagreement_step_deg: float = 0.2
    disagreement_step_for_s: float = 0.050
    following_error_base_mm: float = 0.3
    following_error_base_deg: float = 0.1
    following_error_per_speed_s: float = 0.020
    following_error_for_s: float = 0.050
    soft_limit_slack_mm: float = 0.5
    soft_limit_slack_deg: float = 0.05
    speed_limit_mm_per_s: float = 50.0
    speed_limit_deg_per_s: float = 3.0
    speed_slack: float = 1.15
    speed_for_s: float = 0.050
    uncommanded_mm: float = 1.0
    uncommanded_deg: float = 0.2
    sag_mm_per_kg: float = 0.0
    sag_deg_per_kg: float = 0.0
    brake_slip_mm_per_s: float = 1.0
    brake_slip_deg_per_s: float = 0.2
    brake_slip_for_s: float = 0.100
    brake_release_for_s: float = 0.300
    brake_engage_for_s: float = 1.000
    off_path_mm: float = 1.5
    off_path_deg: float = 0.3
    off_path_for_s: float = 0.050
    stuck_mm: float = 1.0
    stuck_deg: float = 0.2
    stuck_mm_per_s: float = 0.5
    stuck_deg_per_s: float = 0.05
    stuck_for_s: float = 0.300
    safety_limit_s: float = 0.250
    torque_for_s: float = 0.300
    drive_temperature_limit_c: float = 80.0
    drive_temperature_for_s: float = 0.200
    payload_range_kg: tuple[float, float] = (-2.0, 150.0)
    payload_range_for_s: float = 0.500
    payload_change_kg: float = 10.0
    payload_change_for_s: float = 0.300
    beam_limit_s: float = 0.500
    panel_temperature_limit_c: float = 40.0
    gantry_secondary_lag_s: float = 0.020


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a condition does not hold. ``unknown``: because its input is missing or stale, which is never safe."""

    text: str
    unknown: bool = False


Check = Callable[[Inputs, Settings, float], Trouble | None]
"""None when the condition holds for the inputs, settings and time (monotonic seconds)."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of the chain.

    Attributes
    ----------
    rule_id : str
        Stable name, part of logs and of the documentation.
    condition : str
        What must hold, in words.
    source : str
        Who says so.
    reaction : Reaction
        Demanded while an activity of ``latches_in`` goes on; in other activities an open rule only refuses.
    latches_in : frozenset of Activity
        Activities in which an opening rule latches. In the others it opens and closes with its cause, and so does,
        while idle, a rule whose input is only unknown or stale.
    counts_in : frozenset of Activity
        Activities in which the rule is looked at.
    gates_motion, gates_exposure : bool
        Whether a motion, an exposure may start while the rule is open.
    cleared_by : str
        Who clears the latch.
    test_id : str
        The test that makes this rule trip alone.
    persists_s : callable
        How long the condition must be broken before the rule opens, seconds.
    is_usual_for_a_while : bool
        The condition is broken for a while in good order, so that this does not keep the chain from being cleared.
    refuses_clearing : bool
        Whether a broken condition that has not latched keeps other latches from being cleared.
    is_precondition : bool
        Looked at also before an activity begins, as if it had begun: the act is refused while the condition is broken.
    is_righted_by_arm : bool
        A move of the imager arm puts it right, so that it keeps neither that move nor a clear from being made.
    """

    rule_id: str
    condition: str
    source: str
    reaction: Reaction
    cleared_by: str
    test_id: str
    check: Check
    latches_in: frozenset[Activity]
    counts_in: frozenset[Activity]
    gates_motion: bool = True
    gates_exposure: bool = False
    persists_s: Callable[[Settings], float] = lambda _: 0.0
    is_usual_for_a_while: bool = False
    refuses_clearing: bool = True
    is_precondition: bool = False
    is_righted_by_arm: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """An open rule: what is wrong now, or was when it latched."""

    rule_id: str
    text: str
    reaction: Reaction
    latched: bool
    at_s: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The verdict over the whole chain at one instant.

    Attributes
    ----------
    open : tuple of Finding
        Latched and present causes in the order of the table.
    first_fault : Finding or None
        What latched first since the last clear; later faults are often only its consequences.
    tripped : tuple of Finding
        What latched in this very evaluation.
    reaction : Reaction or None
        The hardest reaction demanded by ``tripped``.
    motion_permitted, exposure_permitted, arm_permitted : bool
        Whether a motion of couch or gantry, an exposure, a move of the imager arm may begin.
    """

    open: tuple[Finding, ...]
    first_fault: Finding | None
    tripped: tuple[Finding, ...]
    reaction: Reaction | None
    motion_permitted: bool
    exposure_permitted: bool
    arm_permitted: bool = False
