from __future__ import annotations

import numpy as np
import pytest

from isoalign.geometry import PatientPosition
from isoalign.imaging import EmptyVolume, attenuation_per_mm, attenuation_volume
from isoalign.imaging.attenuation import PADDING
from isoalign.records import Volume


def block(hounsfield: np.ndarray, spacing=(1.0, 2.0, 3.0)) -> Volume:
    return Volume(hounsfield, np.array([5.0, -6.0, 7.0]), np.array(spacing), np.eye(3), "1.2.3", PatientPosition.HFS)


def test_water_air_and_bone() -> None:
    # water at 60 keV, NIST: 0.2059 cm2/g; cortical bone (ICRU-44) 0.3148 cm2/g x 1.92 g/cm3, about 1590 HU at 70 keV
    assert attenuation_per_mm(0) == pytest.approx(0.02059)
    assert attenuation_per_mm(1590) == pytest.approx(0.03148 * 1.92, rel=0.01)
    assert attenuation_per_mm(-500) == pytest.approx(0.02059 / 2)


@pytest.mark.parametrize("padding_hu", [-951, -1000, -1024, -2000, -2048, -32768])
def test_air_and_padding_values_do_not_attenuate(padding_hu: int) -> None:
    assert attenuation_per_mm(padding_hu) == 0.0


def centre_of_mass_mm(values: np.ndarray, dicom_from_index: np.ndarray) -> np.ndarray:
    index = np.stack(np.meshgrid(*(np.arange(n) for n in values.shape), indexing="ij"), axis=-1)[..., ::-1]
    mean = (index * values[..., None].astype(float)).reshape(-1, 3).sum(axis=0) / values.sum(dtype=float)
    return dicom_from_index[:3, :3] @ mean + dicom_from_index[:3, 3]


@pytest.mark.parametrize(
    ("size", "tolerance_mm"),
    [((12, 18, 32), 1e-4), ((13, 19, 29), 0.3)],
    ids=["blocks fit", "blocks do not fit: half a coarse voxel at most at one end"],
)
def test_cropped_and_averaged_grids_stay_in_place(size: tuple[int, int, int], tolerance_mm: float) -> None:
    """Centre of mass and total mass are the same at every resolution."""
    hounsfield = np.full((23, 31, 41), -1000, np.int16)
    hounsfield[4 : 4 + size[0], 5 : 5 + size[1], 8 : 8 + size[2]] = 400
    volume = block(hounsfield, (0.7, 0.9, 1.1))
    attenuation = attenuation_volume(volume)
    mu = attenuation_per_mm(hounsfield)
    expected = centre_of_mass_mm(mu, volume.dicom_from_index)
    assert attenuation.fine.values.shape == tuple(n + 4 for n in size)
    np.testing.assert_allclose(
        centre_of_mass_mm(attenuation.fine.values, attenuation.fine.dicom_from_index), expected, atol=1e-4
    )
    for grid in attenuation.levels:
        np.testing.assert_allclose(centre_of_mass_mm(grid.values, grid.dicom_from_index), expected, atol=tolerance_mm)
        mass = grid.values.sum(dtype=np.float64) * grid.spacing_mm.prod()
        assert mass == pytest.approx(mu.sum() * volume.spacing_mm.prod(), rel=1e-5)
        border = grid.values.copy()
        border[PADDING:-PADDING, PADDING:-PADDING, PADDING:-PADDING] = 0
        assert not border.any()
    assert [grid.spacing_mm.round(3).tolist() for grid in attenuation.levels] == [
        [1.4, 0.9, 1.1],
        [2.8, 2.7, 2.2],
        [5.6, 5.4, 4.4],
    ]


def test_every_layout_holds_the_same_voxels() -> None:
    hounsfield = np.random.default_rng(1).integers(-900, 900, (6, 7, 8)).astype(np.int16)
    grid = attenuation_volume(block(hounsfield)).fine
    for step_axis in range(3):
        u, v, k = grid.layout_index(step_axis)
        assert k == step_axis
        layout = grid.layout(step_axis)
        column_row_slice = [0, 0, 0]
        column_row_slice[u], column_row_slice[v], column_row_slice[k] = 5, 3, 4
        column, row, plane = column_row_slice
        assert layout[4, 3, 5] == grid.values[plane, row, column] != 0


def test_slabs_are_means_of_two_planes_and_lie_in_their_middle() -> None:
    """7 or 8 planes of 1 mm make 4 slabs; planes of 3 mm are thick enough. The odd plane's slab is half empty."""
    hounsfield = np.random.default_rng(1).integers(-900, 900, (6, 7, 8)).astype(np.int16)
    grid = attenuation_volume(block(hounsfield, (1.0, 1.0, 3.0))).levels[0]
    for step_axis, planes, together in ((0, 8, 2), (1, 7, 2), (2, 6, 1)):
        layout = grid.layout(step_axis, together=together)
        values = np.transpose(grid.values, {0: (2, 0, 1), 1: (1, 0, 2), 2: (0, 1, 2)}[step_axis])
        values = np.concatenate([values, np.zeros_like(values[:1])])
        slabs = -(-planes // together)
        assert len(layout) == PADDING + slabs + PADDING
        assert not layout[:PADDING].any()
        assert not layout[-PADDING:].any()
        offset, factor = grid.slab_of(together)
        for slab in range(slabs):
            first = PADDING + slab * together
            expected = values[first : first + together].mean(axis=0)
            np.testing.assert_allclose(layout[PADDING + slab], expected, atol=1e-7)
            middle = first + (together - 1) / 2
            assert offset + factor * middle == pytest.approx(PADDING + slab, abs=1e-12)


def test_faces_where_the_body_is_cut() -> None:
    hounsfield = np.full((8, 9, 10), -1000, np.int16)
    hounsfield[0:5, 2:6, 3:10] = 0
    assert attenuation_volume(block(hounsfield)).fine.cut_faces == ((2, 0), (0, 1))


def test_floats_integers_and_strided_arrays_give_the_same() -> None:
    hounsfield = np.random.default_rng(1).integers(-1000, 900, (6, 7, 8)).astype(np.int16)
    expected = attenuation_volume(block(hounsfield)).fine.values
    np.testing.assert_array_equal(attenuation_volume(block(hounsfield.astype(np.float32))).fine.values, expected)
    np.testing.assert_array_equal(attenuation_volume(block(np.asfortranarray(hounsfield))).fine.values, expected)


def test_a_volume_of_air_is_refused() -> None:
    with pytest.raises(EmptyVolume, match="nothing denser than air") as caught:
        attenuation_volume(block(np.full((4, 4, 4), -1024, np.int16)))
    assert caught.value.hint
