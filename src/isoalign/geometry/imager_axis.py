"""A kV source and panel on an axis through the isocentre, in the terms of RT Image.

Source: DICOM PS3.3 C.8.8.2; IEC 61217 clause 2.6.
"""

from __future__ import annotations

from dataclasses import dataclass

from isoalign.geometry.chain import fixed_from_gantry, gantry_from_receptor
from isoalign.geometry.errors import InvalidGeometry
from isoalign.geometry.frames import Fixed, Gantry, XrayImageReceptor
from isoalign.geometry.imaging_errors import InconsistentProjection
from isoalign.geometry.pose import Pose

RECEPTOR_Z_TOLERANCE_MM = 0.5


@dataclass(frozen=True, slots=True)
class ImagerAxis:
    """A kV source and panel fixed to an axis through the isocentre, in the terms of RT Image.

    Attributes
    ----------
    gantry_angle_deg : float
        IEC gantry angle of the source (clockwise seen from the isocentre towards the gantry).
    sad_mm, sid_mm : float
        Source to isocentre and source to image plane; a reconstructed radiograph may lie in the isocentre's plane.
    receptor_translation_mm : (float, float)
        X and Y of X-Ray Image Receptor Translation (3002,000D), along the gantry's axes; Z is SAD - SID.
    receptor_angle_deg : float
        X-Ray Image Receptor Angle (3002,000E), counter-clockwise seen from the source.
    gantry_pitch_deg : float
        Gantry Pitch Angle (300A,014A), about Xg after the gantry angle: see
        :func:`~isoalign.geometry.rotations.gantry_rotation`.
    """

    gantry_angle_deg: float
    sad_mm: float
    sid_mm: float
    receptor_translation_mm: tuple[float, float] = (0.0, 0.0)
    receptor_angle_deg: float = 0.0
    gantry_pitch_deg: float = 0.0

    def __post_init__(self) -> None:
        if not (0 < self.sad_mm <= self.sid_mm):
            raise InvalidGeometry(f"SAD {self.sad_mm} mm must be positive and not larger than SID {self.sid_mm} mm")

    @classmethod
    def from_rt_image(
        cls,
        *,
        gantry_angle_deg: float,
        sad_mm: float,
        sid_mm: float,
        receptor_translation_mm: tuple[float, float, float] | None = None,
        receptor_angle_deg: float = 0.0,
        gantry_pitch_deg: float | None = None,
    ) -> ImagerAxis:
        """The axis of an RT Image, after checking that its receptor lies where its distances say.

        Parameters
        ----------
        gantry_angle_deg, sad_mm, sid_mm, receptor_angle_deg : float
            Gantry Angle (300A,011E), Radiation Machine SAD (3002,0022), RT Image SID (3002,0026) and X-Ray Image
            Receptor Angle (3002,000E).
        receptor_translation_mm : (float, float, float), optional
            X-Ray Image Receptor Translation (3002,000D); absent means centred on the beam axis.
        gantry_pitch_deg : float, optional
            Gantry Pitch Angle (300A,014A); empty means 0, as files of proton rooms have it.

        Raises
        ------
        InconsistentProjection
            When Z of the translation is not SAD - SID (within 0.5 mm, for rounded distances), e.g. stored positive.
        InvalidGeometry

        Notes
        -----
        Source: DICOM PS3.3 C.8.8.2 note 2.
        """
        x, y, z = (0.0, 0.0, sad_mm - sid_mm) if receptor_translation_mm is None else receptor_translation_mm
        if not abs(z - (sad_mm - sid_mm)) <= RECEPTOR_Z_TOLERANCE_MM:
            raise InconsistentProjection(
                f"the receptor's Z is {z:g} mm, but SAD - SID is {sad_mm - sid_mm:g} mm",
                receptor_z_mm=z,
                sad_mm=sad_mm,
                sid_mm=sid_mm,
            )
        return cls(gantry_angle_deg, sad_mm, sid_mm, (x, y), receptor_angle_deg, gantry_pitch_deg or 0.0)

    def fixed_from_gantry(self) -> Pose[Fixed, Gantry]:
        """Where the gantry stands."""
        return fixed_from_gantry(self.gantry_angle_deg, self.gantry_pitch_deg)

    def gantry_from_receptor(self) -> Pose[Gantry, XrayImageReceptor]:
        """Where the receptor is on the gantry."""
        x, y = self.receptor_translation_mm
        return gantry_from_receptor((x, y, self.sad_mm - self.sid_mm), self.receptor_angle_deg)
