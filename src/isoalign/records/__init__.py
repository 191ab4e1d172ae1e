"""Records: frozen nouns that travel between the rooms. No behaviour beyond derived values, no I/O."""

from isoalign.records.arrays import InvalidRecord, frozen_array
from isoalign.records.images import Acquisition, Radiograph, Technique, Volume
from isoalign.records.patient import (
    Beam,
    CtReference,
    Patient,
    Plan,
    RangeShifter,
    Snout,
    Structure,
    StructureSet,
    Study,
    ToleranceTable,
)
from isoalign.records.positioning import Approval, AxisState, Correction, Match, Verdict, ViewQuality
from isoalign.records.session import (
    CouchMotion,
    ExportedObject,
    ImagingPass,
    LeastClearance,
    Outcome,
    Purpose,
    SessionRecord,
    SimulationTruth,
    TimelineEntry,
    Tolerance,
)

__all__ = [
    "Acquisition",
    "Approval",
    "AxisState",
    "Beam",
    "Correction",
    "CouchMotion",
    "CtReference",
    "ExportedObject",
    "ImagingPass",
    "InvalidRecord",
    "LeastClearance",
    "Match",
    "Outcome",
    "Patient",
    "Plan",
    "Purpose",
    "Radiograph",
    "RangeShifter",
    "SessionRecord",
    "SimulationTruth",
    "Snout",
    "Structure",
    "StructureSet",
    "Study",
    "Technique",
    "TimelineEntry",
    "Tolerance",
    "ToleranceTable",
    "Verdict",
    "ViewQuality",
    "Volume",
    "frozen_array",
]
