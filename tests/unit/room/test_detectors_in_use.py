"""A room whose detector record is in use: its images are those of even panels, frame after frame."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from isoalign.calibration import (
    DetectorResult,
    LagRun,
    PanelFrames,
    RoomKey,
    calibrate_detector,
    detector_arrays,
    detector_record,
    write_record,
)
from isoalign.errors import IsoalignError
from isoalign.records import Technique
from isoalign.room.adapters import DaemonImagers
from isoalign.room.calibration import RoomCalibration, load_calibration
from isoalign.room.settings import CalibrationSettings, RoomSettings, load_settings

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ROWS, COLUMNS = 24, 20
LEVEL, OFFSET = 10_000.0, 160.0
HELD, HELD_S = 0.03, 5.0


def gain_of(name: str) -> np.ndarray:
    return 1.0 + 0.05 * np.random.default_rng(ord(name)).standard_normal((ROWS, COLUMNS))


def flat(name: str, level: float, count: int = 1) -> np.ndarray:
    dice = np.random.default_rng(3)
    shape = (count, ROWS, COLUMNS)
    return np.rint(OFFSET + level * gain_of(name) + dice.normal(0, 3.0, shape)).astype(np.uint16)


def result_of(name: str) -> DetectorResult:
    times = np.linspace(0.5, 20.0, 14)
    runs = [
        LagRun(
            flat(name, LEVEL)[0],
            np.stack([flat(name, LEVEL * HELD * np.exp(-t / HELD_S))[0] for t in times]),
            times,
        )
        for _ in range(2)
    ]
    floods = (flat(name, LEVEL / 2, 8), flat(name, LEVEL, 8))
    return calibrate_detector(PanelFrames(name, flat(name, 0.0, 50), floods, tuple(runs), NOW - timedelta(days=1)))


@pytest.fixture(scope="module")
def results() -> list[DetectorResult]:
    return [result_of(name) for name in "AB"]


def room(folder: Path, results: list[DetectorResult], **changes: Any) -> RoomSettings:
    key = RoomKey.generate()
    _, seal = key.save(folder / "key")
    arrays = detector_arrays(results)
    (folder / "maps.npz").write_bytes(arrays)
    write_record(detector_record(results, arrays), folder / "detector.json", key)
    stated = CalibrationSettings(seal=seal, detectors=folder / "detector.json", detector_maps=folder / "maps.npz")
    settings = load_settings()
    small = {"rows": ROWS, "columns": COLUMNS} | changes
    imagers = tuple(one.model_copy(update=small) for one in settings.imager)
    return settings.model_copy(update={"imager": imagers, "calibration": stated})


class Exposing:
    """A daemon whose panels show the same flat field again and again, with what the one before has left."""

    def __init__(self) -> None:
        self.now = NOW
        self.exposures = 0

    async def expose(self, names: tuple[str, ...], technique: Technique) -> list[Any]:
        self.now += timedelta(seconds=1.0)
        left = LEVEL * HELD * np.exp(-1.0 / HELD_S) if self.exposures else 0.0
        self.exposures += 1
        return [
            SimpleNamespace(
                imager=name,
                exposure_id=self.exposures,
                technique=technique,
                acquired_at=self.now,
                read_at=self.now,
                table_top=None,
                pixels=flat(name, LEVEL + left)[0],
            )
            for name in names
        ]


async def test_images_are_even_and_free_of_the_one_before(tmp_path: Path, results: list[DetectorResult]) -> None:
    settings = room(tmp_path, results)
    known = load_calibration(settings, NOW)
    assert sorted(known.detectors) == ["A", "B"]
    daemon = Exposing()
    imagers = DaemonImagers(daemon, settings, None, known.couch, known.detectors)  # type: ignore[arg-type]
    levels = []
    for _ in range(2):
        images = await imagers.acquire(Technique(100.0, 100.0, 50.0))
        for image in images:
            assert image.pixels.dtype == np.uint16
            assert np.std(image.pixels / image.pixels.mean()) < 0.005
        levels.append(float(images[0].pixels.mean()))
    level = results[0].calibration.floods[-1].level
    assert levels[0] == pytest.approx(level, rel=0.002)
    assert levels[1] == pytest.approx(level, rel=0.002), "2.5 % of it were left by the image before"


async def test_without_a_record_images_are_as_the_panel_sent_them(
    tmp_path: Path, results: list[DetectorResult]
) -> None:
    daemon = Exposing()
    imagers = DaemonImagers(daemon, room(tmp_path, results))  # type: ignore[arg-type]
    images = await imagers.acquire(Technique(100.0, 100.0, 50.0))
    np.testing.assert_array_equal(images[0].pixels, flat("A", LEVEL)[0])


async def test_what_a_patient_leaves_is_taken_off_the_images_of_the_next(
    tmp_path: Path, results: list[DetectorResult]
) -> None:
    settings = room(tmp_path, results)
    known, daemon = load_calibration(settings, NOW), Exposing()
    for _ in range(2):
        session = DaemonImagers(daemon, settings, None, known.couch, known.detectors)  # type: ignore[arg-type]
        images = await session.acquire(Technique(100.0, 100.0, 50.0))
    level = results[1].calibration.floods[-1].level
    assert float(images[1].pixels.mean()) == pytest.approx(level, rel=0.002)


async def test_a_clock_that_was_set_back_costs_the_memory_and_not_the_image(
    tmp_path: Path, results: list[DetectorResult]
) -> None:
    settings = room(tmp_path, results)
    daemon = Exposing()
    known = load_calibration(settings, NOW)
    imagers = DaemonImagers(daemon, settings, None, known.couch, known.detectors)  # type: ignore[arg-type]
    await imagers.acquire(Technique(100.0, 100.0, 50.0))
    daemon.now -= timedelta(hours=1)
    imagers = DaemonImagers(daemon, settings, None, known.couch, known.detectors)  # type: ignore[arg-type]
    images = await imagers.acquire(Technique(100.0, 100.0, 50.0))
    assert float(images[0].pixels.mean()) == pytest.approx(LEVEL * 1.0245, rel=0.005)


BAD = [
    ("expired", "calibration.expired-record"),
    ("other maps", "calibration.tampered-record"),
    ("changed", "calibration.tampered-record"),
    ("one panel", "calibration.incomplete"),
    ("other size", "calibration.incomplete"),
    ("no maps", "calibration.invalid-record"),
    ("no seal", "calibration.invalid-key"),
]


@pytest.mark.parametrize(("what", "code"), BAD)
def test_every_other_record_is_refused(tmp_path: Path, results: list[DetectorResult], what: str, code: str) -> None:
    given = results[:1] if what == "one panel" else results
    settings = room(tmp_path, given, **({"rows": ROWS + 1} if what == "other size" else {}))
    maps, record = tmp_path / "maps.npz", tmp_path / "detector.json"
    if what == "other maps":
        maps.write_bytes(detector_arrays(results[::-1]))
    elif what == "no maps":
        maps.unlink()
    elif what == "no seal":
        (tmp_path / "key.pub").unlink()
    elif what == "changed":
        document = json.loads(record.read_text(encoding="utf-8"))
        maps.write_bytes(b"other maps")
        document["content"]["result"]["arrays_sha256"] = hashlib.sha256(b"other maps").hexdigest()
        record.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(IsoalignError) as caught:
        load_calibration(settings, NOW + timedelta(days=100 if what == "expired" else 0))
    assert caught.value.code == code


def test_a_record_goes_with_its_maps(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="go together"):
        CalibrationSettings(seal=tmp_path / "key.pub", detectors=tmp_path / "detector.json")
    assert RoomCalibration().detectors == {}
