"""Cone-beam scans in files: NumPy archives with projections and where source and panel stood."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from isoalign.geometry import ImagerAxis, PixelGrid, ProjectionGeometry
from isoalign.imaging.cone_beam import geometry_from_matrix
from isoalign.imaging.detector import transmission_line_integrals
from isoalign.records import Volume
from isoalign.room.errors import UnusableScanFile

Float32 = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ScanFiles:
    """A scan whose projections are read one by one.

    Attributes
    ----------
    files : tuple of Path
        NumPy archives (npz) in the order of the rotation.
    geometries : tuple of ProjectionGeometry
        One for each projection of all files.
    """

    files: tuple[Path, ...]
    geometries: tuple[ProjectionGeometry, ...]

    def line_integrals(self) -> Iterator[Float32]:
        """The projections one after the other, each of shape (rows, columns).

        Raises
        ------
        UnusableScanFile, UnusableFrame
        """
        for file in self.files:
            with _opened(file) as arrays:
                yield from _projections(file, arrays)


def find_scan(path: Path) -> ScanFiles:
    """The scan in one npz file, or in all npz files of a folder in the order of their names.

    Each file holds ``line_integrals``, or ``intensity`` and ``open_field``: (n, rows, columns) or (rows, columns);
    ``pixel_mm``; and either ``projection_matrices`` (n, 3, 4) from the fixed frame in mm to (column, row, 1), or
    ``gantry_angles_deg`` (n) with ``sad_mm``, ``sid_mm`` and optionally ``receptor_translation_mm`` (2).

    Raises
    ------
    UnusableScanFile, MirroredGeometry, UnusableScanGeometry, InvalidGeometry
    """
    files = tuple(sorted(path.glob("*.npz"))) if path.is_dir() else (path,)
    if not files or not all(file.is_file() for file in files):
        raise UnusableScanFile(f"{path} is not an npz file, nor a folder with some")
    geometries: list[ProjectionGeometry] = []
    for file in files:
        with _opened(file) as arrays:
            geometries += _geometries(file, arrays)
    return ScanFiles(files, tuple(geometries))


def write_volume(path: Path, volume: Volume) -> None:
    """Write a reconstruction as npz: ``hounsfield``, ``origin_mm``, ``spacing_mm``, ``axes``, ``patient_position``."""
    np.savez_compressed(
        path,
        hounsfield=volume.hounsfield,
        origin_mm=volume.origin_mm,
        spacing_mm=volume.spacing_mm,
        axes=volume.axes,
        patient_position=np.array(volume.patient_position.value),
        frame_of_reference_uid=np.array(volume.frame_of_reference_uid),
    )


def _opened(file: Path) -> np.lib.npyio.NpzFile:
    try:
        opened = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise UnusableScanFile(f"{file} cannot be read as an npz file: {error}") from error
    if not isinstance(opened, np.lib.npyio.NpzFile):
        raise UnusableScanFile(f"{file} holds a single array, not an npz archive")
    return opened


def _array(file: Path, arrays: np.lib.npyio.NpzFile, name: str) -> npt.NDArray[np.float64]:
    if name not in arrays.files:
        raise UnusableScanFile(f"{file} has no array {name!r}")
    try:
        return np.asarray(arrays[name], dtype=np.float64)
    except (ValueError, TypeError) as error:
        raise UnusableScanFile(f"{file}: the array {name!r} does not hold numbers") from error


def _projections(file: Path, arrays: np.lib.npyio.NpzFile) -> Iterator[Float32]:
    names = arrays.files
    stack = _array(file, arrays, "line_integrals" if "line_integrals" in names else "intensity")
    if stack.ndim not in (2, 3):
        raise UnusableScanFile(f"{file}: projections of shape {stack.shape}, not (n, rows, columns)")
    for image in stack.reshape(-1, *stack.shape[-2:]):
        if "line_integrals" in names:
            yield image.astype(np.float32)
        else:
            yield transmission_line_integrals(image, _array(file, arrays, "open_field"))


def _geometries(file: Path, arrays: np.lib.npyio.NpzFile) -> list[ProjectionGeometry]:
    names = arrays.files
    stack = _array(file, arrays, "line_integrals" if "line_integrals" in names else "intensity")
    if stack.ndim not in (2, 3):
        raise UnusableScanFile(f"{file}: projections of shape {stack.shape}, not (n, rows, columns)")
    rows, columns = stack.shape[-2:]
    pixel = np.broadcast_to(_array(file, arrays, "pixel_mm").ravel(), (2,)) if "pixel_mm" in names else np.zeros(2)
    if not (pixel > 0).all():
        raise UnusableScanFile(f"{file}: pixel_mm must be there and positive")
    row_mm, column_mm = (float(value) for value in pixel)
    if "projection_matrices" in names:
        matrices = _array(file, arrays, "projection_matrices").reshape(-1, 3, 4)
        size = {"rows": rows, "columns": columns, "row_spacing_mm": row_mm, "column_spacing_mm": column_mm}
        made = [geometry_from_matrix(matrix, **size) for matrix in matrices]
    else:
        sad, sid = (float(_array(file, arrays, name)) for name in ("sad_mm", "sid_mm"))
        shift = _array(file, arrays, "receptor_translation_mm") if "receptor_translation_mm" in names else np.zeros(2)
        grid = PixelGrid(rows, columns, row_mm, column_mm, (-(columns - 1) / 2 * column_mm, (rows - 1) / 2 * row_mm))
        made = [
            ProjectionGeometry.from_axis(ImagerAxis(float(angle), sad, sid, (float(shift[0]), float(shift[1]))), grid)
            for angle in np.atleast_1d(_array(file, arrays, "gantry_angles_deg"))
        ]
    count = 1 if stack.ndim == 2 else len(stack)
    if len(made) != count:
        raise UnusableScanFile(f"{file}: {count} projections but {len(made)} geometries")
    return made
