"""The edges of the IEC tree: signs typed by hand, the eccentric stage, and chains that must not be possible."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pytransform3d.transform_manager import TransformManager
from transforms3d.euler import euler2mat

from isoalign.geometry import (
    DicomPatient,
    Fixed,
    FrameMismatch,
    Gantry,
    IecPatient,
    InvalidGeometry,
    PatientPosition,
    Pose,
    Representation,
    RepresentationMismatch,
    RotatingAxis,
    RotationDirection,
    TableTop,
    TableTopEccentricity,
    TableTopPosition,
    XrayImageReceptor,
    beam_limiting_device_from_wedge,
    eccentric_from_table,
    fixed_from_gantry,
    fixed_from_robot_base,
    fixed_from_support,
    fixed_from_table,
    fixed_rotation_from_dicom,
    gantry_from_beam_limiting_device,
    gantry_from_receptor,
    patient_from_dicom,
    support_from_eccentric,
    table_from_patient,
    travel_deg,
    with_eccentric,
    without_eccentric,
)

ROOT = Path(__file__).resolve().parents[3]
IEC = Representation.IEC_61217
AXIS = {"+X": (1, 0, 0), "-X": (-1, 0, 0), "+Y": (0, 1, 0), "-Y": (0, -1, 0), "+Z": (0, 0, 1), "-Z": (0, 0, -1)}

SIGNS = [  # +90 degrees of this, moves this axis, towards.  IEC 61217 and DICOM, typed by hand
    ("gantry", "+Z", "+X"),
    ("gantry", "+X", "-Z"),
    ("gantry pitch", "+Z", "-Y"),
    ("gantry pitch", "+Y", "+Z"),
    ("beam limiting device", "+X", "+Y"),
    ("wedge", "+X", "+Y"),
    ("receptor", "+X", "+Y"),
    ("support", "+X", "+Y"),
    ("eccentric", "+X", "+Y"),
    ("pitch", "+Y", "+Z"),
    ("roll", "+X", "-Z"),
    ("patient pitch", "+Y", "+Z"),
    ("patient roll", "+X", "-Z"),
    ("patient yaw", "+X", "+Y"),
]


def edge(name: str, angle: float) -> Pose:
    edges = {
        "gantry": fixed_from_gantry,
        "gantry pitch": lambda a: fixed_from_gantry(0.0, a),
        "beam limiting device": gantry_from_beam_limiting_device,
        "wedge": beam_limiting_device_from_wedge,
        "receptor": lambda a: gantry_from_receptor((0, 0, 0), a),
        "support": fixed_from_support,
        "eccentric": lambda a: support_from_eccentric(TableTopEccentricity(0.0, a)),
        "pitch": lambda a: eccentric_from_table(TableTopPosition(IEC, 0, 0, 0, pitch_deg=a)),
        "roll": lambda a: eccentric_from_table(TableTopPosition(IEC, 0, 0, 0, roll_deg=a)),
        "patient pitch": lambda a: table_from_patient((0, 0, 0), pitch_deg=a),
        "patient roll": lambda a: table_from_patient((0, 0, 0), roll_deg=a),
        "patient yaw": lambda a: table_from_patient((0, 0, 0), yaw_deg=a),
    }
    return edges[name](angle)


@pytest.mark.parametrize(("name", "axis", "towards"), SIGNS)
def test_positive_angles_turn_the_way_the_standard_says(name: str, axis: str, towards: str) -> None:
    np.testing.assert_allclose(edge(name, 90.0).rotation @ AXIS[axis], AXIS[towards], atol=1e-15)


def test_distances_along_the_beam_and_the_eccentric_arm() -> None:
    assert gantry_from_beam_limiting_device(30.0, 400.0).translation_mm.tolist() == [0, 0, 400]
    assert beam_limiting_device_from_wedge(30.0, -50.0).translation_mm.tolist() == [0, 0, -50]
    assert support_from_eccentric(TableTopEccentricity(250.0, 30.0)).translation_mm.tolist() == [0, 250, 0]
    assert gantry_from_receptor((1, 2, -500), 10.0).translation_mm.tolist() == [1, 2, -500]


def test_gantry_turns_before_its_pitch_tilts() -> None:
    """The order that gives a C-arm's source direction: first about the fixed Y, then about the turned X."""
    np.testing.assert_allclose(
        fixed_from_gantry(40.0, 25.0).rotation, euler2mat(*np.radians([40.0, 25.0, 0.0]), axes="ryxz"), atol=1e-15
    )


def test_patient_axes_agree_with_the_patient_position() -> None:
    """A head first supine patient lies on the table with all angles zero: both ways from DICOM to the room agree."""
    through_the_table = table_from_patient((0, 0, 0)) @ patient_from_dicom()
    assert (through_the_table.dst, through_the_table.src) == (TableTop, DicomPatient)
    np.testing.assert_array_equal(through_the_table.rotation, fixed_rotation_from_dicom(PatientPosition.HFS))
    np.testing.assert_allclose(patient_from_dicom((1, 2, 3)).apply((1, 2, 3)), 0, atol=1e-15)
    assert patient_from_dicom().dst is IecPatient


def test_whole_tree_against_a_graph_of_transforms() -> None:
    """pytransform3d joins named frames at run time; the same chain there gives the same place."""
    position = TableTopPosition(IEC, 12.0, 700.0, -120.0, 2.0, -1.5, 0.0)
    eccentricity = TableTopEccentricity(300.0, 20.0)
    edges = [
        ("support", "fixed", fixed_from_support(33.0)),
        ("eccentric", "support", support_from_eccentric(eccentricity)),
        ("table", "eccentric", eccentric_from_table(position)),
        ("gantry", "fixed", fixed_from_gantry(250.0, 3.0)),
        ("receptor", "gantry", gantry_from_receptor((4, -5, -500.0), 12.0)),
    ]
    graph = TransformManager()
    for child, parent, pose in edges:
        graph.add_transform(child, parent, pose.matrix)
    ours = (edges[3][2] @ edges[4][2]).inverse() @ edges[0][2] @ edges[1][2] @ edges[2][2]
    np.testing.assert_allclose(ours.matrix, graph.get_transform("table", "receptor"), atol=1e-9)
    assert (ours.dst, ours.src) == (XrayImageReceptor, TableTop)


@pytest.mark.parametrize("psa", [0.0, 40.0, -100.0])
def test_an_eccentric_stage_is_folded_into_the_other_axes(psa: float) -> None:
    eccentricity = TableTopEccentricity(400.0, -30.0)
    position = TableTopPosition(IEC, 10, -250, -120, 2, -1, psa)
    full = fixed_from_support(psa) @ support_from_eccentric(eccentricity) @ eccentric_from_table(position)
    folded = without_eccentric(position, eccentricity)
    assert fixed_from_table(folded).is_close(full, atol_mm=1e-9, atol_deg=1e-9)
    np.testing.assert_allclose(with_eccentric(folded, eccentricity).values, position.values, atol=1e-9)
    assert not fixed_from_table(position).is_close(full, atol_mm=1.0), "ignored, it would be far off"


def test_an_eccentric_stage_needs_iec_and_sense() -> None:
    isocentric = TableTopPosition(Representation.ISOCENTRIC_STANDARD, 0, 0, 0)
    for function in (without_eccentric, with_eccentric):
        with pytest.raises(RepresentationMismatch):
            function(isocentric, TableTopEccentricity(1.0, 1.0))
    with pytest.raises(InvalidGeometry, match="finite"):
        TableTopEccentricity(float("nan"), 0.0)
    with pytest.raises(InvalidGeometry, match="negative"):
        TableTopEccentricity(-1.0, 0.0)


def test_a_patient_turns_last_about_the_own_axis() -> None:
    """T Rx Ry Rz: the order of the clause, which no sign of a single angle tells."""
    turned = table_from_patient((1, 2, 3), 20.0, -10.0, 35.0)
    np.testing.assert_allclose(turned.rotation, euler2mat(*np.radians([20.0, -10.0, 35.0]), axes="rxyz"), atol=1e-15)
    assert turned.translation_mm.tolist() == [1, 2, 3]


def test_robot_base_stands_where_it_was_surveyed() -> None:
    base = fixed_from_robot_base((1500, -800, -1200), yaw_deg=90.0)
    np.testing.assert_allclose(base.apply((100, 0, 0)), (1500, -700, -1200), atol=1e-9)


def test_chain_that_skips_a_frame_is_refused_at_run_time() -> None:
    with pytest.raises(FrameMismatch, match="Gantry"):
        fixed_from_support(0.0) @ gantry_from_receptor((0, 0, 0))  # type: ignore[operator]


CHAINS = """
from isoalign.geometry import *
good: Pose[Fixed, XrayImageReceptor] = fixed_from_gantry(1.0) @ gantry_from_receptor((0, 0, -500))
{line}
"""
MYPY = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--cache-dir"]


def test_chain_that_skips_a_frame_is_refused_by_the_type_checker(tmp_path: Path) -> None:
    """One run over three files: a correct chain, a wrong product, a result under the wrong frames. In the cache of
    `make check`, or it would take half a minute."""
    cases = {
        "correct": "",
        "product": "bad = fixed_from_support(0.0) @ gantry_from_receptor((0, 0, 0))",
        "result": "bad: Pose[Fixed, TableTop] = fixed_from_gantry(1.0) @ gantry_from_receptor((0, 0, 0))",
    }
    for name, line in cases.items():
        (tmp_path / f"{name}.py").write_text(CHAINS.format(line=line))
    cache = ROOT / ".mypy_cache"
    shown = subprocess.run(
        [*MYPY, str(cache), *(str(tmp_path / f"{name}.py") for name in cases)],
        capture_output=True, text=True, cwd=ROOT, timeout=110, check=False,
    )  # fmt: skip
    errors = [line for line in shown.stdout.splitlines() if ": error:" in line]
    assert not shown.stderr
    assert sorted(Path(line.split(":")[0]).stem for line in errors) == ["product", "result"], shown.stdout


TRAVEL = [  # axis, start, end, direction, signed way.  From where DICOM looks at each axis, typed by hand
    (RotatingAxis.GANTRY, 350, 10, RotationDirection.CW, 20),
    (RotatingAxis.GANTRY, 10, 350, RotationDirection.CC, -20),
    (RotatingAxis.GANTRY, 10, 350, RotationDirection.CW, 340),
    (RotatingAxis.GANTRY_PITCH, 0, 5, RotationDirection.CW, 5),
    (RotatingAxis.BEAM_LIMITING_DEVICE, 10, 20, RotationDirection.CC, 10),
    (RotatingAxis.BEAM_LIMITING_DEVICE, 10, 20, RotationDirection.CW, -350),
    (RotatingAxis.PATIENT_SUPPORT, 0, 270, RotationDirection.CW, -90),
    (RotatingAxis.TABLE_TOP_ECCENTRIC, 0, 270, RotationDirection.CC, 270),
    (RotatingAxis.TABLE_TOP_PITCH, 359.0, 1.0, RotationDirection.CW, 2),
    (RotatingAxis.TABLE_TOP_ROLL, 1.0, 359.0, RotationDirection.CC, -2),
    (RotatingAxis.PATIENT_SUPPORT, 30, 30, RotationDirection.CC, 360),
    (RotatingAxis.PATIENT_SUPPORT, 30, 30, RotationDirection.CW, -360),
    (RotatingAxis.PATIENT_SUPPORT, 360, 0, RotationDirection.NONE, 0),
]


@pytest.mark.parametrize(("axis", "start", "end", "direction", "way"), TRAVEL)
def test_way_of_an_axis_with_a_direction(
    axis: RotatingAxis, start: float, end: float, direction: RotationDirection, way: float
) -> None:
    assert travel_deg(axis, start, end, direction) == pytest.approx(way)


def test_no_direction_with_different_angles_is_refused() -> None:
    with pytest.raises(InvalidGeometry, match=r"patient support.*NONE"):
        travel_deg(RotatingAxis.PATIENT_SUPPORT, 0, 10, RotationDirection.NONE)
    with pytest.raises(InvalidGeometry, match="gantry"):
        travel_deg(RotatingAxis.GANTRY, 0, float("inf"), RotationDirection.CW)


def test_frames_of_edges_are_what_they_say() -> None:
    pose = fixed_from_gantry(0.0)
    assert (pose.dst, pose.src) == (Fixed, Gantry)
