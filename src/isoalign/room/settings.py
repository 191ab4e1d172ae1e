"""The room's configuration: one typed ``room.toml``; an unknown key is an error that names its path."""

from __future__ import annotations

import json
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import PydanticCustomError

from isoalign.dicom.object_settings import CharacterRepertoire, ObjectSettings, PrivateCreators
from isoalign.geometry import (
    ImagerAxis,
    InvalidGeometry,
    MachineScale,
    PixelGrid,
    ProjectionGeometry,
    Representation,
    TableTopPosition,
    TravelLimits,
    scale_from_mapping,
)
from isoalign.positioning import CorrectionLimits, SessionSettings
from isoalign.records import Technique, Tolerance
from isoalign.room.errors import SettingsInvalid, SettingsMissing
from isoalign.room.position_notations import BUILT_IN_NAMES

Range = Annotated[tuple[float, float], Field(description="least and greatest value")]
Port = Annotated[int, Field(ge=1, le=65535)]
AeTitle = Annotated[str, Field(min_length=1, max_length=16, pattern=r"^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$")]
PrivateCreator = Annotated[
    str, Field(min_length=1, max_length=64, pattern=r"^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$")
]
Positive = Annotated[float, Field(gt=0)]

SCALE_PROBLEM = "machine_scale"
"""Kind of a problem whose words name the path themselves."""


class Section(BaseModel):
    """A table of the file: frozen, no unknown keys, finite numbers only."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Address(Section):
    """A TCP address."""

    host: str = "127.0.0.1"
    port: Port


class ToleranceSettings(Section):
    """Largest accepted residual."""

    distance_mm: Positive = 0.5
    angle_deg: Positive = 0.3


class CorrectionSettings(Section):
    """Largest set-up error that the couch may correct by itself."""

    largest_shift_mm: Positive = 30.0
    largest_rotation_deg: Positive = 8.0


class TravelSettings(Section):
    """Travel of the couch in IEC 61217."""

    lateral_mm: Range = (-250.0, 250.0)
    longitudinal_mm: Range = (0.0, 1500.0)
    vertical_mm: Range = (-500.0, 100.0)
    pitch_deg: Range = (-5.0, 5.0)
    roll_deg: Range = (-5.0, 5.0)
    patient_support_angle_deg: Range = (-95.0, 95.0)

    def limits(self) -> TravelLimits:
        """As the geometry kernel wants it."""
        return TravelLimits({name.removesuffix("_mm").removesuffix("_deg"): value for name, value in self})


class PositionSettings(Section):
    """A table-top position in IEC 61217."""

    lateral_mm: float = 0.0
    longitudinal_mm: float = 700.0
    vertical_mm: float = -120.0
    pitch_deg: float = 0.0
    roll_deg: float = 0.0
    patient_support_angle_deg: float = 0.0

    def position(self) -> TableTopPosition:
        """As the geometry kernel wants it."""
        return TableTopPosition(Representation.IEC_61217, *(value for _, value in self))


class CouchSettings(Section):
    """The couch: where its serial line or its TCP port is, how far it goes, where a set-up begins."""

    serial: str = "/dev/ttyUSB0"
    baud: Annotated[int, Field(ge=9600)] = 921_600
    tcp: Address | None = None
    travel: TravelSettings = TravelSettings()
    setup_position: PositionSettings = PositionSettings()
    approach: Literal["direct", "unidirectional"] = "direct"

    @model_validator(mode="after")
    def _setup_within_travel(self) -> Self:
        over = self.travel.limits().violations(self.setup_position.position())
        if over:
            raise ValueError(f"setup_position lies outside travel: {', '.join(over)}")
        return self


class ClearanceSettings(Section):
    """What couch and patient must keep clear of, and where the rest of the machine stands."""

    model: Annotated[str, Field(min_length=1, description='"example", or a JSON or TOML file')]
    required_mm: Positive = 30.0
    step_mm: Positive = 2.0
    timeout_s: Positive = 5.0
    gantry_angle_deg: float | None = Field(default=None, description="None is unknown, and never clear")
    snout_extension_mm: float | None = None
    arm_angles_deg: dict[str, float] = Field(default_factory=dict)


class InterlockSettings(Section):
    """What the device daemon watches in this room; what is left out is as the daemon has it.

    The keys are those of :class:`~isoalign.devices.config.DaemonConfig`.
    """

    beam: bool | None = Field(default=None, description="whether the room tells the state of its treatment beam")
    payload_range_kg: Range | None = None
    payload_change_kg: Positive | None = None
    sag_mm_per_kg: Positive | None = Field(default=None, description="of a couch that allows for its load")
    sag_deg_per_kg: Positive | None = Field(default=None, description="of a couch that allows for its load")
    drive_temperature_limit_c: Positive | None = None
    panel_temperature_limit_c: Positive | None = None
    panel_lag_limit_percent: Positive | None = None
    speed_class: Literal["service", "normal", "fast"] | None = None
    observation: Literal["in-room", "remote"] | None = None
    dry_run_expiry_s: Positive | None = None


class ImagerSettings(Section):
    """One kV imager: its geometry in the terms of RT Image, and its three addresses."""

    name: Annotated[str, Field(min_length=1, max_length=16)]
    gantry_angle_deg: float
    sad_mm: Positive = 1000.0
    sid_mm: Positive = 1500.0
    rows: Annotated[int, Field(ge=16, le=8192)] = 1024
    columns: Annotated[int, Field(ge=16, le=8192)] = 768
    pixel_mm: Positive = 0.388
    receptor_translation_mm: tuple[float, float] = (0.0, 0.0)
    receptor_angle_deg: float = 0.0
    generator: Address
    panel: Address
    image: Address

    @model_validator(mode="after")
    def _panel_beyond_isocentre(self) -> Self:
        if self.sid_mm <= self.sad_mm:
            raise ValueError(f"sid_mm {self.sid_mm:g} must exceed sad_mm {self.sad_mm:g}")
        return self

    def geometry(self) -> ProjectionGeometry:
        """The geometry that the room believes the imager to have."""
        axis = ImagerAxis(
            self.gantry_angle_deg, self.sad_mm, self.sid_mm, self.receptor_translation_mm, self.receptor_angle_deg
        )
        return ProjectionGeometry.from_axis(axis, PixelGrid.centred(self.rows, self.columns, self.pixel_mm))


class TechniqueSettings(Section):
    """Exposure settings of the kV images."""

    tube_voltage_kv: Annotated[float, Field(ge=40, le=150)] = 100.0
    tube_current_ma: Annotated[float, Field(gt=0, le=1000)] = 100.0
    exposure_time_ms: Annotated[float, Field(gt=0, le=5000)] = 50.0

    def technique(self) -> Technique:
        """As a record."""
        return Technique(self.tube_voltage_kv, self.tube_current_ma, self.exposure_time_ms)


MatchMethod = Literal["2d3d", "markers", "2d2d"]


class KvMatchSettings(Section):
    """How kV pairs are matched to the planning CT, and what implanted markers look like."""

    method: MatchMethod = "2d3d"
    marker_diameter_mm: Annotated[float, Field(gt=0, le=30)] = 1.6
    marker_length_mm: Annotated[float | None, Field(gt=0, le=30, description="of seeds; None: balls")] = None

    @model_validator(mode="after")
    def _length_not_below_diameter(self) -> Self:
        if self.marker_length_mm is not None and self.marker_length_mm < self.marker_diameter_mm:
            raise ValueError("marker_length_mm must not be below marker_diameter_mm")
        return self


class PeerSettings(Section):
    """A DICOM peer."""

    ae_title: AeTitle
    host: str = "127.0.0.1"
    port: Port
    tls: bool = False
    certificates: tuple[str, ...] = Field(
        default=(), description="sha256:FINGERPRINT or the name in a certificate; empty: any that is trusted"
    )


class TlsFiles(Section):
    """Certificates of the DICOM node (PEM)."""

    certificate: Path
    key: Path
    trusted: Path
    check_host_name: bool = True


class InRoomCtSettings(Section):
    """The in-room CT that may send while an imaging field for it is active."""

    ae_title: AeTitle = "PTI-SCP"
    port: Port = 9076
    scanner: PeerSettings
    commitment_over_new_association: bool = False
    waiting_s: Positive = Field(default=1800.0, description="then a field in which nothing was confirmed is closed")
    origin_mm: tuple[float, float, float] = Field(
        default=(0.0, 0.0, 0.0), description="origin of the scanner's images in the fixed frame (IEC 61217)"
    )


class PrivateCreatorSettings(Section):
    """Creators of the private attributes, one for each group."""

    group_3253: PrivateCreator = PrivateCreators().group_3253
    group_3263: PrivateCreator = PrivateCreators().group_3263
    group_3271: PrivateCreator = PrivateCreators().group_3271
    group_3273: PrivateCreator = PrivateCreators().group_3273
    group_3275: PrivateCreator = PrivateCreators().group_3275


class DicomSettings(Section):
    """The room's DICOM node and the treatment management system it talks to."""

    ae_title: AeTitle = "PTImageClient"
    host: str = "127.0.0.1"
    port: Port = 51_700
    archive: PeerSettings
    accept: Literal["requested", "any"] = "requested"
    addresses: tuple[str, ...] = Field(default=(), description="empty: those of archive.host")
    association_timeout_s: Positive = 300.0
    response_timeout_s: Positive = 300.0
    receive_pdu_bytes: Annotated[int, Field(ge=0, le=16_777_216)] = 131_072
    send_pdu_bytes: Annotated[int, Field(ge=4_096, le=16_777_216)] = 32_768
    maximum_associations: Annotated[int, Field(ge=1, le=64)] = 3
    tls: TlsFiles | None = None
    in_room_ct: InRoomCtSettings | None = None
    station_name: Annotated[str, Field(max_length=16, description="empty: the machine's name")] = ""
    characters: CharacterRepertoire = CharacterRepertoire.UTF_8
    ihe_ro_registration: bool = True
    exposure_as_stated: bool = False
    private_creators: PrivateCreatorSettings = PrivateCreatorSettings()

    @field_validator("receive_pdu_bytes")
    @classmethod
    def _pdu_length_makes_sense(cls, stated: int) -> int:
        if 0 < stated < 4_096:
            raise ValueError("must be 0 (no limit is announced) or at least 4096")
        return stated

    @model_validator(mode="after")
    def _tls_has_certificates(self) -> Self:
        if self.archive.tls and self.tls is None:
            raise ValueError("archive.tls needs the section dicom.tls")
        peers = [self.archive, *([] if self.in_room_ct is None else [self.in_room_ct.scanner])]
        if self.tls is None and any(one.certificates for one in peers):
            raise ValueError("certificates of a peer need the section dicom.tls")
        return self

    def objects(self, machine_name: str) -> ObjectSettings:
        """How the room's objects are written."""
        return ObjectSettings(
            creators=PrivateCreators(**self.private_creators.model_dump()),
            characters=self.characters,
            ihe_ro_registration=self.ihe_ro_registration,
            exposure_as_stated=self.exposure_as_stated,
            station_name=self.station_name or machine_name,
        )


class StorageSettings(Section):
    """Where received objects and the database live."""

    folder: Path
    database_url: str = Field(default="", description="empty: SQLite in the folder")


class CalibrationSettings(Section):
    """Signed calibration records that the room works with, and how it knows that they are its own."""

    seal: Annotated[Path, Field(description="public half of the room's key")]
    imagers: Annotated[Path | None, Field(description="record of the kV imagers' geometry")] = None
    couch: Annotated[Path | None, Field(description="record of the couch: walk-out of its axis, or kinematics")] = None
    detectors: Annotated[Path | None, Field(description="record of the panels' offset, gain, defects and lag")] = None
    detector_maps: Annotated[Path | None, Field(description="the maps for which that record was signed")] = None
    channels: Annotated[Path | None, Field(description="record of the couch's two channels and its stops")] = None
    devices: dict[str, str] = Field(
        default_factory=dict, description="serial numbers by role, as the records name them"
    )

    @model_validator(mode="after")
    def _maps_go_with_their_record(self) -> Self:
        if (self.detectors is None) != (self.detector_maps is None):
            raise ValueError("detectors and detector_maps go together")
        return self


class AxisScaleSettings(Section):
    """One axis of a machine scale: reading = sign * value / unit + zero."""

    sign: Literal[1, -1]
    zero: float = Field(default=0.0, description="reading at the IEC 61217 value 0, in the unit of the reading")
    unit: Literal["mm", "cm", "m", "deg"] | None = Field(default=None, description="mm for translations, else deg")
    wrap: Literal["continuous", "0 to 360", "-180 to 180"] | None = None
    source: Annotated[str, Field(description="who says so")]


class ScaleSettings(Section):
    """A scale that the site states: what the read-outs of its machine say."""

    based_on: str | None = None
    table_top_origin_mm: tuple[float, float, float] | None = None
    origin_source: str | None = None
    axes: dict[str, AxisScaleSettings] = Field(default_factory=dict)

    def scale(self, name: str) -> MachineScale:
        """As the geometry kernel wants it; InvalidGeometry names the key that is wrong."""
        return scale_from_mapping(name, self.model_dump(exclude_none=True))


class RoomSettings(Section):
    """Everything about one treatment room."""

    name: Annotated[str, Field(min_length=1, max_length=64)]
    machine_name: Annotated[str, Field(min_length=1, max_length=16)]
    tolerance: ToleranceSettings = ToleranceSettings()
    correction: CorrectionSettings = CorrectionSettings()
    couch: CouchSettings | None = None
    clearance: ClearanceSettings | None = None
    interlocks: InterlockSettings = InterlockSettings()
    pendant: Address | None = None
    gantry: Address | None = None
    imager: Annotated[tuple[ImagerSettings, ...], Field(min_length=1)]
    technique: TechniqueSettings = TechniqueSettings()
    match: KvMatchSettings = KvMatchSettings()
    dicom: DicomSettings | None = None
    storage: StorageSettings | None = None
    calibration: CalibrationSettings | None = None
    scale: dict[str, ScaleSettings] = Field(default_factory=dict)

    @field_validator("scale")
    @classmethod
    def _scales_make_sense(cls, stated: dict[str, ScaleSettings]) -> dict[str, ScaleSettings]:
        problems = []
        for name, one in stated.items():
            if name in BUILT_IN_NAMES:
                problems.append(f"scale.{name}: this name is built in; choose another")
                continue
            try:
                one.scale(name)
            except InvalidGeometry as error:
                problems.append(error.message)
        if problems:
            raise PydanticCustomError(SCALE_PROBLEM, "{words}", {"words": "; ".join(problems)})
        return stated

    @model_validator(mode="after")
    def _imager_names_differ(self) -> Self:
        names = [imager.name for imager in self.imager]
        if len(set(names)) != len(names):
            raise ValueError(f"imager names must differ: {names}")
        return self

    def scales(self) -> dict[str, MachineScale]:
        """The machine scales that the site states, by name."""
        return {name: one.scale(name) for name, one in self.scale.items()}

    def session_settings(self) -> SessionSettings:
        """What the positioning session needs to know."""
        couch = self.couch or CouchSettings()
        return SessionSettings(
            tolerance=Tolerance(self.tolerance.distance_mm, self.tolerance.angle_deg),
            limits=CorrectionLimits(
                couch.travel.limits(), self.correction.largest_shift_mm, self.correction.largest_rotation_deg
            ),
            default_setup=couch.setup_position.position(),
            technique=self.technique.technique(),
        )


def load_settings(path: Path | None = None) -> RoomSettings:
    """Read and check a configuration file (``room.toml``, or the same as ``.json``); without a path, the example.

    Raises
    ------
    SettingsMissing
        When the file cannot be read.
    SettingsInvalid
        When it is not TOML, or a key is unknown, missing or out of range; the message names every such key's path.
    """
    if path is None:
        return parse_settings(example_settings_text(), where="the built-in example")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsMissing(f"cannot read the configuration {path}: {error}") from error
    return parse_settings(text, where=str(path), as_json=path.suffix == ".json")


def parse_settings(text: str, *, where: str, as_json: bool = False) -> RoomSettings:
    """Check the text of a configuration file; ``where`` names it in messages. See :func:`load_settings`."""
    try:
        return RoomSettings.model_validate(json.loads(text) if as_json else tomllib.loads(text))
    except (tomllib.TOMLDecodeError, json.JSONDecodeError) as error:
        raise SettingsInvalid(f"{where} is not valid {'JSON' if as_json else 'TOML'}: {error}") from error
    except ValidationError as error:
        problems = [_in_words(problem) for problem in error.errors(include_url=False, include_context=False)]
        raise SettingsInvalid(f"{where}: " + "; ".join(problems), problems=problems) from error


def _in_words(problem: Any) -> str:
    if problem["type"] == SCALE_PROBLEM:
        return str(problem["msg"])
    path = ".".join(str(part) for part in problem["loc"]) or "(file)"
    words = {"extra_forbidden": "unknown key", "missing": "missing"}.get(problem["type"], problem["msg"])
    return f"{path}: {words}"


def example_settings_text() -> str:
    """The documented example ``room.toml`` that ships with the package."""
    return files("isoalign.room").joinpath("room.example.toml").read_text(encoding="utf-8")
