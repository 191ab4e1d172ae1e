"""A match of files: what images of the day show of the patient of a planning CT."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from isoalign.dicom.objects import read_rt_image, read_structure_set
from isoalign.dicom.objects.files import read_file
from isoalign.dicom.objects.rt_image_reader import ReadRtImage
from isoalign.geometry import (
    Array,
    DicomPatient,
    Fixed,
    PatientPosition,
    Pose,
    Representation,
    TableAngles,
    TableTopPosition,
    apply_correction,
    fixed_from_verification,
    planned_fixed_from_dicom_at,
)
from isoalign.records import Acquisition, Match, Radiograph, Technique, Volume
from isoalign.registration import (
    BoxRegion,
    Metric,
    ScanMatch,
    ScanMatchSettings,
    match_2d3d,
    match_3d3d,
    prepare,
    prepare_scan,
)
from isoalign.room.cases import load_ct_folder
from isoalign.room.errors import UnusableMatchFiles

Progress = Callable[[float, str], None]
ANGLE_TOLERANCE_DEG = 0.1
POSITION_TOLERANCE_MM = 0.1
NO_ANGLES = TableAngles(0.0, 0.0, 0.0)
FARTHEST_ANGLE_DEG = 15.0
"""An image taken at a patient support angle farther than this from the plan's belongs to another couch position."""
UNKNOWN_TECHNIQUE = Technique(0.0, 0.0, 0.0)
UNKNOWN_TABLE_TOP = TableTopPosition(Representation.IEC_61217, 0.0, 0.0, 0.0)
UNKNOWN_MOMENT = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Target:
    """Where the plan wants the patient.

    Attributes
    ----------
    isocentre_mm : ndarray, shape (3,)
        DICOM patient frame of the planning CT.
    angles : TableAngles
        Of the table top for the beam.
    """

    patient_position: PatientPosition
    isocentre_mm: Array
    angles: TableAngles = NO_ANGLES

    def planned(self) -> Pose[Fixed, DicomPatient]:
        """The patient's place."""
        return planned_fixed_from_dicom_at(self.patient_position, self.isocentre_mm, self.angles)


@dataclass(frozen=True, slots=True)
class ImagePair:
    """Acquired RT Images of one couch position.

    Attributes
    ----------
    table_top : TableTopPosition or None
        Where they say the table top was.
    """

    radiographs: tuple[Radiograph, ...]
    table_top: TableTopPosition | None


@dataclass(frozen=True, slots=True)
class RadiographMatch:
    """A 2D/3D match with the couch move that follows from it, where the images state the table top."""

    match: Match
    start: TableTopPosition | None
    target: TableTopPosition | None


@dataclass(frozen=True, slots=True)
class VolumeMatch:
    """A 3D/3D match in the room, with the place that it started from."""

    match: Match
    scan: ScanMatch
    start: Pose[DicomPatient, DicomPatient]


def is_volume(path: Path) -> bool:
    """Whether a path is meant as a volume of the day: a folder, or an npz file."""
    return path.is_dir() or path.suffix.lower() == ".npz"


def read_pair(paths: Sequence[Path]) -> ImagePair:
    """The acquired RT Images in files.

    Raises
    ------
    UnusableMatchFiles
        For a digitally reconstructed radiograph, or images of different couch positions.
    InputDataError
    """
    images = [read_rt_image(read_file(path)) for path in paths]
    for path, image in zip(paths, images, strict=True):
        if "DRR" in image.image_type:
            raise UnusableMatchFiles(f"{path} is a digitally reconstructed radiograph, not an acquired image")
        if image.pixels.min() < 0 or image.pixels.max() > np.iinfo(np.uint16).max:
            raise UnusableMatchFiles(
                f"{path}: its pixel values {image.pixels.min()} to {image.pixels.max()} are no counts"
            )
    stated = [image.table_top for image in images]
    first = stated[0]
    for path, other in zip(paths[1:], stated[1:], strict=True):
        if (first is None) != (other is None) or (first is not None and other is not None and _moved(first, other)):
            raise UnusableMatchFiles(
                f"{paths[0]} and {path} were taken at different positions of the table top",
                hint="Match images that were taken with the couch at rest.",
            )
    return ImagePair(tuple(_radiograph(image, number) for number, image in enumerate(images, 1)), first)


def read_day(path: Path) -> tuple[Volume, tuple[str, ...]]:
    """The volume of the day, and what the user should know about it: a CT series, or of ``isoalign reconstruct``.

    Raises
    ------
    UnusableMatchFiles, InputDataError
    """
    if path.is_dir():
        return load_ct_folder(path)
    try:
        with np.load(path, allow_pickle=False) as arrays:
            volume = Volume(
                arrays["hounsfield"],
                arrays["origin_mm"],
                arrays["spacing_mm"],
                arrays["axes"],
                str(arrays["frame_of_reference_uid"]),
                PatientPosition.parse(str(arrays["patient_position"])),
            )
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise UnusableMatchFiles(f"{path} is not a volume that isoalign reconstruct wrote: {error}") from error
    return volume, ()


def box_around(structure_set: Path, name: str, margin_mm: float) -> BoxRegion:
    """The box around a structure with a margin on every side.

    Raises
    ------
    UnusableMatchFiles, InputDataError
    """
    structures = read_structure_set(read_file(structure_set)).structure_set
    found = structures.named(name)
    if found is None or not found.contours_mm:
        known = ", ".join(one.name for one in structures.structures if one.contours_mm)
        raise UnusableMatchFiles(
            f"{structure_set} has no structure {name!r} with contours", hint=f"There are: {known or 'none'}."
        )
    points = np.concatenate(found.contours_mm)
    return BoxRegion(structures.frame_of_reference_uid, points.min(axis=0) - margin_mm, points.max(axis=0) + margin_mm)


def match_pair(planning: Volume, pair: ImagePair, target: Target, progress: Progress | None = None) -> RadiographMatch:
    """The 2D/3D match of an image pair, and where the couch has to go.

    Raises
    ------
    UnusableMatchFiles, MatchError
    """
    table_top = pair.table_top
    if table_top is not None:
        off_deg = abs(table_top.patient_support_angle_deg - target.angles.patient_support_angle_deg)
        if min(off_deg % 360.0, -off_deg % 360.0) > FARTHEST_ANGLE_DEG:
            stated, wanted = table_top.patient_support_angle_deg, target.angles.patient_support_angle_deg
            raise UnusableMatchFiles(
                f"the images were taken at the patient support angle {stated:.1f} degrees, the plan wants {wanted:.1f}",
                hint="Name the beam that the images were taken for, with --beam.",
            )
    match = match_2d3d(prepare(planning), pair.radiographs, target.planned(), progress=progress)
    if table_top is None or match.trusted_residual is None:
        return RadiographMatch(match, table_top, None)
    return RadiographMatch(match, table_top, apply_correction(table_top, match.setup_error.inverse()))


def match_day(
    planning: Volume,
    day: Volume,
    target: Target,
    *,
    day_isocentre_mm: Array,
    region: BoxRegion | None = None,
    metric: Metric = Metric.INTENSITY,
    capture_starts: int = 0,
    progress: Progress | None = None,
) -> VolumeMatch:
    """The 3D/3D match of a volume of the day.

    Parameters
    ----------
    day_isocentre_mm : ndarray, shape (3,)
        The machine isocentre in the frame of the volume of the day.

    Raises
    ------
    MatchError
    """
    planned = target.planned()
    of_day = fixed_from_verification(day.patient_position, day_isocentre_mm, target.angles)
    start = of_day.inverse() @ planned
    prepared = prepare_scan(planning, region=region, settings=ScanMatchSettings(metric=metric))
    scan = match_3d3d(prepared, day, start=start, capture_starts=capture_starts, progress=progress)
    return VolumeMatch(scan.in_room(of_day, planned), scan, start)


def _radiograph(image: ReadRtImage, number: int) -> Radiograph:
    axis = image.geometry.axis
    angle = "" if axis is None else f" at {axis.gantry_angle_deg:g}°"
    acquisition = Acquisition(
        f"{number}{angle}",
        number,
        image.technique or UNKNOWN_TECHNIQUE,
        UNKNOWN_MOMENT,
        image.table_top or UNKNOWN_TABLE_TOP,
    )
    return Radiograph(image.pixels.astype(np.uint16), image.geometry, acquisition)


def _moved(first: TableTopPosition, other: TableTopPosition) -> bool:
    difference = np.abs(np.subtract(first.values, other.values))
    return bool(difference[:3].max() > POSITION_TOLERANCE_MM or difference[3:].max() > ANGLE_TOLERANCE_DEG)
