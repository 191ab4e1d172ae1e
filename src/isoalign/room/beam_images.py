"""Field images of quality checks in files: DICOM RT Images in a folder, or in a tar archive."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path

from isoalign.calibration import BeamImage
from isoalign.dicom.objects.beam_image_reader import read_beam_image
from isoalign.room.errors import NoBeamImages

ENDINGS = (".dcm", ".img", ".ima", "")
ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2")
LARGEST_BYTES = 200_000_000


def read_beam_images(source: Path | str) -> tuple[BeamImage, ...]:
    """Every field image of a folder or archive, in the order of the names, which become their labels.

    Files that do not look like images by their ending, and hidden ones, are passed over.

    Raises
    ------
    NoBeamImages, NotDicom, TruncatedFile, MissingAttribute, InvalidAttribute
    """
    path = Path(source)
    images = []
    for name, content in sorted(_files(path)):
        read = read_beam_image(content, name)
        images.append(
            BeamImage(
                Path(name).stem,
                read.pixels,
                read.geometry,
                read.patient_support_angle_deg,
                read.beam_limiting_device_angle_deg,
                read.taken_at,
            )
        )
    if not images:
        raise NoBeamImages(f"there is no field image in {path}", path=str(path))
    return tuple(images)


def _files(path: Path) -> Iterator[tuple[str, bytes]]:
    """Name and content of each file that may be an image."""
    try:
        if path.name.endswith(ARCHIVES) and path.is_file():
            with tarfile.open(path) as archive:
                for member in archive:
                    if member.isfile() and member.size <= LARGEST_BYTES and _is_wanted(member.name):
                        stream = archive.extractfile(member)
                        assert stream is not None
                        yield member.name, stream.read()
            return
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file() and _is_wanted(file.name):
                yield str(file.relative_to(path)) if path.is_dir() else file.name, file.read_bytes()
    except (OSError, tarfile.TarError, EOFError) as error:
        raise NoBeamImages(f"{path} cannot be read: {error}", path=str(path)) from error


def _is_wanted(name: str) -> bool:
    plain = Path(name)
    return not plain.name.startswith(".") and plain.suffix.lower() in ENDINGS
