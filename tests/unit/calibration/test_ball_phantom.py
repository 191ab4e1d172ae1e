"""Phantom descriptions: the built-in one is unmistakable, bad files are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from isoalign.calibration import InvalidPhantom, built_in_phantom, load_phantom


def test_round_trip(tmp_path: Path) -> None:
    phantom = built_in_phantom()
    file = tmp_path / "phantom.json"
    file.write_text(json.dumps(phantom.to_dict()))
    again = load_phantom(file)
    assert again.name == phantom.name
    assert again.radius_mm == phantom.radius_mm == 1.5
    assert np.array_equal(again.centres_mm, phantom.centres_mm)


def test_the_built_in_pattern_is_no_mirror_image_and_no_turn_of_itself() -> None:
    centres = built_in_phantom().centres_mm
    assert len(centres) == 24
    moves = [np.diag(signs) for signs in np.ndindex(2, 2, 2)]
    for move in ((1 - 2 * np.diag(one)) * np.eye(3) for one in moves):
        if np.array_equal(move, np.eye(3)):
            continue
        moved = centres @ move
        nearest = np.linalg.norm(moved[:, None] - centres[None], axis=-1).min(axis=1)
        assert np.median(nearest) > 5.0


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"radius_mm": 0}, "radius"),
        ({"radius_mm": "wide"}, "wide"),
        ({"centres_mm": [[1, 2, 3]]}, "1 balls"),
        ({"centres_mm": [[1, 2], [3, 4]]}, "shape"),
        ({"centres_mm": [[1, 2, float("nan")], [3, 4, 5]]}, "NaN"),
        ({"colour": "grey"}, "colour"),
    ],
)
def test_bad_files_name_what_is_wrong(tmp_path: Path, change: dict[str, Any], named: str) -> None:
    file = tmp_path / "phantom.json"
    file.write_text(json.dumps(built_in_phantom().to_dict() | change))
    with pytest.raises(InvalidPhantom, match=named):
        load_phantom(file)


@pytest.mark.parametrize("text", ["", "[]", "{}", "7"])
def test_files_that_are_no_phantom(tmp_path: Path, text: str) -> None:
    file = tmp_path / "phantom.json"
    file.write_text(text)
    with pytest.raises(InvalidPhantom):
        load_phantom(file)
    with pytest.raises(InvalidPhantom):
        load_phantom(tmp_path / "absent.json")
