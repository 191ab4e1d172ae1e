"""Records survive the way between processes, and nothing else does."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import numpy as np
import pytest

from isoalign.geometry import (
    DicomPatient,
    Fixed,
    ImagerAxis,
    PatientPosition,
    PixelGrid,
    ProjectionGeometry,
    Representation,
    TableTopPosition,
    limit_and_recentre,
    planned_fixed_from_dicom,
    residual_of,
    setup_error,
)
from isoalign.records import (
    Acquisition,
    Correction,
    CouchMotion,
    ExportedObject,
    FoundMarker,
    ImagingPass,
    LeastClearance,
    MarkerShadow,
    MarkerState,
    Match,
    Outcome,
    Purpose,
    Radiograph,
    SessionRecord,
    SimulationTruth,
    Technique,
    TimelineEntry,
    Tolerance,
    Verdict,
    ViewQuality,
)
from isoalign.room.record_codec import UnreadableRecord, pack, unpack
from isoalign.room.settings import load_settings

NOW = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)


def session_record() -> SessionRecord:
    rng = np.random.default_rng(0)
    position = TableTopPosition(Representation.IEC_61217, 1.5, 700, -120, 0.25, -1, 359.5)
    geometry = ProjectionGeometry.from_axis(ImagerAxis(90, 1000, 1500, (1.0, 2.0), 0.5), PixelGrid.centred(6, 4, 0.4))
    radiograph = Radiograph(
        rng.integers(0, 65536, (6, 4), dtype=np.uint16),
        geometry,
        Acquisition("B", 7, Technique(100, 99.5, 50), NOW, position),
    )
    picture = rng.normal(size=(6, 4)).astype(np.float32)
    planned = planned_fixed_from_dicom(PatientPosition.HFS, (0, -170, -2))
    error = setup_error(1, 2, 3, 0.1, 0.2, 0.3)
    match = Match(
        "2D/3D",
        planned,
        error @ planned,
        Verdict.ACCEPTED,
        ("both views agree",),
        (ViewQuality("B", 0.1, 0.9, picture, picture, picture),),
        12,
        True,
        0.5,
        np.full(3, 0.02),
        np.full(3, 0.01),
        ("roll_deg",),
        (
            FoundMarker(
                "M1",
                MarkerState.MIGRATED,
                np.ones(3),
                (MarkerShadow("B", (1.0, 2.0), (3.0, 4.0), (5.0, 6.0)),),
                5.5,
                0.2,
            ),
            FoundMarker("M2", MarkerState.MISSING, np.zeros(3), (MarkerShadow("B", (1.0, 2.0), (3.0, 4.0)),)),
        ),
    )
    limits = load_settings().session_settings().limits.travel
    target = TableTopPosition(Representation.IEC_61217, 0, 700, -120, 0, 0, 0)
    return SessionRecord(
        "abc",
        NOW,
        12.5,
        Outcome.ALIGNED,
        "fine",
        "patient-1",
        "plan",
        "beam",
        "TR1",
        "HFS",
        Tolerance(0.5, 0.3),
        (ImagingPass(Purpose.SETUP, (radiograph,), match, position),),
        Correction("id", position, target, limit_and_recentre(target, limits)),
        None,
        position,
        (ExportedObject("RT Image", "1.2.3", "stored"),),
        (TimelineEntry(0.0, "step"),),
        ("a warning",),
        SimulationTruth(residual_of(error), residual_of(error.inverse()), 3),
        {"isoalign": "0"},
        (
            CouchMotion(
                target,
                "direct",
                position,
                LeastClearance(98.4, 41.0, ("nozzle", "patient slab 1"), position),
                ("immobilisation",),
            ),
            CouchMotion(target, "unidirectional", refusal="too near"),
        ),
    )


def test_a_session_record_round_trips_through_json() -> None:
    record = session_record()
    document, arrays = pack(record)
    back = unpack(json.loads(json.dumps(document)), arrays)
    assert pack(back) == (document, arrays)
    assert isinstance(back, SessionRecord)
    found, pose = back.passes[0].match.found, record.passes[0].match.found
    assert (found.dst, found.src) == (Fixed, DicomPatient)
    assert found == pose
    np.testing.assert_array_equal(back.passes[0].radiographs[0].pixels, record.passes[0].radiographs[0].pixels)
    assert back.started_at == NOW
    assert back.outcome is Outcome.ALIGNED
    markers = back.passes[0].match.markers
    assert (markers[0].state, markers[1].state) == (MarkerState.MIGRATED, MarkerState.MISSING)
    assert markers[0].shadows[0].found_px == (5.0, 6.0)
    assert back.passes[0].match.not_available == ("roll_deg",)


@pytest.mark.parametrize(
    "document",
    [
        {"$record": "Popen", "fields": {}},
        {"$record": "Tolerance", "fields": {"distance_mm": 1}},
        {"$enum": "Verdict", "value": "perhaps"},
        {"$array": 3, "dtype": "float64", "shape": [1]},
        {"$array": 0, "dtype": "object", "shape": [1]},
        {"$array": 0, "dtype": "complex128", "shape": [8]},
        {"$array": 0, "dtype": "float64", "shape": [5]},
        {"$pose": ["Fixed", "Nowhere"], "matrix": {"$array": 0, "dtype": "float64", "shape": [4, 4]}},
        {"something": "else"},
    ],
)
def test_what_is_not_a_record_is_refused(document: object) -> None:
    with pytest.raises(UnreadableRecord):
        unpack(document, [np.eye(4).tobytes()])


def test_other_objects_do_not_travel() -> None:
    with pytest.raises(TypeError, match="does not travel"):
        pack(object())
