"""``isoalign couch-shift`` as a user meets it; the geometry itself is proved in the room's tests."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from isoalign.cli import main
from isoalign.dicom.objects import (
    ExportContext,
    Series,
    VerificationFrame,
    build_case,
    build_ion_plan,
    build_spatial_registration,
    read_plan,
    write_file,
)
from isoalign.geometry import (
    PatientPosition,
    Representation,
    TableTopPosition,
    planned_fixed_from_dicom,
    setup_error,
)
from isoalign.records import Match, Patient, Structure, Verdict, Volume
from isoalign.room.settings import example_settings_text

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
TABLE = ["--table", "-12", "640", "-95", "0", "0", "0"]
SHIFT_ONLY = (7.0, -5.0, 3.0, 0.0, 0.0, 0.0)
Files = tuple[str, str]


def write(folder: Path, error: tuple[float, ...], *, planned_table: bool = False) -> Files:
    """An HFS patient at couch angle 0, found ``error`` away from the plan; the plan has beams 1 and 4."""
    values = np.zeros((4, 8, 8), np.int16)
    volume = Volume(values, np.full(3, -8.0), np.array([1.0, 1.0, 2.0]), np.eye(3), "", PatientPosition.HFS)
    square = np.array([[-5, -5, -1.0], [5, -5, -1], [5, 5, -1], [-5, 5, -1]])
    start = TableTopPosition(Representation.IEC_61217, -12.0, 640.0, -95.0)
    objects = build_case(
        volume,
        (Structure(1, "BODY", "EXTERNAL", "CLOSED_PLANAR", (square,)),),
        (0.0, 0.0, 0.0),
        patient=Patient("P-1", "Test^Only"),
        created_at=NOW,
        table_top=start if planned_table else None,
    )
    plan = read_plan(objects.plan)
    second = replace(plan.beams[0], number=4, isocentre_mm=np.array([0.0, 0.0, 10.0]))
    plan = replace(plan, beams=(plan.beams[0], second))
    planned = planned_fixed_from_dicom(PatientPosition.HFS, (0.0, 0.0, 0.0))
    found = setup_error(*error) @ planned
    match = Match("2D/3D", planned, found, Verdict.ACCEPTED, (), (), 5, True, 1.0, np.zeros(3), np.zeros(3))
    context = ExportContext(plan, 1, VerificationFrame(PatientPosition.HFS, start), "ROOM 1")
    registration = build_spatial_registration(
        match, start, [], context, series=Series(5), instance_number=1, created_at=NOW
    )
    plan_dataset = build_ion_plan(plan, series=Series(3), created_at=NOW)
    return str(write_file(registration, folder / "reg.dcm")), str(write_file(plan_dataset, folder / "plan.dcm"))


@pytest.fixture
def room(tmp_path: Path) -> str:
    path = tmp_path / "room.toml"
    path.write_text(example_settings_text(), encoding="utf-8")
    return str(path)


def shift(capsys: pytest.CaptureFixture[str], *line: str) -> dict[str, dict[str, float]]:
    assert main(["couch-shift", *line, "--json"]) == 0
    document: dict[str, dict[str, float]] = json.loads(capsys.readouterr().out)
    return document


def test_a_pure_shift_is_undone_axis_by_axis(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = shift(capsys, *write(tmp_path, SHIFT_ONLY), *TABLE)
    assert document["schema"] == "isoalign.couch-shift/1"
    assert document["shift"]["lateral_mm"] == pytest.approx(-7.0)
    assert document["shift"]["longitudinal_mm"] == pytest.approx(5.0)
    assert document["shift"]["vertical_mm"] == pytest.approx(-3.0)
    assert document["target"]["lateral_mm"] == pytest.approx(-19.0)
    assert document["start"]["vertical_mm"] == -95.0
    assert document["setup_error"]["distance_mm"] == pytest.approx(83**0.5)
    assert document["limits"] is None
    assert document["assumed"] == {
        "verification_isocentre_mm": [0.0, 0.0, 0.0],
        "axes": "table",
        "direction": "dicom",
        "table_top_from_plan": False,
    }


def test_the_table_says_start_shift_target_directions_and_what_was_assumed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["couch-shift", *write(tmp_path, (7.0, -5.0, 3.0, 0.0, 0.0, 2.0)), *TABLE]) == 0
    captured = capsys.readouterr()
    shown = " ".join(captured.out.split())
    # turned back by 2 degrees about the isocentre: x = cos 2 (-12 - 7) + sin 2 (640 + 5), along the axes turned by -2
    assert "Patient support angle 0.000 −2.000 −2.000 ° clockwise (+X → −Y)" in shown
    assert "Lateral −12.00 −7.00 −19.00 mm left (−X)" in shown
    assert "Longitudinal +640.00 +5.00 +645.00 mm towards the gantry (+Y)" in shown
    assert "set-up error found: 9.11 mm, 2.000°" in shown
    assert "rotation vector (0.000, 0.000, +2.000)°" in shown
    # shift across the axis of the turn: sqrt(74) mm; 100 mm away: 2 * 100 * sin 1 degree more; 3 mm along it
    worst = ((74**0.5 + 200 * np.sin(np.radians(1.0))) ** 2 + 9) ** 0.5
    assert f"within 100 mm of the isocentre at most {worst:.2f} mm" in shown
    assert "(0, 0, 0) mm, assumed" in shown
    assert "turns with the table top" in shown
    assert "HFS" in shown
    assert captured.err == ""


def test_the_plans_table_is_taken_when_it_is_there_and_asked_for_when_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "with").mkdir()
    document = shift(capsys, *write(tmp_path / "with", SHIFT_ONLY, planned_table=True))
    assert document["start"]["longitudinal_mm"] == 640.0
    assert document["assumed"]["table_top_from_plan"] is True
    assert main(["couch-shift", *write(tmp_path, SHIFT_ONLY)]) == 3
    told = capsys.readouterr().err
    assert "shift.table-top-unknown" in told
    assert "--table LATERAL" in told


def test_a_beam_has_its_own_isocentre(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Beam 4 aims 10 mm further towards the head, which lies towards the gantry: the couch goes 10 mm out."""
    files = write(tmp_path, SHIFT_ONLY)
    assert shift(capsys, *files, *TABLE, "--beam", "4")["shift"]["longitudinal_mm"] == pytest.approx(-5.0)
    assert main(["couch-shift", *files, *TABLE, "--beam", "2"]) == 3
    assert "it has 1, 4" in capsys.readouterr().err


def test_the_stated_isocentre_of_the_images_counts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The machine isocentre lies 10 mm further to the left (+X) in the images: the patient is 10 mm further right."""
    files = write(tmp_path, SHIFT_ONLY)
    document = shift(capsys, *files, *TABLE, "--verification-isocentre", "10", "0", "0")
    assert document["shift"]["lateral_mm"] == pytest.approx(3.0)


def test_direction_inverse_turns_the_shift_round(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = shift(capsys, *write(tmp_path, SHIFT_ONLY), *TABLE, "--direction", "inverse")
    assert document["shift"]["lateral_mm"] == pytest.approx(7.0)


def test_axes_room_differs_only_where_the_table_is_turned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = write(tmp_path, SHIFT_ONLY)
    table = [*TABLE[:-1], "90"]
    level = shift(capsys, *files, *TABLE, "--axes", "room")
    assert level["shift"]["lateral_mm"] == pytest.approx(-7.0)
    turned = shift(capsys, *files, *table, "--axes", "table")["setup_error"]
    assert turned["patient_support_angle_deg"] == pytest.approx(90.0)
    assert shift(capsys, *files, *table, "--axes", "room")["setup_error"]["angle_deg"] == pytest.approx(0.0, abs=1e-6)


def test_limits_come_from_the_configuration_and_what_remains_is_told(
    tmp_path: Path, room: str, capsys: pytest.CaptureFixture[str]
) -> None:
    files = write(tmp_path, (0.0, 0.0, 0.0, 7.0, 0.0, 0.0))
    limited = shift(capsys, *files, *TABLE, "--limits", "--config", room)
    assert limited["limits"]["limited_axes"] == ["pitch"]
    assert limited["target"]["pitch_deg"] == pytest.approx(-5.0)
    assert limited["limits"]["desired"]["pitch_deg"] == pytest.approx(-7.0)
    assert limited["limits"]["remaining"]["angle_deg"] == pytest.approx(2.0, abs=1e-6)
    assert limited["limits"]["remaining"]["distance_mm"] == pytest.approx(0.0, abs=1e-6)
    assert main(["couch-shift", *files, *TABLE, "--limits", "--config", room]) == 0
    shown = capsys.readouterr().out
    assert "limited by the travel of the couch: pitch" in shown
    assert "remains uncorrected: 0.00 mm, 2.000°" in shown


def test_limits_without_a_configuration_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["couch-shift", *write(tmp_path, SHIFT_ONLY), *TABLE, "--limits"]) == 2
    assert "[couch.travel]" in capsys.readouterr().err


def test_the_result_is_shown_in_the_scale_that_is_asked_for(
    tmp_path: Path, room: str, capsys: pytest.CaptureFixture[str]
) -> None:
    axes = {
        "lateral": 'sign = -1\nunit = "cm"',
        "longitudinal": "sign = 1",
        "vertical": "sign = 1",
        "pitch": "sign = 1",
        "roll": "sign = 1",
    }
    text = '\n[scale.r2]\nbased_on = "varian-iec"\norigin_source = "test"\n' + "".join(
        f'[scale.r2.axes.{axis}]\n{keys}\nsource = "test"\n' for axis, keys in axes.items()
    )
    Path(room).write_text(example_settings_text() + text, encoding="utf-8")
    files = write(tmp_path, (7.0, 0.0, 0.0, 0.0, 0.0, -2.0))
    table = ["--table", "1.2", "640", "-95", "0", "0", "0"]
    line = [*files, *table, "--table-scale", "r2", "--to", "r2", "--config", room]
    document = shift(capsys, *line)
    assert document["start"]["lateral_cm"] == pytest.approx(1.2)
    assert document["shift"]["lateral_cm"] == pytest.approx(0.7)
    assert document["start"]["patient_support_angle_deg"] == 0.0
    assert document["target"]["patient_support_angle_deg"] == pytest.approx(358.0), "turns the other way, 0 to 360"
    assert document["shift"]["patient_support_angle_deg"] == pytest.approx(-2.0), "the short way"
    iec = shift(capsys, *files, *table, "--table-scale", "r2", "--config", room)
    assert iec["target"]["lateral_mm"] == pytest.approx(-19.0)
    assert main(["couch-shift", *line]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "Lateral +1.200 +0.700 +1.900 cm left (−X)" in shown
    assert "Patient support angle 0.000 −2.000 +358.000 ° counter-clockwise (+X → +Y)" in shown


def test_isocentric_is_a_scale_as_any_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = write(tmp_path, (0.0, 0.0, 0.0, 2.0, 0.0, 0.0))
    document = shift(capsys, *files, *TABLE, "--to", "isocentric")
    assert document["target"]["representation"] == "isocentric"
    # a turn about the isocentre leaves the translations of Isocentric Standard as they are
    assert document["shift"]["longitudinal_mm"] == pytest.approx(0.0, abs=1e-6)
    assert document["shift"]["vertical_mm"] == pytest.approx(0.0, abs=1e-6)
    assert document["shift"]["pitch_deg"] == pytest.approx(-2.0)


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--to", "varian-standard"], "geometry.unverified-scale", "[scale.NAME.axes.AXIS]"),
        (["--table-scale", "cid9569"], "geometry.representation-mismatch", "--declare-cid9569-isocentric"),
        (["--to", "room-9"], "positions.unknown-scale", "room-9"),
        (["--axes", "floor"], "cli.usage", "floor"),
        (["--table", "nan", "0", "0", "0", "0", "0"], "geometry.invalid", "lateral is nan"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    options: list[str], code: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = [*write(tmp_path, SHIFT_ONLY), *options, *([] if "--table" in options else TABLE)]
    assert main(["couch-shift", *line, "--json"]) in {2, 3}
    captured = capsys.readouterr()
    error = json.loads(captured.out)["error"]
    assert error["code"] == code
    assert said in error["message"] + error["hint"]
    assert "Traceback" not in captured.err


def test_the_files_are_not_mixed_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    registration, plan = write(tmp_path, SHIFT_ONLY)
    assert main(["couch-shift", plan, registration]) == 3
    assert "dicom.wrong-object" in capsys.readouterr().err
    assert main(["couch-shift", registration, str(tmp_path / "nowhere.dcm")]) == 3
    assert "nowhere.dcm" in capsys.readouterr().err
