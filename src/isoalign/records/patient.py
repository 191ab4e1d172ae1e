"""Who is treated, and the plan and structures that say where."""

from __future__ import annotations

from dataclasses import dataclass, field

from isoalign.geometry import Array, PatientPosition
from isoalign.records.arrays import InvalidRecord, frozen_array


@dataclass(frozen=True, slots=True)
class Patient:
    """Identity as DICOM carries it. The name never goes into logs; its repr hides it."""

    patient_id: str
    name: str = field(default="", repr=False)
    birth_date: str = field(default="", repr=False)
    sex: str = field(default="", repr=False)
    birth_time: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Study:
    """The DICOM study that an object belongs to."""

    study_instance_uid: str
    study_id: str = ""
    study_date: str = ""
    study_time: str = ""
    accession_number: str = ""
    referring_physician: str = field(default="", repr=False)
    description: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class RangeShifter:
    """A range shifter of a beam, and how its first control point sets it; None where the plan does not say.

    Distances from the isocentre to the range shifter and water-equivalent thickness in mm.
    """

    number: int
    identifier: str
    kind: str = ""
    setting: str = ""
    isocentre_distance_mm: float | None = None
    water_equivalent_thickness_mm: float | None = None


@dataclass(frozen=True, slots=True)
class Snout:
    """The snout of a beam; ``position_mm`` is its distance from the isocentre, None where the plan does not say."""

    identifier: str
    position_mm: float | None = None


@dataclass(frozen=True, slots=True)
class ToleranceTable:
    """How far a treatment machine may be off the plan: a tolerance table, None where it sets no limit.

    Angles in degrees, positions in mm, IEC 61217.
    """

    number: int
    label: str = ""
    gantry_angle_deg: float | None = None
    patient_support_angle_deg: float | None = None
    table_top_pitch_deg: float | None = None
    table_top_roll_deg: float | None = None
    table_top_vertical_mm: float | None = None
    table_top_longitudinal_mm: float | None = None
    table_top_lateral_mm: float | None = None
    snout_position_mm: float | None = None


@dataclass(frozen=True, slots=True)
class Beam:
    """One treatment beam of an ion plan, as far as positioning needs it.

    Attributes
    ----------
    isocentre_mm : ndarray, shape (3,)
        In the DICOM patient frame of the plan's frame of reference.
    table_top_lateral_mm, table_top_longitudinal_mm, table_top_vertical_mm : float or None
        IEC 61217; None where the plan leaves them empty (relative to an unknown start).
    reference_image_uids : tuple of str
        SOP Instance UIDs of the RT Images that the plan names for this beam.
    """

    number: int
    name: str
    isocentre_mm: Array
    gantry_angle_deg: float
    patient_support_angle_deg: float = 0.0
    table_top_pitch_deg: float = 0.0
    table_top_roll_deg: float = 0.0
    table_top_lateral_mm: float | None = None
    table_top_longitudinal_mm: float | None = None
    table_top_vertical_mm: float | None = None
    machine_name: str = ""
    tolerance_table_number: int | None = None
    range_shifters: tuple[RangeShifter, ...] = ()
    snout: Snout | None = None
    reference_image_uids: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(
            self, "isocentre_mm", frozen_array(self.isocentre_mm, (3,), f"isocentre of beam {self.number}")
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """An RT Ion Plan: where the isocentre is and how the patient lies.

    ``fraction_group_number`` is that of the plan's only fraction group, None where it has several.
    """

    sop_instance_uid: str
    sop_class_uid: str
    label: str
    patient: Patient
    study: Study
    frame_of_reference_uid: str
    patient_position: PatientPosition
    structure_set_uid: str
    beams: tuple[Beam, ...]
    tolerance_tables: tuple[ToleranceTable, ...] = ()
    fraction_group_number: int | None = None

    def __post_init__(self) -> None:
        if not self.beams:
            raise InvalidRecord("a plan without a treatment beam has no isocentre")

    def tolerance_of(self, beam: Beam) -> ToleranceTable | None:
        """The tolerance table that the beam names; None when it names none or the plan does not carry it."""
        return next((one for one in self.tolerance_tables if one.number == beam.tolerance_table_number), None)

    def beam(self, number: int | None = None) -> Beam:
        """The beam with this number, or the first one."""
        if number is None:
            return self.beams[0]
        for beam in self.beams:
            if beam.number == number:
                return beam
        raise InvalidRecord(f"the plan has no beam number {number}; it has {[b.number for b in self.beams]}")


@dataclass(frozen=True, slots=True)
class Structure:
    """One region of interest: planar contours or points, DICOM patient frame, mm.

    Attributes
    ----------
    observation_label : str
        ROI Observation Label (3006,0085).
    marker_subtype : str
        Private Marker Subtype (3271,xx00); MARKER for an implanted marker.
    physical_properties : tuple of (str, float)
        ROI Physical Property and its value, for example the table angles at which an isocentre was stored.
    colour : (int, int, int), optional
        Red, green, blue, 0 to 255.
    """

    number: int
    name: str
    interpreted_type: str
    geometric_type: str
    contours_mm: tuple[Array, ...] = ()
    observation_label: str = ""
    marker_subtype: str = ""
    physical_properties: tuple[tuple[str, float], ...] = ()
    colour: tuple[int, int, int] | None = None
    generation_algorithm: str = "AUTOMATIC"

    def __post_init__(self) -> None:
        object.__setattr__(
            self,
            "contours_mm",
            tuple(frozen_array(c, (None, 3), f"contour of structure {self.name!r}") for c in self.contours_mm),
        )


@dataclass(frozen=True, slots=True)
class CtReference:
    """The CT series that a structure set was drawn on."""

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StructureSet:
    """An RT Structure Set: regions and the CT they belong to."""

    sop_instance_uid: str
    label: str
    patient: Patient
    study: Study
    frame_of_reference_uid: str
    ct: CtReference
    structures: tuple[Structure, ...] = ()

    def named(self, name: str) -> Structure | None:
        """The structure with this name, upper or lower case, or None."""
        wanted = name.casefold()
        return next((s for s in self.structures if s.name.casefold() == wanted), None)
