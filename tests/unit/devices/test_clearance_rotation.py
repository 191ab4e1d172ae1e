"""Clearance of the gantry's motions: against distances of polygons, worked out here without the distance library."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from isoalign.devices.clearance_config import parse_clearance
from isoalign.devices.clearance_rotation import MOST_SAMPLES, sampled_angles
from isoalign.devices.clearance_worker import Rooms
from isoalign.devices.errors import BadDeviceConfig
from isoalign.geometry.clearance import ClearanceUnknown

Array = npt.NDArray[np.float64]
COUCH = [0.0, 700.0, -120.0, 0.0, 0.0, 0.0]


def box(low: tuple[float, ...], high: tuple[float, ...]) -> list[list[float]]:
    return [[x, y, z] for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])]


TABLE = {"name": "table top", "frame": "table_top", "vertices_mm": box((-265, -2000, -50), (265, 0, 0))}
POST = {"name": "post", "frame": "fixed", "vertices_mm": box((280, -300, -400), (330, -200, 400))}
HEAD = {"name": "head", "frame": "gantry", "vertices_mm": box((-50, -100, 550), (50, 100, 650))}
LOW_HEAD = {**HEAD, "vertices_mm": box((-50, -100, 330), (50, 100, 650))}


def rooms(*parts: dict[str, Any], required_mm: float = 30.0, **room: Any) -> Rooms:
    described = {"parts": [TABLE, *parts], "uncertainty_mm": 0.0, "patient_unchecked": True, **room}
    return Rooms(parse_clearance({"room": described, "required_mm": required_mm}, "clearance"))


def rotation(room: Rooms, *angles: float, couch: list[float] = COUCH, arm: str = "stowed") -> dict[str, Any]:
    place = {"angle_deg": angles[0], "imager_arm": arm}
    return room.answer({"couch": couch, "angles": list(angles), "gantry": place})


# an oracle of its own: all parts are straight along Y, so that distances are those of rectangles in X and Z


def rectangle(low: tuple[float, float], high: tuple[float, float]) -> Array:
    return np.array([[low[0], low[1]], [high[0], low[1]], [high[0], high[1]], [low[0], high[1]]])


def turned(corners: Array, gantry_deg: Array) -> Array:
    """IEC 61217, by hand: at 90 degrees the source, on +Z of the gantry, stands on +X of the room; shape (N, 4, 2)."""
    c, s = np.cos(np.deg2rad(gantry_deg))[:, None], np.sin(np.deg2rad(gantry_deg))[:, None]
    return np.stack([c * corners[:, 0] + s * corners[:, 1], -s * corners[:, 0] + c * corners[:, 1]], axis=-1)


def apart(first: Array, second: Array) -> Array:
    """Between pairs of convex polygons (N, 4, 2) that do not overlap: every corner against every side, shape (N,)."""
    least = np.full(len(first), np.inf)
    for corners, sides in ((first, second), (second, first)):
        for side in range(4):
            a, way = sides[:, side], sides[:, (side + 1) % 4] - sides[:, side]
            along = np.einsum("ncd,nd->nc", corners - a[:, None], way) / np.einsum("nd,nd->n", way, way)[:, None]
            nearest = a[:, None] + np.clip(along, 0.0, 1.0)[..., None] * way[:, None]
            least = np.minimum(least, np.linalg.norm(corners - nearest, axis=-1).min(axis=1))
    return least


def head_to_table(gantry_deg: Array, lateral_mm: float = 0.0, low_mm: float = 550.0) -> Array:
    table = np.broadcast_to(rectangle((-265 + lateral_mm, -170), (265 + lateral_mm, -120)), (len(gantry_deg), 4, 2))
    return apart(turned(rectangle((-50, low_mm), (50, 650)), gantry_deg), table)


@pytest.mark.parametrize(("first", "last"), [(0.0, 90.0), (0.0, -90.0), (-30.0, 170.0), (45.0, 45.0), (180.0, 60.0)])
@pytest.mark.parametrize("lateral_mm", [0.0, 120.0])
def test_the_least_is_that_of_the_polygons(first: float, last: float, lateral_mm: float) -> None:
    answer = rotation(rooms(HEAD), first, last, couch=[lateral_mm, *COUCH[1:]])
    least = head_to_table(np.linspace(first, last, 20_001), lateral_mm).min()
    # two millimetres between samples at most: half of it is subtracted
    assert least - 1.1 < answer["least_mm"] <= least
    assert answer["parts"] == ["table top", "head"]
    assert head_to_table(np.array([answer["at_deg"]]), lateral_mm)[0] == pytest.approx(least, abs=1.1)
    assert answer["violation"] is None


def test_a_couch_to_the_right_is_nearer_to_a_gantry_on_the_right() -> None:
    """The sign of the rotation: IEC 61217 gantry angle 90 is on +X."""
    right = rotation(rooms(HEAD), 90.0, 90.0, couch=[150.0, *COUCH[1:]])
    left = rotation(rooms(HEAD), -90.0, -90.0, couch=[150.0, *COUCH[1:]])
    # 550 - (265 + 150) = 135 mm across and 120 - 50 = 70 mm down
    assert right["least_mm"] == pytest.approx(np.hypot(135.0, 70.0), abs=0.01)
    assert left["least_mm"] == pytest.approx(np.hypot(435.0, 70.0), abs=0.01)


def test_the_first_angle_at_which_it_is_too_near_is_named() -> None:
    answer = rotation(rooms(LOW_HEAD), -60.0, 180.0)
    angles = np.arange(-60.0, 180.0, 0.01)
    first = angles[np.argmax(head_to_table(angles, low_mm=330.0) < 30.0)]
    assert answer["violation"]["parts"] == ["table top", "head"]
    # a sample is 0.18 degrees; and where it comes nearer by 6 mm per degree, the allowance of 1 mm is 0.17 degrees
    assert answer["violation"]["at_deg"] == pytest.approx(first, abs=0.35)
    assert answer["violation"]["at_deg"] <= first + 0.01, "not later than it truly is"
    assert answer["violation"]["clearance_mm"] < 30.0
    # backwards it comes from the other side
    back = rotation(rooms(LOW_HEAD), 180.0, -60.0)
    assert back["violation"]["at_deg"] > answer["violation"]["at_deg"] + 10.0


def test_what_stands_beside_the_couch_keeps_nobody_from_rotating() -> None:
    """The post is 15 mm from the table top, which is the couch's affair: no rotation changes it."""
    answer = rotation(rooms(HEAD, POST), 0.0, 20.0)
    assert answer["violation"] is None
    assert "post" not in answer["parts"]


def test_a_patient_on_the_table_counts() -> None:
    patient = {
        "name": "trunk",
        "body": "patient",
        "frame": "table_top",
        "vertices_mm": box((-200, -900, 0), (200, 0, 200)),
    }
    room = rooms(HEAD, patient_unchecked=True)
    assert rotation(room, 0.0, 10.0)["unchecked"] == [["patient", "head"]]
    placed = Rooms(
        parse_clearance(
            {"room": {"parts": [TABLE, HEAD], "uncertainty_mm": 0.0, "patient_unchecked": True}, "patient": [patient]},
            "clearance",
        )
    )
    answer = rotation(placed, 0.0, 10.0)
    assert answer["parts"] == ["trunk", "head"]
    # 550 mm above the isocentre, less the edge that comes down; the trunk ends 80 mm above it
    assert 440 < answer["least_mm"] < 470
    assert answer["unchecked"] == []


def test_a_model_in_which_nothing_turns_says_so() -> None:
    answer = rotation(rooms({**POST, "vertices_mm": box((400, -300, -400), (450, -200, 400))}), 0.0, 90.0)
    assert (answer["least_mm"], answer["parts"], answer["violation"]) == (None, [], None)
    assert answer["unchecked"] == [["table top", "gantry"]]


ARM_OUT = {"name": "arm out", "body": "imager arm", "imager_arm": "extended", "frame": "gantry"}
ARM_IN = {"name": "arm in", "body": "imager arm", "imager_arm": "stowed", "frame": "gantry"}
ARM_WAY = {"name": "arm sweep", "body": "imager arm", "imager_arm": "between", "frame": "gantry"}
ARM = (
    {**ARM_OUT, "vertices_mm": box((400, -100, -200), (450, 100, 0))},
    {**ARM_IN, "vertices_mm": box((900, -100, -200), (950, 100, 0))},
    {**ARM_WAY, "vertices_mm": box((380, -100, -200), (950, 100, 0))},
)


def test_the_imager_arm_counts_where_it_is() -> None:
    room = rooms(HEAD, *ARM)
    out = rotation(room, 0.0, 0.0, arm="extended")
    assert (out["parts"], out["least_mm"]) == (["table top", "arm out"], pytest.approx(135.0, abs=0.01))
    stowed = rotation(room, 0.0, 0.0, arm="stowed")
    assert (stowed["parts"], stowed["least_mm"]) == (["table top", "arm in"], pytest.approx(635.0, abs=0.01))
    unknown = rotation(room, 0.0, 0.0, arm="unknown")
    assert (unknown["parts"], unknown["least_mm"]) == (["table top", "arm sweep"], pytest.approx(115.0, abs=0.01))


def test_an_arm_that_is_not_in_the_model_is_named() -> None:
    assert ["table top", "imager arm"] in rotation(rooms(HEAD), 0.0, 1.0, arm="extended")["unchecked"]
    assert ["table top", "imager arm"] not in rotation(rooms(HEAD), 0.0, 1.0, arm="stowed")["unchecked"]


def arm_move(room: Rooms, angle_deg: float = 0.0) -> dict[str, Any]:
    place = {"angle_deg": angle_deg, "imager_arm": "stowed"}
    return room.answer({"couch": COUCH, "arm_from": "stowed", "gantry": place})


def test_a_move_of_the_arm_sweeps() -> None:
    answer = arm_move(rooms(HEAD, *ARM))
    assert (answer["parts"], answer["least_mm"]) == (["table top", "arm sweep"], pytest.approx(115.0, abs=0.01))
    assert answer["unchecked"] == [["patient", "imager arm"]]
    near = arm_move(rooms(HEAD, *ARM, required_mm=120.0))
    assert near["violation"]["parts"] == ["table top", "arm sweep"]
    # the sweep of an arm whose ends alone are known is not
    assert ["table top", "imager arm"] in arm_move(rooms(HEAD, *ARM[:2]))["unchecked"]
    nothing = arm_move(rooms(HEAD))
    assert (nothing["least_mm"], nothing["unchecked"]) == (None, [["table top", "imager arm"]])


def test_a_couch_motion_looks_where_the_gantry_reports_to_be() -> None:
    """The configuration's angle is for rooms whose gantry reports nothing; the head stands in the way at 90 degrees."""
    described = {"room": {"parts": [TABLE, LOW_HEAD], "uncertainty_mm": 0.0, "patient_unchecked": True}}
    room = Rooms(parse_clearance(described | {"machine": {"gantry_angle_deg": 0.0}}, "clearance"))
    way = {"stages": [COUCH, [60.0, *COUCH[1:]]], "stop": [0.0] * 6}
    assert room.answer(way)["violation"] is None
    turned_away = {"angle_deg": -90.0, "imager_arm": "stowed"}
    assert room.answer(way | {"gantry": turned_away})["violation"] is None
    there = room.answer(way | {"gantry": {"angle_deg": 90.0, "imager_arm": "stowed"}})
    # 330 mm to the head's end less 325 to the edge, and 70 mm down
    assert there["least_mm"] == pytest.approx(np.hypot(5.0, 70.0), abs=1.1)
    unknown = Rooms(parse_clearance(described, "clearance"))
    with pytest.raises(ClearanceUnknown, match="gantry"):
        unknown.answer(way)


def test_a_couch_motion_looks_where_the_imager_arm_reports_to_be() -> None:
    room = rooms(HEAD, *ARM, pairs=[["table top", "head"], ["table top", "imager arm"]])
    way = {"stages": [COUCH, [50.0, *COUCH[1:]]], "stop": [0.0] * 6}
    least = {
        place: room.answer(way | {"gantry": {"angle_deg": 0.0, "imager_arm": place}})["least_mm"]
        for place in ("stowed", "extended", "moving")
    }
    assert least["stowed"] == pytest.approx(585.0, abs=1.1)
    assert least["extended"] == pytest.approx(85.0, abs=1.1)
    assert least["moving"] == pytest.approx(65.0, abs=1.1)


@pytest.mark.parametrize(
    ("way", "reach_mm"), [([0.0, 10.0], 2000.0), ([-100.0, 0.5, -3.0], 700.0), ([5.0, 5.0], 900.0)]
)
def test_no_step_between_samples_is_longer_than_asked_for(way: list[float], reach_mm: float) -> None:
    angles = sampled_angles(way, reach_mm, 2.0)
    assert np.deg2rad(np.abs(np.diff(angles))).max() * reach_mm <= 2.0 + 1e-9
    assert (angles[0], angles[-1]) == (way[0], way[-1])
    for corner in way:
        assert np.abs(angles - corner).min() < 1e-9


def test_a_long_way_is_sampled_coarser() -> None:
    assert len(sampled_angles([-190.0, 190.0], 2500.0, 2.0)) <= MOST_SAMPLES + 2


@pytest.mark.parametrize(
    ("part", "said"),
    [({**HEAD, "imager_arm": "out"}, "stowed"), ({**TABLE, "name": "b", "imager_arm": "stowed"}, "table top")],
)
def test_a_place_of_the_arm_that_makes_no_sense(part: dict[str, Any], said: str) -> None:
    with pytest.raises(BadDeviceConfig, match=said) as caught:
        parse_clearance({"room": {"parts": [TABLE, part], "patient_unchecked": True}}, "clearance")
    assert caught.value.facts["key"] == "clearance.room.parts[1].imager_arm"


def test_a_body_that_only_the_arm_meets_is_no_mistake_without_the_arm() -> None:
    """Explicit pairs of which some are gone while the arm is stowed leave no body behind that is in none."""
    rail = {"name": "rail", "frame": "fixed", "vertices_mm": box((1200, -100, -400), (1250, 100, 400))}
    pairs = [["table top", "head"], ["rail", "imager arm"]]
    room = rooms(HEAD, ARM[0], rail, pairs=pairs)
    assert rotation(room, 0.0, 1.0, arm="stowed")["parts"] == ["table top", "head"]


def test_every_place_of_the_arm_has_a_model() -> None:
    room = rooms(HEAD, *ARM)
    names = {place: {part.name for part in room.model(place).parts} for place in ("stowed", "extended", "between", "?")}
    assert names["between"] == names["?"] > names["stowed"] | names["extended"] - {"arm sweep"}
    for one, other in itertools.permutations(("stowed", "extended"), 2):
        assert names[one] != names[other]
