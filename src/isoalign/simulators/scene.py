"""The scene that the imager simulators see: what lies on the couch, and where sources and panels truly stand.

A scene file is JSON; the CT stands beside it as an ``.npz`` file with ``hounsfield`` (slice, row, column; int16) and
``dicom_from_index`` (4, 4). Unknown keys are errors. Lengths in mm, angles in degrees.
"""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from isoalign.errors import GeometryError, InputDataError
from isoalign.geometry import (
    Array,
    DicomPatient,
    Fixed,
    ImagerAxis,
    PixelGrid,
    Pose,
    ProjectionGeometry,
    Representation,
    TableTop,
    TableTopPosition,
    fixed_from_table,
)
from isoalign.records import frozen_array
from isoalign.simulators.errors import InvalidScene, UnknownImager


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class SceneVolume:
    """The CT of the virtual patient. Two are equal only when they are the same object.

    Attributes
    ----------
    hounsfield : ndarray, shape (slices, rows, columns), int16
    dicom_from_index : ndarray, shape (4, 4)
        From (column, row, slice, 1) at voxel centres to the DICOM patient frame, mm.
    """

    hounsfield: npt.NDArray[np.int16]
    dicom_from_index: Array

    def __post_init__(self) -> None:
        object.__setattr__(self, "hounsfield", frozen_array(self.hounsfield, (None, None, None), "CT", np.int16))
        object.__setattr__(self, "dicom_from_index", frozen_array(self.dicom_from_index, (4, 4), "CT grid"))


@dataclass(frozen=True, slots=True)
class SceneSphere:
    """A ball fixed to the table top.

    Attributes
    ----------
    centre_mm : ndarray, shape (3,)
        Table-top frame.
    radius_mm : float
    mu_per_mm : float
        Linear attenuation at 60 keV, 1/mm.
    """

    centre_mm: Array
    radius_mm: float
    mu_per_mm: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "centre_mm", frozen_array(self.centre_mm, (3,), "centre of a sphere"))


@dataclass(frozen=True, slots=True)
class ImagerTruth:
    """Where a source and its panel truly stand; the room may believe something else."""

    gantry_angle_deg: float
    sad_mm: float = 1000.0
    sid_mm: float = 1500.0
    rows: int = 1024
    columns: int = 768
    pixel_mm: float = 0.388
    receptor_translation_mm: tuple[float, float] = (0.0, 0.0)
    receptor_angle_deg: float = 0.0

    def geometry(self) -> ProjectionGeometry:
        """Source, receptor and pixels in the fixed frame."""
        axis = ImagerAxis(
            self.gantry_angle_deg, self.sad_mm, self.sid_mm, self.receptor_translation_mm, self.receptor_angle_deg
        )
        return ProjectionGeometry.from_axis(axis, PixelGrid.centred(self.rows, self.columns, self.pixel_mm))


@dataclass(frozen=True, slots=True)
class TruthAddress:
    """Where the couch simulator answers with its true position (TCP)."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything an imager simulator needs to know of the room.

    Attributes
    ----------
    volume : SceneVolume or None
    table_from_dicom : Pose[TableTop, DicomPatient] or None
        How the patient truly lies on the couch; needed where there is a volume.
    couch_top : bool
        Whether the couch top is in the beam.
    spheres : tuple of SceneSphere
    couch_truth : TruthAddress or None
        Asked for the true couch position at the moment of exposure.
    fixed_table_position : TableTopPosition or None
        IEC 61217; the couch position where there is no ``couch_truth``.
    imagers : mapping of str to ImagerTruth
    seed : int
        Seeds the fixed pattern and the noise of the panels.
    """

    imagers: Mapping[str, ImagerTruth]
    seed: int = 0
    volume: SceneVolume | None = None
    table_from_dicom: Pose[TableTop, DicomPatient] | None = None
    couch_top: bool = True
    spheres: tuple[SceneSphere, ...] = ()
    couch_truth: TruthAddress | None = None
    fixed_table_position: TableTopPosition | None = None

    def __post_init__(self) -> None:
        if not self.imagers:
            raise InvalidScene("a scene needs at least one imager")
        if self.volume is not None and self.table_from_dicom is None:
            raise InvalidScene("a scene with a volume needs table_from_dicom, which says how the patient lies")
        if self.couch_truth is None and self.fixed_table_position is None:
            raise InvalidScene("a scene needs couch_truth or fixed_table_position, or nobody knows where the couch is")

    def imager(self, name: str) -> ImagerTruth:
        """The imager of this name.

        Raises
        ------
        UnknownImager
        """
        if name not in self.imagers:
            raise UnknownImager(f"the scene has no imager {name!r}; it has {sorted(self.imagers)}", imager=name)
        return self.imagers[name]

    def fixed_pose(self) -> Pose[Fixed, TableTop]:
        """Where the table top is while no couch simulator moves it.

        Raises
        ------
        InvalidScene
            When the scene names no fixed position.
        """
        if self.fixed_table_position is None:
            raise InvalidScene("the scene has no fixed_table_position; ask the couch simulator")
        return fixed_from_table(self.fixed_table_position)


SCENE_KEYS = frozenset(
    {
        "volume",
        "table_from_dicom",
        "couch_top",
        "spheres",
        "couch_truth",
        "imagers",
        "seed",
        "fixed_table_position",
    }
)


def load_scene(path: str | Path) -> Scene:
    """Read a scene file and the volume it names (relative names are beside the scene file).

    Raises
    ------
    InvalidScene
        Names the key or the file that cannot be used.
    """
    file = Path(path)
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise InvalidScene(f"scene file {file.name}: {problem}") from problem
    if not isinstance(raw, dict):
        raise InvalidScene(f"scene file {file.name} holds a {type(raw).__name__}, not an object with keys")
    unknown = sorted(set(raw) - SCENE_KEYS)
    if unknown:
        raise InvalidScene(f"scene file {file.name}: unknown keys {unknown}", unknown=unknown)
    key = ""
    try:
        key = "volume"
        volume = None if raw.get(key) is None else _load_volume(file.parent / str(raw[key]))
        key = "table_from_dicom"
        pose = (
            None if raw.get(key) is None else Pose.from_matrix(TableTop, DicomPatient, _numbers(raw[key], 16, (4, 4)))
        )
        key = "spheres"
        spheres = tuple(
            SceneSphere(_numbers(one["centre_mm"], 3, (3,)), _positive(one["radius_mm"]), _positive(one["mu_per_mm"]))
            for one in raw.get(key, ())
        )
        key = "couch_truth"
        truth = None if raw.get(key) is None else TruthAddress(str(raw[key]["host"]), int(raw[key]["port"]))
        key = "fixed_table_position"
        fixed = (
            None
            if raw.get(key) is None
            else TableTopPosition.from_values(Representation.IEC_61217, _numbers(raw[key], 6, (6,)))
        )
        key = "imagers"
        imagers = {str(name): _imager(values) for name, values in raw[key].items()}
        key = "seed"
        seed = int(raw.get(key, 0))
        if seed < 0:
            raise ValueError(f"{seed} is negative")
        key = "couch_top"
        couch_top = raw.get(key, True)
        if not isinstance(couch_top, bool):
            raise TypeError(f"{couch_top!r} is neither true nor false")
    except (LookupError, TypeError, ValueError, AttributeError, GeometryError, InputDataError) as problem:
        raise InvalidScene(f"scene file {file.name}, key {key!r}: {problem}", key=key) from problem
    return Scene(
        imagers=imagers,
        seed=seed,
        volume=volume,
        table_from_dicom=pose,
        couch_top=couch_top,
        spheres=spheres,
        couch_truth=truth,
        fixed_table_position=fixed,
    )


def write_scene(scene: Scene, path: str | Path, *, volume_path: str | Path | None = None) -> Path:
    """Write a scene file, and its volume beside it (or to ``volume_path``) as an uncompressed ``.npz``."""
    file = Path(path)
    named: str | None = None
    if scene.volume is not None:
        target = file.with_suffix(".npz") if volume_path is None else Path(volume_path)
        np.savez(target, hounsfield=scene.volume.hounsfield, dicom_from_index=scene.volume.dicom_from_index)
        named = target.name if target.parent == file.parent else str(target.resolve())
    raw: dict[str, Any] = {
        "volume": named,
        "table_from_dicom": None if scene.table_from_dicom is None else scene.table_from_dicom.matrix.tolist(),
        "couch_top": scene.couch_top,
        "spheres": [
            {"centre_mm": one.centre_mm.tolist(), "radius_mm": one.radius_mm, "mu_per_mm": one.mu_per_mm}
            for one in scene.spheres
        ],
        "couch_truth": (
            None if scene.couch_truth is None else {"host": scene.couch_truth.host, "port": scene.couch_truth.port}
        ),
        "imagers": {
            name: {
                "gantry_angle_deg": one.gantry_angle_deg,
                "sad_mm": one.sad_mm,
                "sid_mm": one.sid_mm,
                "rows": one.rows,
                "columns": one.columns,
                "pixel_mm": one.pixel_mm,
                "receptor_translation_mm": list(one.receptor_translation_mm),
                "receptor_angle_deg": one.receptor_angle_deg,
            }
            for name, one in scene.imagers.items()
        },
        "seed": scene.seed,
        "fixed_table_position": (
            None
            if scene.fixed_table_position is None
            else list(scene.fixed_table_position.in_representation(Representation.IEC_61217).values)
        ),
    }
    file.write_text(json.dumps(raw, indent=1), encoding="utf-8")
    return file


def _numbers(values: Any, count: int, shape: tuple[int, ...]) -> Array:
    array = np.asarray(values, dtype=np.float64)
    if array.size != count or not np.isfinite(array).all():
        raise ValueError(f"needs {count} finite numbers")
    return array.reshape(shape)


def _positive(value: Any) -> float:
    number = float(value)
    if not 0 < number < math.inf:
        raise ValueError(f"{number} is not positive")
    return number


def _imager(values: Any) -> ImagerTruth:
    known = set(ImagerTruth.__dataclass_fields__)
    unknown = sorted(set(values) - known)
    if unknown:
        raise ValueError(f"unknown keys {unknown}")
    x, y = _numbers(values.get("receptor_translation_mm", (0.0, 0.0)), 2, (2,)).tolist()
    numbers = {
        name: float(values[name])
        for name in ("gantry_angle_deg", "sad_mm", "sid_mm", "pixel_mm", "receptor_angle_deg")
        if name in values
    }
    if not all(math.isfinite(number) for number in numbers.values()):
        raise ValueError("needs finite numbers")
    pixels = {name: int(values[name]) for name in ("rows", "columns") if name in values}
    imager = ImagerTruth(
        **numbers, rows=pixels.get("rows", 1024), columns=pixels.get("columns", 768), receptor_translation_mm=(x, y)
    )
    imager.geometry()
    return imager


def _load_volume(file: Path) -> SceneVolume:
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            hounsfield, grid = arrays["hounsfield"], arrays["dicom_from_index"]
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as problem:
        raise ValueError(f"{file.name}: {problem}") from problem
    if hounsfield.dtype != np.int16:
        raise ValueError(f"{file.name}: hounsfield is {hounsfield.dtype}, not int16")
    return SceneVolume(hounsfield, grid)
