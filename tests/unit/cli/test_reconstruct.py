"""``isoalign reconstruct``: a ball in files becomes a ball in a CT, and every way of asking wrongly is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from isoalign.cli import main
from isoalign.geometry import ImagerAxis, PixelGrid, ProjectionGeometry

COUNT = 36
PIXELS = PixelGrid.centred(24, 32, 6.0)
RADIUS = 35.0
SIZE = ["--voxels", "28", "--slices", "16", "--voxel", "4"]


def scan() -> dict[str, npt.NDArray[np.float64]]:
    """A ball of water of 35 mm radius about the isocentre."""
    angles = np.arange(COUNT) * 360.0 / COUNT
    images, matrices = [], []
    for angle in angles:
        geometry = ProjectionGeometry.from_axis(ImagerAxis(float(angle), 1000.0, 1500.0), PIXELS)
        rays = geometry.pixel_centres_mm() - geometry.source_mm
        rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
        squared = (np.cross(-geometry.source_mm, rays) ** 2).sum(-1)
        images.append(0.02059 * 2 * np.sqrt(np.clip(RADIUS**2 - squared, 0, None)))
        matrices.append(geometry.projection_matrix())
    return {
        "line_integrals": np.array(images),
        "gantry_angles_deg": angles,
        "projection_matrices": np.array(matrices),
        "pixel_mm": np.array(6.0),
        "sad_mm": np.array(1000.0),
        "sid_mm": np.array(1500.0),
    }


def save(path: Path, arrays: dict[str, Any], *without: str) -> Path:
    np.savez(path, **{name: value for name, value in arrays.items() if name not in without})
    return path


def middle_and_corner(path: Path) -> tuple[float, float]:
    with np.load(path) as found:
        hounsfield = found["hounsfield"]
        assert str(found["patient_position"]) == "HFS"
        assert np.allclose(found["axes"], np.eye(3))
        centre = found["origin_mm"] + (np.array(hounsfield.shape[::-1]) - 1) / 2 * found["spacing_mm"]
        np.testing.assert_allclose(centre, (1.0, -2.0, 3.0), atol=1e-9)
    return float(hounsfield[6:10, 11:17, 11:17].mean()), float(hounsfield[8, 1:3, 13:15].mean())


@pytest.mark.parametrize("kind", ["angles", "matrices", "intensity", "folder"])
def test_a_ball_is_reconstructed(tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    arrays = scan()
    source = tmp_path / "scan.npz"
    if kind == "angles":
        save(source, arrays, "projection_matrices")
    elif kind == "matrices":
        save(source, arrays, "gantry_angles_deg", "sad_mm", "sid_mm")
    elif kind == "intensity":
        arrays["intensity"] = 5000.0 * np.exp(-arrays["line_integrals"])
        arrays["open_field"] = np.array(5000.0)
        save(source, arrays, "line_integrals")
    else:
        source = tmp_path / "frames"
        source.mkdir()
        for number in range(COUNT):
            one = {name: arrays[name][number] for name in ("line_integrals", "projection_matrices")}
            save(source / f"{number:03d}.npz", {**one, "pixel_mm": arrays["pixel_mm"]})
    out = tmp_path / "ct.npz"
    line = ["reconstruct", str(source), "--out", str(out), *SIZE, "--isocentre", "1", "-2", "3", "--json"]
    assert main(line) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["projections"] == COUNT
    assert told["arc_deg"] == 360
    middle, corner = middle_and_corner(out)
    assert abs(middle) < 20
    assert abs(corner + 1000) < 30


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda arrays: arrays.pop("pixel_mm"), "scan.unusable-file"),
        (lambda arrays: arrays.pop("line_integrals"), "scan.unusable-file"),
        (lambda arrays: arrays.update(line_integrals=np.zeros(3)), "scan.unusable-file"),
        (lambda arrays: arrays.update(line_integrals=np.array(["a", "b"])), "scan.unusable-file"),
        (lambda arrays: arrays.update(projection_matrices=arrays["projection_matrices"][:5]), "scan.unusable-file"),
        (lambda arrays: arrays.update(line_integrals=arrays["line_integrals"] * np.nan), "imaging.unusable-projection"),
        (
            lambda arrays: arrays.update(projection_matrices=arrays["projection_matrices"] * [[-1], [1], [1]]),
            "imaging.mirrored-geometry",
        ),
        (
            lambda arrays: arrays.update(
                line_integrals=arrays["line_integrals"][:17], projection_matrices=arrays["projection_matrices"][:17]
            ),
            "imaging.arc-too-short",
        ),
    ],
)
def test_scans_that_cannot_be_used(tmp_path: Path, spoil: Any, code: str, capsys: pytest.CaptureFixture[str]) -> None:
    arrays: dict[str, Any] = dict(scan())
    spoil(arrays)
    source = save(tmp_path / "scan.npz", arrays)
    assert main(["reconstruct", str(source), "--out", str(tmp_path / "ct.npz"), *SIZE]) == 3
    said = capsys.readouterr().err
    assert code in said
    assert "Traceback" not in said
    assert not (tmp_path / "ct.npz").exists()


def test_files_that_are_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = tmp_path / "text.npz"
    text.write_text("no arrays")
    np.save(tmp_path / "one.npy", np.zeros(3))
    single = (tmp_path / "one.npy").rename(tmp_path / "one.npz")
    for source in (text, single, tmp_path / "nowhere.npz", tmp_path / "nowhere"):
        assert main(["reconstruct", str(source), "--out", str(tmp_path / "ct.npz")]) == 3
        assert "scan.unusable-file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--out", "ct.nii"], "cli.unusable-argument"),
        (["--window", "boxcar"], "cli.unusable-argument"),
        (["--out", "nowhere/ct.npz"], "cli.output-not-writable"),
    ],
)
def test_what_cannot_be_done_is_refused_first(words: list[str], code: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reconstruct", "scan.npz", *words]) == 2
    assert code in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [["--cut-off", "2"], ["--voxel", "0"], ["--water", "-1"], ["--patient-position", "UP"]]
)
def test_numbers_that_make_no_sense(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reconstruct", "scan.npz", *words]) == 3
    assert "Traceback" not in capsys.readouterr().err
