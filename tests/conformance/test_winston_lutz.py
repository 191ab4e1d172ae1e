"""The 17 Winston-Lutz images of a machine, and pylinac on the same images as an independent oracle.

pylinac has a NumPy of its own, so it lives in an environment of its own; ``ISOALIGN_PYLINAC_PYTHON`` names its Python.
"""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
from pathlib import Path

import numpy as np
import pytest

from isoalign.calibration import (
    BeamImage,
    CouchAngles,
    ImageVerdict,
    WinstonLutz,
    analyse_winston_lutz,
)
from isoalign.room.beam_images import read_beam_images

pytestmark = pytest.mark.real_data
AGREEMENT_MM = 0.05
PEER = Path(__file__).with_name("pylinac_peer.py")


@pytest.fixture(scope="module")
def archive(real_data_folder: Path) -> Path:
    return real_data_folder / "winston_lutz" / "winston_lutz.tar.xz"


@pytest.fixture(scope="module")
def images(archive: Path) -> tuple[BeamImage, ...]:
    return read_beam_images(archive)


@pytest.fixture(scope="module")
def found(images: tuple[BeamImage, ...]) -> WinstonLutz:
    return analyse_winston_lutz(images)


@pytest.fixture(scope="module")
def pylinac_python() -> str:
    python = os.environ.get("ISOALIGN_PYLINAC_PYTHON", "")
    if not python:
        pytest.skip("ISOALIGN_PYLINAC_PYTHON does not name a Python that has pylinac")
    return python


@pytest.fixture(scope="module")
def asked_of_pylinac(
    pylinac_python: str, archive: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, list[float]]:
    """Name of the set of images and sense of the couch angle -> shift, mm; one run for all."""
    folders = [tmp_path_factory.mktemp("all"), tmp_path_factory.mktemp("couch-at-zero")]
    with tarfile.open(archive) as opened:
        for member in opened:
            is_turned = Path(member.name).stem in {"couch45", "couch90", "couch270", "couch315"}
            for folder in folders[:1] if is_turned else folders:
                opened.extract(member, folder, filter="data")
    ran = subprocess.run(
        [pylinac_python, str(PEER), "5", *map(str, folders)],
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"MPLBACKEND": "Agg"},
    )
    assert ran.returncode == 0, ran.stderr
    everything, at_zero = json.loads(ran.stdout.splitlines()[-1])
    return {**everything, "couch at zero": at_zero["as-tagged"]}


def test_all_images_are_read_and_nothing_is_left_out(found: WinstonLutz) -> None:
    assert len(found.images) == 17
    assert found.ball.not_available == ()
    assert found.ball.outliers == ()
    # a published analysis of these images: at most 1.23 mm from the middle of the field
    distances = np.linalg.norm(found.offsets_mm(), axis=1)
    assert distances.max() == pytest.approx(1.23, abs=0.1)


def test_the_scale_trap_is_met_and_named(found: WinstonLutz) -> None:
    (advice,) = found.advice
    assert set(advice.labels) == {"couch45", "couch90", "couch270", "couch315"}
    assert "run opposite" in advice.text
    assert advice.verdict is ImageVerdict.DO_NOT_TELL


def test_five_couch_angles_give_an_axis_with_a_wide_uncertainty(found: WinstonLutz) -> None:
    assert found.couch is not None
    assert found.couch.is_reduced
    assert found.couch.uncertainty95_mm > 0.3
    assert found.couch.tilt_deg is None


@pytest.mark.parametrize("sense", list(CouchAngles))
def test_pylinac_finds_the_same_shift_in_all_images(
    sense: CouchAngles, images: tuple[BeamImage, ...], asked_of_pylinac: dict[str, list[float]]
) -> None:
    ours = analyse_winston_lutz(images, couch_angles=sense).ball_if_couch_is_ideal.require_complete()
    # pylinac gives the way back, and takes the couch for ideal
    np.testing.assert_allclose(-ours, asked_of_pylinac[sense.value], rtol=0, atol=AGREEMENT_MM)


def test_pylinac_finds_the_same_shift_with_the_couch_at_zero(
    found: WinstonLutz, asked_of_pylinac: dict[str, list[float]]
) -> None:
    assert sum(image.patient_support_angle_deg == 0.0 for image in found.images) == 13
    np.testing.assert_allclose(
        -found.ball.require_complete(), asked_of_pylinac["couch at zero"], rtol=0, atol=AGREEMENT_MM
    )
