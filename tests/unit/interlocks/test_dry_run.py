"""Which motions a dry run allows, for how long, and for whom."""

from __future__ import annotations

import pytest

from isoalign.interlocks import DryRun, DryRunBook

A = (0.0, 700.0, -120.0, 0.0, 0.0, 0.0)
B = (50.0, 800.0, -100.0, 1.0, -1.0, 30.0)
C = (50.0, 800.5, -100.0, 1.0, -1.0, 30.0)


@pytest.fixture
def book() -> DryRunBook:
    made = DryRunBook(expiry_s=600.0)
    made.add(DryRun((A, B), patient_epoch=3, made_at_s=1000.0))
    return made


def test_without_any_nothing_is_allowed() -> None:
    assert "no dry run" in DryRunBook(expiry_s=600.0).objection((A, B), patient_epoch=0, now_s=0.0)


@pytest.mark.parametrize("path", [(A, B), (B, A), (A, C)])
def test_the_same_path_is_allowed_either_way(book: DryRunBook, path: tuple[tuple[float, ...], ...]) -> None:
    assert book.objection(path, patient_epoch=3, now_s=1600.0) == ""


@pytest.mark.parametrize(
    "path",
    [
        (A, A),
        (A, C, B),
        (A, (51.1, *B[1:])),
        (A, (*B[:5], 30.21)),
        ((*A[:3], -0.21, *A[4:]), B),
    ],
)
def test_another_path_is_not(book: DryRunBook, path: tuple[tuple[float, ...], ...]) -> None:
    assert "no dry run was made on this path" in book.objection(path, patient_epoch=3, now_s=1001.0)


def test_it_expires(book: DryRunBook) -> None:
    assert "601 s old" in book.objection((A, B), patient_epoch=3, now_s=1601.0)
    book.add(DryRun((B, A), patient_epoch=3, made_at_s=1500.0))
    assert book.objection((A, B), patient_epoch=3, now_s=1601.0) == ""


@pytest.mark.parametrize("epoch", [2, 4])
def test_another_patient_needs_another_one(book: DryRunBook, epoch: int) -> None:
    assert "placed anew" in book.objection((A, B), patient_epoch=epoch, now_s=1001.0)
