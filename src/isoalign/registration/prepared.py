"""What a match needs of the planning CT, made once for each plan."""

from __future__ import annotations

from dataclasses import dataclass

from isoalign.imaging import AttenuationVolume, attenuation_volume
from isoalign.records import Volume


@dataclass(frozen=True, slots=True)
class PreparedVolume:
    """A planning CT ready to be matched."""

    attenuation: AttenuationVolume
    frame_of_reference_uid: str


def prepare(volume: Volume) -> PreparedVolume:
    """Make a planning CT ready for matching: attenuation at three resolutions in all memory layouts.

    Raises
    ------
    isoalign.imaging.EmptyVolume
    """
    attenuation = attenuation_volume(volume)
    for grid in attenuation.levels:
        for step_axis in range(3):
            grid.layout(step_axis)
    return PreparedVolume(attenuation, volume.frame_of_reference_uid)
