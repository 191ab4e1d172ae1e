"""Files that real machines wrote, against the geometry kernel: orientations, receptors, scales, a pinhole.

Every tolerance says where it comes from: digits in the file, or a figure that others published for the same images.
"""

from __future__ import annotations

import re
import tarfile
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from pydicom.uid import ImplicitVRLittleEndian
from scipy import ndimage

from isoalign.geometry import (
    Fixed,
    ImagerAxis,
    PatientPosition,
    PixelGrid,
    ProjectionGeometry,
    Representation,
    TableAngles,
    TableTopPosition,
    fixed_from_table,
    fixed_rotation_from_dicom,
    planned_fixed_from_dicom,
    rotation_from_table_angles,
)
from isoalign.geometry.c_arm import CArmAngles, GantryDirection, gantry_from_c_arm
from isoalign.geometry.nine_parameter import NineParameters

pytestmark = pytest.mark.real_data

Array = npt.NDArray[np.float64]


def unpacked(archive: Path, folder: Path) -> list[Path]:
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    return sorted(path for path in folder.rglob("*") if path.is_file())


def read(path: Path) -> Any:
    """A dataset; some of these files lack the preamble and the file meta information."""
    return pydicom.dcmread(BytesIO(path.read_bytes()), force=True)


def axis_of(image: Any) -> ImagerAxis:
    translation = image.get("XRayImageReceptorTranslation")
    return ImagerAxis.from_rt_image(
        gantry_angle_deg=float(image.GantryAngle),
        sad_mm=float(image.RadiationMachineSAD),
        sid_mm=float(image.RTImageSID),
        receptor_translation_mm=None if translation is None else tuple(float(value) for value in translation),
        receptor_angle_deg=float(image.XRayImageReceptorAngle),
        gantry_pitch_deg=image.get("GantryPitchAngle"),
    )


def grid_of(image: Any) -> PixelGrid:
    row_spacing, column_spacing = (float(value) for value in image.ImagePlanePixelSpacing)
    x, y = (float(value) for value in image.RTImagePosition)
    return PixelGrid(image.Rows, image.Columns, row_spacing, column_spacing, (x, y))


# ---- a cone-beam CT whose couch stood at 359.7 degrees ------------------------------------------------------------


@pytest.fixture(scope="module")
def catphan(real_data_folder: Path) -> list[Any]:
    """Headers of all slices, in the order of their positions."""
    headers = []
    with tarfile.open(real_data_folder / "catphan_cbct" / "catphan_cbct.tar.xz") as archive:
        for member in archive:
            content = archive.extractfile(member) if member.isfile() else None
            header = None if content is None else pydicom.dcmread(content, stop_before_pixels=True, force=True)
            if header is not None and "ImagePositionPatient" in header:
                headers.append(header)
    return sorted(headers, key=lambda one: float(one.ImagePositionPatient[2]))


def test_orientation_of_a_cone_beam_ct_shows_the_sign_of_the_couch_angle(catphan: list[Any]) -> None:
    """Rows of the image run along +Xf and columns along -Zf, in axes that turned with the couch.

    Patient Position is for annotation only in a CT series; it is HFS here and the couch was turned by -0.3 degrees on
    top of it. Fourteen decimals are stored of each cosine.
    """
    header = catphan[0]
    assert header.PatientPosition == "HFS"
    angles = TableAngles(float(header.PatientSupportAngle), 0.0, 0.0)
    dicom_from_fixed = fixed_rotation_from_dicom(PatientPosition.HFS).T @ rotation_from_table_angles(angles).T
    row, column = np.reshape([float(value) for value in header.ImageOrientationPatient], (2, 3))
    np.testing.assert_allclose(dicom_from_fixed @ (1, 0, 0), row, atol=1e-13)
    np.testing.assert_allclose(dicom_from_fixed @ (0, 0, -1), column, atol=1e-13)
    other_sign = fixed_rotation_from_dicom(PatientPosition.HFS).T @ rotation_from_table_angles(angles)
    assert np.abs(other_sign @ (1, 0, 0) - row).max() > 0.01


def test_slices_of_the_cone_beam_ct_stack_along_the_fixed_axis(catphan: list[Any]) -> None:
    """From slice to slice the position moves along +Yf, the axis of the gantry, by the slice spacing of 2.5 mm.

    The stored spacing is the machine's, known to a ten-thousandth; the direction is held to the digits in the file.
    """
    assert len(catphan) == 64
    angles = TableAngles(float(catphan[0].PatientSupportAngle), 0.0, 0.0)
    dicom_from_fixed = fixed_rotation_from_dicom(PatientPosition.HFS).T @ rotation_from_table_angles(angles).T
    positions = np.array([[float(value) for value in one.ImagePositionPatient] for one in catphan])
    steps = np.diff(positions, axis=0)
    np.testing.assert_allclose(np.linalg.norm(steps, axis=1), 2.5, atol=2.5e-4)
    directions = steps / np.linalg.norm(steps, axis=1)[:, None]
    np.testing.assert_allclose(directions, np.tile(dicom_from_fixed @ (0, 1, 0), (63, 1)), atol=1e-9)


# ---- RT Images of six machines ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rt_images(real_data_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    files = unpacked(real_data_folder / "rt_images" / "rt_images.tar.xz", tmp_path_factory.mktemp("rt_images"))
    found = {path.name: read(path) for path in files}
    return {name: one for name, one in found.items() if one.Modality == "RTIMAGE"}


def test_receptor_lies_at_sad_minus_sid_in_every_rt_image(rt_images: dict[str, Any]) -> None:
    """Z of the receptor translation is negative beyond the isocentre; all that store it agree to the last digit."""
    stored = {name: one for name, one in rt_images.items() if "XRayImageReceptorTranslation" in one}
    assert len(stored) == 8
    for one in stored.values():
        z = float(one.XRayImageReceptorTranslation[2])
        assert z == pytest.approx(float(one.RadiationMachineSAD) - float(one.RTImageSID), abs=1e-9)
        assert z <= 0.0
    assert {name for name, one in stored.items() if one.RTImageSID == 1000} == {"TestDrawBEV_RTIMAGE.DCM"}


def test_rt_images_give_their_axis(rt_images: dict[str, Any]) -> None:
    """Image, receptor and room: the upper left pixel as the formula of the standard has it."""
    for one in rt_images.values():
        geometry = ProjectionGeometry.from_axis(axis_of(one), grid_of(one))
        phi = np.radians(float(one.GantryAngle))
        around = np.array([[np.cos(phi), 0, np.sin(phi)], [0, 1, 0], [-np.sin(phi), 0, np.cos(phi)]])
        depth = float(one.RadiationMachineSAD) - float(one.RTImageSID)
        translation = np.array(one.get("XRayImageReceptorTranslation", (0.0, 0.0, depth)), dtype=float)
        first = np.array([*(float(value) for value in one.RTImagePosition), 0.0])
        np.testing.assert_allclose(geometry.pixel_points_mm((0, 0)), around @ (translation + first), atol=1e-9)
        np.testing.assert_allclose(geometry.source_mm, around @ (0, 0, float(one.RadiationMachineSAD)), atol=1e-9)
        back = NineParameters.from_geometry(geometry).to_axis()
        np.testing.assert_allclose(back.receptor_translation_mm, translation[:2], atol=1e-9)


def test_isocentre_of_an_onboard_imager_lies_where_the_couch_says(rt_images: dict[str, Any]) -> None:
    """OBI 1.6 stores the isocentre with respect to the table top, in the axes of a head-first supine patient.

    So it is the point of the table top that stands at the isocentre: (-lateral, vertical, -longitudinal). TrueBeam
    stores (0, 0, 0): there the frame's origin is the isocentre itself, wherever the couch stands.
    """
    seen = 0
    for one in rt_images.values():
        if "IsocenterPosition" not in one or one.ManufacturerModelName == "ARIA RadOnc":
            continue
        table = TableTopPosition(
            Representation.IEC_61217,
            float(one.TableTopLateralPosition),
            float(one.TableTopLongitudinalPosition),
            float(one.TableTopVerticalPosition),
        )
        on_table = fixed_from_table(table).inverse().apply((0.0, 0.0, 0.0))
        in_dicom = fixed_rotation_from_dicom(PatientPosition.parse(one.PatientPosition)).T @ on_table
        stored = np.array(one.IsocenterPosition, dtype=float)
        if one.ManufacturerModelName == "On-Board Imager":
            assert one.SoftwareVersions.startswith("1.6")
            np.testing.assert_allclose(stored, in_dicom, atol=1e-9)
            seen += 1
        else:
            np.testing.assert_array_equal(stored, 0.0)
            assert np.abs(in_dicom).max() > 100.0
    assert seen == 3


def test_first_pixel_is_a_centre_for_one_maker_and_a_corner_for_another(rt_images: dict[str, Any]) -> None:
    """RT Image Position is the centre of the first pixel. One record-and-verify system stores the edge of the image.

    Taken at its word, such an image is half a pixel (0.2 mm on the panel) off in both directions.
    """
    for name, one in rt_images.items():
        x, y = (float(value) for value in one.RTImagePosition)
        row_spacing, column_spacing = (float(value) for value in one.ImagePlanePixelSpacing)
        centre = (-(one.Columns - 1) / 2 * column_spacing, (one.Rows - 1) / 2 * row_spacing)
        edge = (-one.Columns / 2 * column_spacing, one.Rows / 2 * row_spacing)
        if one.ManufacturerModelName == "MOSAIQ":
            assert (x, y) == pytest.approx(edge, abs=0.01), name  # stored with a panel spacing rounded to 0.388
        else:
            assert (x, y) == pytest.approx(centre, abs=1e-6), name


# ---- Winston-Lutz images of a ball in a small field ---------------------------------------------------------------


class BallImage:
    """Angles of the machine, and what stands in the image as (column, row)."""

    def __init__(self, name: str, dataset: Any) -> None:
        self.name = name
        self.gantry_deg = float(dataset.GantryAngle)
        self.collimator_deg = float(dataset.BeamLimitingDeviceAngle)
        self.couch_deg = float(dataset.PatientSupportAngle)
        self.geometry = ProjectionGeometry.from_axis(axis_of(dataset), grid_of(dataset))
        if "TransferSyntaxUID" not in dataset.file_meta:
            dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
        pixels = dataset.pixel_array.max() - dataset.pixel_array.astype(np.float64)
        low, high = np.percentile(pixels, [1.0, 99.9])
        field = largest(ndimage.binary_fill_holes(pixels > (low + high) / 2), None)
        inside = ndimage.binary_erosion(field, iterations=3)
        shadow = np.where(inside, np.clip(np.percentile(pixels[inside], 80) - pixels, 0.0, None), 0.0)
        ball = ndimage.binary_dilation(largest(shadow > shadow.max() / 2, shadow))
        self.field = np.array(ndimage.center_of_mass(field))[::-1]
        self.ball = np.array(ndimage.center_of_mass(shadow * ball))[::-1]

    @property
    def ball_from_field_mm(self) -> Array:
        """From the middle of the field to the ball, in the plane of the isocentre, mm."""
        assert self.geometry.axis is not None
        scale = self.geometry.grid.column_spacing_mm * self.geometry.axis.sad_mm / self.geometry.axis.sid_mm
        return np.asarray((self.ball - self.field) * scale)


def largest(mask: npt.NDArray[np.bool_], weight: Array | None) -> npt.NDArray[np.bool_]:
    labels, count = ndimage.label(mask)
    sizes = ndimage.sum(mask if weight is None else weight, labels, range(1, count + 1))
    return np.asarray(labels == 1 + int(np.argmax(sizes)))


@pytest.fixture(scope="module")
def balls(real_data_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, BallImage]:
    files = unpacked(real_data_folder / "winston_lutz" / "winston_lutz.tar.xz", tmp_path_factory.mktemp("balls"))
    return {path.stem: BallImage(path.stem, read(path)) for path in files}


def test_couch_file_names_run_against_the_stored_angle(balls: dict[str, BallImage]) -> None:
    """A scale trap: the couch dial that named the files runs the other way round than IEC 61217's angle in them."""
    named = {name: one for name, one in balls.items() if name.startswith("couch")}
    assert len(named) == 5
    for name, one in named.items():
        dial = float(re.sub(r"\D", "", name))
        assert one.couch_deg == pytest.approx((360.0 - dial) % 360.0)
    gantries = {name: one for name, one in balls.items() if name.startswith("gantry")}
    assert len(gantries) == 7
    assert all(one.gantry_deg == float(re.sub(r"\D", "", name)) for name, one in gantries.items())


def test_ball_is_projected_near_the_field_centre(balls: dict[str, BallImage]) -> None:
    """A published analysis of these images: at most 1.23 mm from the field's centre, 0.69 mm at the median.

    Two ways to find a ball and a field's edge may differ by a tenth of a pixel, 0.05 mm in the isocentre plane.
    """
    distances = [float(np.hypot(*one.ball_from_field_mm)) for one in balls.values()]
    assert len(distances) == 17
    assert max(distances) == pytest.approx(1.23, abs=0.05)
    assert float(np.median(distances)) == pytest.approx(0.69, abs=0.05)


def test_ball_in_the_image_lies_near_the_projected_isocentre(balls: dict[str, BallImage]) -> None:
    """The receptor translation is not stored, so the panel's own offset (1.3 mm at most, as published) is in here.

    1.23 mm ball to axis, 1.31 mm panel, both seen in the isocentre plane, and half a pixel for the corner that is
    stored in the place of the first pixel's centre: 3.8 mm of panel are 4.9 pixels.
    """
    for one in balls.values():
        away = np.hypot(*(one.ball - one.geometry.project((0.0, 0.0, 0.0))))
        assert away < (1.23 * 1.5 + 1.31 * 1.5) / 0.784 + 0.71


def test_ball_position_in_the_room_from_all_gantry_angles(balls: dict[str, BallImage]) -> None:
    """Solved with the kernel's projection from the nine images without couch and collimator rotation.

    Published for these images: to bring the ball to the isocentre, facing the gantry, move it right 0.36, out 0.36 and
    down 0.20 mm; so it stands at (-0.36, +0.36, +0.20). A sign of gantry angle, columns or rows that is wrong moves a
    coordinate by twice its value, 0.4 mm at least; 0.1 mm is a fifth of a pixel.
    """
    used = [one for one in balls.values() if one.couch_deg == 0 and abs((one.collimator_deg + 180) % 360 - 180) < 0.5]
    assert len(used) == 9
    design, shifts = [], []
    for one in used:
        middle = one.geometry.project((0.0, 0.0, 0.0))
        design.append(np.stack([one.geometry.project(unit) - middle for unit in np.eye(3)], axis=1))
        shifts.append(one.ball - one.field)
    position, *_ = np.linalg.lstsq(np.concatenate(design), np.concatenate(shifts), rcond=None)
    np.testing.assert_allclose(position, (-0.36, 0.36, 0.20), atol=0.1)


# ---- kV tracks of a phantom with three gold seeds -----------------------------------------------------------------


class Track:
    """Frames of one run: gantry angle, seeds in the fixed frame (mm), and their pixels as (column, row)."""

    def __init__(self, text: str) -> None:
        rows = [line.split(",")[:18] for line in text.splitlines() if line[:1].isdigit()]
        numbers = np.array(rows, dtype=np.float64)
        self.gantry_deg = numbers[:, 2]
        ap_lr_si = numbers[:, 3:12].reshape(-1, 3, 3)
        self.seeds_mm = ap_lr_si[..., (1, 2, 0)]  # left-right, superior-inferior, anterior-posterior: Xf, Yf, Zf
        self.pixels = numbers[:, 12:].reshape(-1, 3, 2)

    def projected(self) -> Array:
        grid = PixelGrid(1024, 1024, 0.4, 0.4, (-511 * 0.4, 512 * 0.4))
        frames = [
            ProjectionGeometry.from_axis(ImagerAxis(float(angle), 1000.0, 1536.0), grid).project(seeds)
            for angle, seeds in zip(self.gantry_deg, self.seeds_mm, strict=True)
        ]
        return np.array(frames)


@pytest.fixture(scope="module")
def track_files(real_data_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("tracks")
    files = unpacked(real_data_folder / "marker_tracks" / "marker_tracks.tar.xz", folder)
    return {str(path.relative_to(folder)): path.read_text(encoding="utf-8-sig") for path in files}


RUNS = ["Static/Initial", "Static/AP-5", "Static/LR-5", "Static/SI+5"]


@pytest.mark.parametrize("run", RUNS)
def test_seeds_are_seen_through_a_pinhole(track_files: dict[str, str], run: str) -> None:
    """SAD 1000, SID 1536, pixels of 0.4 mm: the panel bends as the gantry turns, which a plain pinhole does not know.

    What is left is 0.99 pixels rms in the run whose settings file is at hand, and less in the others. A gantry angle of
    the wrong sense or mirrored rows would be off by the seeds' distance, 20 pixels and more.
    """
    track = Track(track_files[f"{run}/MarkerLocationsGA_CouchShift_0.txt"])
    assert len(track.gantry_deg) > 350
    off = track.pixels - track.projected()
    rms = float(np.sqrt(((off - off.mean(axis=(0, 1))) ** 2).mean()))
    if run == "Static/SI+5":
        assert rms == pytest.approx(0.99, abs=0.005)
    else:
        assert rms < 0.99


@pytest.mark.parametrize("run", RUNS)
def test_seeds_are_where_pinhole_and_panel_flex_say(track_files: dict[str, str], run: str) -> None:
    """With the flex of the machine's own settings file, a cosine in either direction, nothing is left but rounding.

    The tracker found the seeds by way of a pinhole of its own, so this holds conventions against each other: sense and
    zero of the gantry angle, rows and columns, and that a point nearer to the source is magnified more (one per cent
    across the seeds, 0.3 pixels).
    """
    settings = dict(re.findall(r"(?m)^(machine_\w+) = (.*)$", track_files["Static/SI+5/KIMsettings.txt"]))
    track = Track(track_files[f"{run}/MarkerLocationsGA_CouchShift_0.txt"])
    flex = []
    for name in ("machine_offsetsx", "machine_offsetsy"):
        offset, amplitude, phase_deg = (float(value) for value in settings[name].split(","))
        flex.append(offset + amplitude * np.cos(np.radians(track.gantry_deg - phase_deg)))
    off = track.pixels - track.projected() - np.stack(flex, axis=-1)[:, None, :]
    assert float(np.abs(off).max()) < 1e-9


def test_couch_shifts_move_the_seeds_along_the_fixed_axes(track_files: dict[str, str]) -> None:
    """Couch read-outs in cm before and after; up is +Zf and + lateral is +Xf.

    Read-outs are rounded to 0.5 mm, so that a difference is good to 0.5 mm, and seeds to half a pixel of 0.26 mm.
    """
    for run, axis in (("Static/AP-5", 2), ("Static/LR-5", 0)):
        before, after = (Track(track_files[f"{run}/MarkerLocationsGA_CouchShift_{step}.txt"]) for step in (0, 1))
        lines = track_files[f"{run}/couchShifts.txt"].splitlines()[1:]
        vertical, longitudinal, lateral = np.diff(np.array([line.split(",") for line in lines], dtype=float), axis=0)[0]
        moved = after.seeds_mm.mean(axis=(0, 1)) - before.seeds_mm.mean(axis=(0, 1))
        np.testing.assert_allclose(moved, 10 * np.array([lateral, longitudinal, vertical]), atol=0.63)
        assert moved[axis] > 4.0


# ---- ion plans and an angiogram -----------------------------------------------------------------------------------

PLANS = [  # file, patient position, table (vertical, longitudinal, lateral), gantry angles
    ("ion_plans/plan01_sobp/*.dcm", "HFS", (-122.0, 700.0, 0.0), [0.0]),
    ("ion_plans/plan02_mono/*.dcm", "HFS", (0.0, 0.0, 0.0), [0.0]),
    ("ion_plans/plan04_ramp_middle/ramped*.dcm", "HFS", (-120.0, 500.0, 0.0), [90.0, 270.0]),
    ("dcpt_head_phantom/ion_plan.dcm", "HFS", (None, None, None), [0.0, 0.0, 0.0]),
]
SOURCES = {0.0: (0.0, 0.0, 1.0), 90.0: (1.0, 0.0, 0.0), 270.0: (-1.0, 0.0, 0.0)}


@pytest.mark.parametrize(("pattern", "position", "table", "gantries"), PLANS)
def test_beams_of_ion_plans(
    real_data_folder: Path,
    pattern: str,
    position: str,
    table: tuple[float | None, ...],
    gantries: list[float],
) -> None:
    """Pitch empty or 0 is no pitch; an empty table position is relative to an unknown start, it is not zero."""
    (path,) = real_data_folder.glob(pattern)
    plan = read(path)
    assert [setup.PatientPosition for setup in plan.PatientSetupSequence] == [position] * len(gantries)
    assert len(plan.IonBeamSequence) == len(gantries)
    for beam, gantry in zip(plan.IonBeamSequence, gantries, strict=True):
        first, *later = beam.IonControlPointSequence
        assert float(first.GantryAngle) == gantry
        assert first.get("GantryPitchAngle") in {None, 0.0}
        direction = GantryDirection(float(first.GantryAngle), first.get("GantryPitchAngle") or 0.0).source_direction
        np.testing.assert_allclose(direction, SOURCES[gantry], atol=1e-12)
        stored = (first.TableTopVerticalPosition, first.TableTopLongitudinalPosition, first.TableTopLateralPosition)
        assert tuple(None if value is None else float(value) for value in stored) == table
        assert (first.TableTopPitchAngle, first.TableTopRollAngle) == (0.0, 0.0)
        assert first["TableTopPitchAngle"].VR == "FL"
        assert not any("TableTopVerticalPosition" in point or "GantryAngle" in point for point in later)
        isocentre = np.array(first.IsocenterPosition, dtype=float)
        pose = planned_fixed_from_dicom(PatientPosition.parse(position), isocentre)
        assert pose.dst is Fixed
        np.testing.assert_allclose(pose.apply(isocentre), 0.0, atol=1e-9)
        # a head-first supine patient: a beam from the side comes from the left at gantry 90, one from above in front
        in_patient = pose.rotation.T @ direction
        expected = {0.0: (0.0, -1.0, 0.0), 90.0: (1.0, 0.0, 0.0), 270.0: (-1.0, 0.0, 0.0)}[gantry]
        np.testing.assert_allclose(in_patient, expected, atol=1e-12)


def test_angiogram_angles(real_data_folder: Path) -> None:
    """Primary -32 (RAO), secondary 2 (cranial): detector to the right front, source under the left of the table."""
    image = pydicom.dcmread(real_data_folder / "xa" / "xa_96_frames_jpeg.dcm", stop_before_pixels=True)
    angles = CArmAngles(float(image.PositionerPrimaryAngle), float(image.PositionerSecondaryAngle))
    left, posterior, superior = angles.detector_direction
    assert left < 0
    assert posterior < 0
    assert superior == pytest.approx(np.sin(np.radians(2.0)))
    found = gantry_from_c_arm(angles, PatientPosition.HFS)
    assert (found.gantry_angle_deg, found.gantry_pitch_deg) == (pytest.approx(148.0), pytest.approx(2.0))
