"""Image pixels: stored values of single-frame greyscale images, and the attributes for 16 bits.

Source: DICOM PS3.3 C.7.6.3.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.uid import UID

from isoalign.dicom.errors import TruncatedFile, UnsupportedPixelData
from isoalign.dicom.objects.attributes import label_of
from isoalign.dicom.objects.common import decimal


def stored_values(image: Dataset) -> npt.NDArray[np.integer]:
    """The stored values of a single-frame greyscale image, shape (rows, columns).

    Raises
    ------
    UnsupportedPixelData, TruncatedFile
    """
    where = label_of(image)
    syntax = image.file_meta.TransferSyntaxUID if hasattr(image, "file_meta") else None
    if int(image.SamplesPerPixel) != 1 or int(image.BitsAllocated) not in {8, 16, 32}:
        raise UnsupportedPixelData(f"{where}: {image.SamplesPerPixel} samples of {image.BitsAllocated} bits per pixel")
    if syntax is not None and UID(syntax).is_compressed:
        return _decompressed(image, where)
    needed = int(image.Rows) * int(image.Columns) * int(image.BitsAllocated) // 8
    if len(image.PixelData) < needed:
        raise TruncatedFile(
            f"{where}: the pixel data has {len(image.PixelData)} bytes, {needed} are needed",
            found_bytes=len(image.PixelData),
            needed_bytes=needed,
        )
    bits = int(image.BitsAllocated)
    if bits == int(image.BitsStored) and syntax is not None and UID(syntax).is_little_endian:
        kind = "i" if int(image.PixelRepresentation) else "u"
        flat = np.frombuffer(image.PixelData, dtype=f"<{kind}{bits // 8}", count=needed * 8 // bits)
        return flat.reshape(int(image.Rows), int(image.Columns))
    return np.asarray(image.pixel_array)


def _decompressed(image: Dataset, where: str) -> npt.NDArray[np.integer]:
    try:
        return np.asarray(image.pixel_array)
    except (RuntimeError, NotImplementedError, ValueError, AttributeError) as error:
        name = UID(image.file_meta.TransferSyntaxUID).name
        raise UnsupportedPixelData(f"{where}: pixel data in {name} cannot be read: {error}") from error


def set_window(image: Dataset, centre: float, width: float) -> None:
    """Window Center (0028,1050) and Window Width (0028,1051): how a display shows the image at first."""
    image.WindowCenter = decimal(centre)
    image.WindowWidth = decimal(width)


def set_pixels(image: Dataset, pixels: npt.NDArray[np.uint16]) -> None:
    """Image pixel attributes for 16-bit unsigned greyscale."""
    image.SamplesPerPixel = 1
    image.PhotometricInterpretation = "MONOCHROME2"
    image.Rows, image.Columns = pixels.shape
    image.BitsAllocated = 16
    image.BitsStored = 16
    image.HighBit = 15
    image.PixelRepresentation = 0
    image.add_new("PixelData", "OW", np.ascontiguousarray(pixels, dtype="<u2").tobytes())
