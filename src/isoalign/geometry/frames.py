"""Coordinate frames as types.

A frame is a class that is never instantiated. It is used twice: by the type checker, as the parameter of
:class:`~isoalign.geometry.pose.Pose`, and at run time, as the pose's ``dst`` and ``src``.

Source: IEC 61217 clauses 2 and 3 (by way of DICOM PS3.3 C.8.8.25.6 and public implementations); DICOM PS3.3
C.7.6.2.1.1 for the DICOM patient frame.
"""

from __future__ import annotations


class Frame:
    """Base of all frames."""

    symbol = "?"


class Fixed(Frame):
    """IEC fixed: origin at the isocentre, +Y to the gantry, +Z up, +X to the right of an observer facing the gantry."""

    symbol = "f"


class Gantry(Frame):
    """IEC gantry (also of a kV imager arm): origin at the isocentre, +Z towards the source."""

    symbol = "g"


class BeamLimitingDevice(Frame):
    """IEC beam limiting device: on the beam axis, +Z towards the source, turned by the collimator angle."""

    symbol = "b"


class Wedge(Frame):
    """IEC wedge filter: on the beam axis, +Z towards the source, turned with respect to the beam limiting device."""

    symbol = "w"


class XrayImageReceptor(Frame):
    """IEC X-ray image receptor: +Z towards the source, rows of an image run along +X, columns along -Y."""

    symbol = "r"


class PatientSupport(Frame):
    """IEC patient support: rotates about the fixed vertical axis by the patient support angle."""

    symbol = "s"


class TableTopEccentric(Frame):
    """IEC table top eccentric: turned about a vertical axis that does not go through the isocentre."""

    symbol = "e"


class TableTop(Frame):
    """IEC table top: moved and tilted with respect to the table top eccentric (the patient support without one)."""

    symbol = "t"


class RobotBase(Frame):
    """Base of a couch robot, as its maker defines it; where it stands in the room is a result of surveying."""

    symbol = "base"


class IecPatient(Frame):
    """IEC patient: +X to the patient's left, +Y superior, +Z anterior."""

    symbol = "p"


class DicomPatient(Frame):
    """DICOM patient-based frame of reference: +x left, +y posterior, +z superior."""

    symbol = "d"
