"""What an installation may choose about the objects it writes: private creators, characters, format of registrations.

Sources: sections 2.2.3.1 (IHE-RO format), 2.4.2, 4 and A.2 of the conformance statement. The statement names private
tags but not their creators. Those of the groups 3253, 3263 and 3273 stand in files of the field; those of 3271 and 3275
are formed in the same way, and all can be changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class CharacterRepertoire(Enum):
    """The characters that may stand in objects we write; any character set is read."""

    DEFAULT = "default"
    """The default repertoire (ISO-IR 6), as the conformance statement says; other text is refused."""
    UTF_8 = "utf-8"
    """ISO_IR 192 in objects whose text needs it; the others stay in the default repertoire."""


@dataclass(frozen=True, slots=True)
class PrivateCreators:
    """Creators of the private attributes, one for each group."""

    group_3253: str = "Varian Medical Systems VISION 3253"
    """Extended interface: (3253,xx00) content, (3253,xx01) its length, (3253,xx02) its type."""
    group_3263: str = "Varian Medical Systems VISION 3263"
    """(3263,xx01) Referenced Structure Set Relationship Sequence, (3263,xx02) Structure Set Relationship."""
    group_3271: str = "Varian Medical Systems VISION 3271"
    """(3271,xx00) Marker Subtype."""
    group_3273: str = "Varian Medical Systems VISION 3273"
    """(3273,xx00) RT Image Isocenter Position, (3273,xx01) RT Image Patient Position."""
    group_3275: str = "Varian Medical Systems VISION 3275"
    """(3275,xx00) Registration Sub Type."""


@dataclass(frozen=True, slots=True)
class ObjectSettings:
    """How objects are written and read.

    Attributes
    ----------
    ihe_ro_registration : bool
        Spatial Registrations in the format of IHE-RO (MMRO-II): one item per frame of reference, the registered one
        with the identity. Otherwise the moving frame's item alone.
    exposure_as_stated : bool
        Whether an RT Image carries the attributes of its exposure that the conformance statement exports and the
        standard allows under other conditions only: Referenced Frame Number, X-Ray Tube Current and Exposure Time. The
        full values of the last two are always there, in attributes without a condition.
    station_name : str
        Station Name (0008,1010), at most 16 characters; left out when empty.
    """

    creators: PrivateCreators = PrivateCreators()
    characters: CharacterRepertoire = CharacterRepertoire.UTF_8
    ihe_ro_registration: bool = True
    exposure_as_stated: bool = False
    station_name: str = ""


DEFAULT_SETTINGS = ObjectSettings()
