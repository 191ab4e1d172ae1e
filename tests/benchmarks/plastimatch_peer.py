"""The program plastimatch (Debian package), on files, for studies.

It writes line integrals in centimetres times a constant of its own, and scaled CT numbers. Text files say where its
source and detector stand, so that its reconstruction gets projections made for just those places. It takes the first
gantry angle for radians and the spacing of angles for degrees (1.9.4): only 0 is used.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

SAD_MM, SID_MM = 1000.0, 1500.0
FACTOR = 0.1
"""Of its line integrals, against those in mm."""


def write_mha(path: Path, values: Float32) -> None:
    """A volume (z, y, x) of 1 mm voxels about the origin."""
    offset = " ".join(f"{-(size - 1) / 2:g}" for size in values.shape[::-1])
    size = " ".join(str(one) for one in values.shape[::-1])
    header = (
        "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\n"
        f"TransformMatrix = 1 0 0 0 1 0 0 0 1\nOffset = {offset}\nElementSpacing = 1 1 1\nDimSize = {size}\n"
        "ElementType = MET_FLOAT\nElementDataFile = LOCAL\n"
    )
    path.write_bytes(header.encode("ascii") + np.ascontiguousarray(values, dtype="<f4").tobytes())


def read_mha(path: Path) -> Float32:
    """The voxels (z, y, x) of a file that holds its own data, 32-bit floating point."""
    header, data = path.read_bytes().split(b"ElementDataFile = LOCAL\n", 1)
    fields = dict(line.split(" = ", 1) for line in header.decode("ascii").splitlines())
    return np.frombuffer(data, "<f4").reshape([int(one) for one in fields["DimSize"].split()][::-1])


def write_pfm(path: Path, image: Float32) -> None:
    rows, columns = image.shape
    path.write_bytes(b"Pf\n%d %d\n-1\n" % (columns, rows) + np.ascontiguousarray(image, dtype="<f4").tobytes())


def read_pfm(path: Path) -> Float32:
    _, size, _, data = path.read_bytes().split(b"\n", 3)
    columns, rows = (int(one) for one in size.split())
    return np.frombuffer(data, "<f4").reshape(rows, columns)


def rays_of(path: Path, size: int) -> tuple[Float64, Float64]:
    """Source (3,) and directions (rows, columns, 3) of the projection that one of its text files describes."""
    lines = [line.split() for line in path.read_text(encoding="ascii").splitlines()]
    column, row = (float(one) for one in lines[0])
    matrix = np.array([[float(one) for one in line] for line in lines[1:4]])
    columns, rows = np.meshgrid(np.arange(size) - column, np.arange(size) - row)
    pixels = np.stack([columns, rows, np.ones_like(columns)], axis=-1)
    return -np.linalg.solve(matrix[:, :3], matrix[:, 3]), pixels @ np.linalg.inv(matrix[:, :3]).T


class Plastimatch:
    """plastimatch with a number of threads and a folder for its files."""

    def __init__(self, folder: Path, threads: int) -> None:
        self.folder = folder
        self.environment = os.environ | {"OMP_NUM_THREADS": str(threads)}

    @staticmethod
    def found() -> bool:
        return shutil.which("plastimatch") is not None

    def run(self, *arguments: str) -> float:
        """Seconds of one command."""
        begun = time.perf_counter()
        subprocess.run(["plastimatch", *arguments], env=self.environment, check=True, capture_output=True)
        return time.perf_counter() - begun

    def drr(self, values: Float32, size: int, pixel_mm: float, further: int) -> tuple[float, Float32]:
        """Seconds for each further image after the first, a quarter turn apart, and the first one in mm."""
        volume = self.folder / "volume.mha"
        write_mha(volume, values)
        always = (
            *("drr", "-i", "exact", "-P", "none", "-t", "pfm", "-r", f"{size} {size}"),
            *("-z", f"{size * pixel_mm} {size * pixel_mm}", "--sad", str(SAD_MM), "--sid", str(SID_MM)),
            *("-o", "0 0 0", "-y", "0", "-N", "90", "-O", str(self.folder / "drr")),
        )
        first, all_of_them = (self.run(*always, "-a", str(count), str(volume)) for count in (1, 1 + further))
        return (all_of_them - first) / further, read_pfm(self.folder / "drr0000.pfm") / FACTOR

    def scan(self, count: int, size: int, pixel_mm: float) -> list[Path]:
        """Text files that say where its source and detector stand in a whole turn."""
        self.run(
            *("drr", "-G", "-t", "pfm", "-r", f"{size} {size}", "-z", f"{size * pixel_mm} {size * pixel_mm}"),
            *("--sad", str(SAD_MM), "--sid", str(SID_MM), "-o", "0 0 0", "-y", "0", "-N", str(360 / count)),
            *("-a", str(count), "-O", str(self.folder / "scan" / "p")),
        )
        return sorted((self.folder / "scan").glob("p*.txt"))

    def reconstruct(self, size: int, width_mm: float) -> tuple[float, Float32]:
        """Seconds of the whole command on the images beside those text files, and its voxels (z, y, x)."""
        out = self.folder / "reconstructed.mha"
        taken = self.run(
            *("fdk", "-I", str(self.folder / "scan"), "-O", str(out), "-f", "ramp", "-X", "c"),
            *("-r", f"{size} {size} {size}", "-z", f"{width_mm} {width_mm} {width_mm}"),
        )
        return taken, read_mha(out)
