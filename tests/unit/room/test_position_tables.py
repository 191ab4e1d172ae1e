"""Files of positions: what is written, what is recorded, and that nothing bad gets through or leaves half a file."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from isoalign.errors import IsoalignError
from isoalign.geometry import AXES, AxisScale, MachineScale
from isoalign.room import position_files
from isoalign.room.errors import (
    OutputExists,
    OutputNotWritten,
    PositionColumnsWrong,
    PositionFileEmpty,
    PositionFileUnreadable,
    PositionRefused,
    RepresentationContradicted,
    UnknownFileKind,
)
from isoalign.room.position_notations import Notation, notation_of
from isoalign.room.position_tables import ConvertedFile, convert_file

IEC, ISO = notation_of("iec61217"), notation_of("isocentric")
HEADER = "lateral_mm,longitudinal_mm,vertical_mm,pitch_deg,roll_deg,patient_support_angle_deg"
COLUMNS = HEADER.split(",")
Writer = Callable[..., Path]


def in_cm() -> Notation:
    axes = {axis: AxisScale(source="test") for axis in AXES}
    axes["vertical"] = AxisScale(sign=-1, zero=100.0, unit_size=10.0, source="test")
    axes["patient_support_angle"] = AxisScale(zero=180.0, source="test")
    return Notation("room-1", "scale room-1", MachineScale("room-1", axes, origin_source="test"))


def convert(
    source: Path, output: Path, given: Notation = IEC, wanted: Notation = ISO, **options: bool
) -> ConvertedFile:
    return convert_file(source, output, given=given, wanted=wanted, **options)


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture
def write(tmp_path: Path) -> Writer:
    def make(text: str | bytes, name: str = "positions.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return make


def by_hand(rows: np.ndarray) -> np.ndarray:
    """T_iso = (Rx(pitch) Ry(roll))^T T_iec, one matrix after the other; signs typed by hand from IEC 61217."""
    after = rows.copy()
    for number, (*shift, pitch, roll, _) in enumerate(rows):
        p, r = np.radians([pitch, roll])
        about_x = np.array([[1, 0, 0], [0, np.cos(p), -np.sin(p)], [0, np.sin(p), np.cos(p)]])  # +Y goes to +Z
        about_y = np.array([[np.cos(r), 0, np.sin(r)], [0, 1, 0], [-np.sin(r), 0, np.cos(r)]])  # +X goes to -Z
        after[number, :3] = (about_x @ about_y).T @ np.array(shift)
    return after


@pytest.mark.parametrize("to_kind", ["csv", "parquet"])
@pytest.mark.parametrize("from_kind", ["csv", "parquet"])
def test_every_row_of_every_block_is_converted(
    from_kind: str, to_kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(position_files, "BLOCK_BYTES", 2000)
    monkeypatch.setattr(position_files, "BLOCK_ROWS", 17)
    rows = np.random.default_rng(1).uniform(-30, 30, (200, 6)) * [10, 10, 10, 1, 1, 6]
    table = pa.table(dict(zip(COLUMNS, rows.T, strict=True)))
    source = tmp_path / f"in.{from_kind}"
    if from_kind == "csv":
        pa.csv.write_csv(table, source)
    else:
        pq.write_table(table, source)
    steps: list[float] = []
    output = tmp_path / f"out.{to_kind}"
    done = convert_file(source, output, given=IEC, wanted=ISO, on_progress=lambda _, part: steps.append(part or 0.0))
    assert done.rows == 200
    if to_kind == "csv":
        written = np.array([[float(row[name]) for name in COLUMNS] for row in read_csv(output)])
        assert {row["representation"] for row in read_csv(output)} == {"isocentric"}
    else:
        read = pq.read_table(output)
        assert read.schema.metadata[b"isoalign.representation"] == b"isocentric"
        written = np.column_stack([read[name].to_numpy() for name in COLUMNS])
    np.testing.assert_allclose(written, by_hand(rows), rtol=0, atol=1e-9)
    assert len(steps) > 3, "in blocks"
    assert steps == sorted(steps)
    assert steps[-1] == 1.0


def test_other_columns_are_carried_in_order_and_letter_by_letter(write: Writer, tmp_path: Path) -> None:
    source = write(
        "id,vertical_mm,note,lateral_mm,longitudinal_mm,pitch_deg,roll_deg,patient_support_angle_deg,empty\n"
        '007,3,"a, ""b""\nc",+1,2e0,0,0,350,\n'
        "1.10,-3,ü,-1.5,.5,0,0,-10,NA\n"
    )
    convert(source, tmp_path / "out.csv")
    rows = read_csv(tmp_path / "out.csv")
    assert list(rows[0]) == [
        *("id", "vertical_mm", "note", "lateral_mm", "longitudinal_mm", "pitch_deg", "roll_deg"),
        *("patient_support_angle_deg", "empty", "representation"),
    ]
    assert [row["id"] for row in rows] == ["007", "1.10"]
    assert [row["note"] for row in rows] == ['a, "b"\nc', "ü"]
    assert [row["empty"] for row in rows] == ["", "NA"]
    assert [float(row["lateral_mm"]) for row in rows] == [1.0, -1.5]
    assert [float(row["patient_support_angle_deg"]) for row in rows] == [350.0, -10.0], "angles are not wrapped"


def test_a_parquet_file_keeps_the_types_and_metadata_of_the_rest(tmp_path: Path) -> None:
    table = pa.table(
        {
            **{name: pa.array([1.5], pa.float32()) for name in COLUMNS},
            "when": pa.array([5], pa.timestamp("ms")),
            "kinds": pa.array([["a"]]),
        }
    ).replace_schema_metadata({b"site": b"x"})
    pq.write_table(table, tmp_path / "in.parquet")
    convert(tmp_path / "in.parquet", tmp_path / "out.parquet")
    schema = pq.read_schema(tmp_path / "out.parquet")
    assert schema.metadata[b"site"] == b"x"
    assert schema.field("when").type == pa.timestamp("ms")
    assert schema.field("kinds").type == table.schema.field("kinds").type
    assert schema.field("lateral_mm").type == pa.float64()
    with pytest.raises(PositionColumnsWrong, match=r"'kinds' holds list.*CSV cannot hold"):
        convert(tmp_path / "in.parquet", tmp_path / "out.csv")


def test_a_scale_names_its_columns_by_its_units(write: Writer, tmp_path: Path) -> None:
    source = write(f"{HEADER}\n1,2,30,0,0,5\n")
    convert(source, tmp_path / "out.csv", IEC, in_cm())
    (row,) = read_csv(tmp_path / "out.csv")
    assert float(row["vertical_cm"]) == pytest.approx(97.0)
    assert float(row["patient_support_angle_deg"]) == pytest.approx(185.0)
    assert row["representation"] == "room-1"
    convert(tmp_path / "out.csv", tmp_path / "back.csv", in_cm(), IEC)
    (back,) = read_csv(tmp_path / "back.csv")
    assert [float(back[name]) for name in COLUMNS] == pytest.approx([1, 2, 30, 0, 0, 5])
    with pytest.raises(PositionColumnsWrong, match="no column 'vertical_cm'"):
        convert(source, tmp_path / "never.csv", in_cm(), IEC)


def test_level_says_what_the_missing_angles_are(write: Writer, tmp_path: Path) -> None:
    source = write("vertical_mm,lateral_mm,longitudinal_mm\n3,1,2\n")
    with pytest.raises(PositionColumnsWrong, match="'pitch_deg', 'roll_deg', 'patient_support_angle_deg'") as caught:
        convert(source, tmp_path / "out.csv")
    assert "--level" in caught.value.hint
    done = convert(source, tmp_path / "out.csv", level=True)
    assert done.level_axes == ("pitch", "roll", "patient_support_angle")
    (row,) = read_csv(tmp_path / "out.csv")
    assert [float(row[name]) for name in COLUMNS] == [1, 2, 3, 0, 0, 0]
    scaled = write("vertical_cm,lateral_mm,longitudinal_mm,pitch_deg\n97,1,2,90\n", "scaled.csv")
    convert(scaled, tmp_path / "iec.csv", in_cm(), IEC, level=True)
    (row,) = read_csv(tmp_path / "iec.csv")
    assert [float(row[name]) for name in COLUMNS] == pytest.approx([1, 2, 30, 90, 0, 0]), "0 of IEC 61217, not read 0"


def test_level_does_not_make_up_translations(write: Writer, tmp_path: Path) -> None:
    with pytest.raises(PositionColumnsWrong, match="no column 'vertical_mm'; its columns are 'lateral_mm', 'long") as e:
        convert(write("lateral_mm,longitudinal_mm\n1,2\n"), tmp_path / "out.csv", level=True)
    assert e.value.facts["columns"] == ["lateral_mm", "longitudinal_mm"]


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ("", "is empty"),
        ("  ", "is empty"),
        ("nan", "is 'nan'"),
        ("inf", "is 'inf'"),
        ("abc", "is 'abc'"),
        ("1_000", "is '1_000'"),
        ("0x10", "is '0x10'"),
        ('"12,5"', "is '12,5'"),
        ("10000", "is '10000'"),
        ("-700000", "is '-700000'"),
    ],
)
def test_a_bad_value_is_refused_with_its_place_and_range(bad: str, said: str, write: Writer, tmp_path: Path) -> None:
    source = write(f'note,{HEADER}\n"two\nlines",1,2,3,0,0,0\n\nx,1,{bad},3,0,0,0\ny,oops,2,3,0,0,0\n')
    with pytest.raises(PositionRefused) as caught:
        convert(source, tmp_path / "out.csv")
    message = str(caught.value)
    assert message.startswith(f"{source}, row 2 (line 5): longitudinal_mm {said}")
    assert message.endswith("between -10000 and 10000 mm")
    assert caught.value.facts["row"] == 2
    assert caught.value.facts["line"] == 5
    assert caught.value.facts["range"] == [-10000.0, 10000.0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["positions.csv"], "nothing is left behind"


def test_the_row_is_counted_over_all_blocks(write: Writer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(position_files, "BLOCK_BYTES", 500)
    lines = ["1,2,3,0,0,0"] * 300
    lines[233] = "1,2,3,0,0,40000"
    with pytest.raises(PositionRefused, match=r"row 234 \(line 235\): patient_support_angle_deg .* 36000 deg"):
        convert(write("\n".join([HEADER, *lines])), tmp_path / "out.csv")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([1.0, None], "row 2: lateral_mm is empty"),
        ([1.0, float("nan")], "row 2: lateral_mm is nan"),
        ([-2e5, 1.0], "row 1: lateral_mm is -200000.0"),
    ],
)
def test_parquet_values_are_refused_by_row(values: list[float | None], said: str, tmp_path: Path) -> None:
    table = {name: [0.0, 0.0] for name in COLUMNS} | {"lateral_mm": values}
    pq.write_table(pa.table(table), tmp_path / "in.parquet")
    with pytest.raises(PositionRefused, match=said):
        convert(tmp_path / "in.parquet", tmp_path / "out.csv")


def test_a_result_out_of_bounds_is_refused_not_clipped(write: Writer, tmp_path: Path) -> None:
    source = write(f"{HEADER}\n1,2,3,0,0,0\n9000,0,-9000,0,45,0\n")
    with pytest.raises(
        PositionRefused, match=r"row 2 \(line 3\): converted to Isocentric Standard, lateral_mm is 12727"
    ):
        convert(source, tmp_path / "out.csv")


@pytest.mark.parametrize(
    ("content", "kind", "said"),
    [
        (b"", PositionFileEmpty, "is empty"),
        (b"\n\n", PositionFileEmpty, "is empty"),
        (f"{HEADER}\n".encode(), PositionFileEmpty, "columns but no row"),
        (b"PAR1 and so on", PositionFileUnreadable, "Parquet file with the ending of a CSV"),
        (b"\x7fELF\0\0\0", PositionFileUnreadable, "binary data"),
        (f"{HEADER}\n1,2,3,0,0\n".encode(), PositionFileUnreadable, r"row 1 \(line 2\) has 5 fields.*6 columns"),
        (f"{HEADER},n\n1,2,3,0,0,0,\xff\n".encode("latin-1"), PositionFileUnreadable, "not UTF-8"),
        (f"{HEADER.replace(',', ';')}\n".encode(), PositionColumnsWrong, "no column 'lateral_mm'"),
        (f"{HEADER},roll_deg\n1,2,3,0,0,0,0\n".encode(), PositionColumnsWrong, "two columns 'roll_deg'"),
        (
            f"{HEADER},representation\n1,2,3,0,0,0,isocentric\n".encode(),
            RepresentationContradicted,
            "row 1.*'isocentric'",
        ),
        (f"{HEADER},representation\n1,2,3,0,0,0,\n".encode(), RepresentationContradicted, "row 1"),
    ],
)
def test_a_file_that_is_no_table_of_positions(
    content: bytes, kind: type[IsoalignError], said: str, write: Writer, tmp_path: Path
) -> None:
    with pytest.raises(kind, match=said):
        convert(write(content), tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()


def test_files_that_are_no_parquet(write: Writer, tmp_path: Path) -> None:
    for content, kind in ((b"", PositionFileEmpty), (b"lateral_mm\n1\n", PositionFileUnreadable)):
        with pytest.raises(kind):
            convert(write(content, "in.parquet"), tmp_path / "out.csv")
    with pytest.raises(PositionFileUnreadable, match="No such file"):
        convert(tmp_path / "nowhere.parquet", tmp_path / "out.csv")
    pq.write_table(pa.table({name: ["1"] for name in COLUMNS}), tmp_path / "text.parquet")
    with pytest.raises(PositionColumnsWrong, match="'lateral_mm' holds string"):
        convert(tmp_path / "text.parquet", tmp_path / "out.csv")


def test_a_damaged_parquet_file_leaves_no_output(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    path = tmp_path / "in.parquet"
    pq.write_table(pa.table({name: rng.uniform(0, 10, 20_000) for name in COLUMNS}), path)
    content = bytearray(path.read_bytes())
    content[1000:-3000] = bytes(len(content) - 4000)
    path.write_bytes(content)
    with pytest.raises(PositionFileUnreadable, match="damaged"):
        convert(path, tmp_path / "out.csv")
    assert [one.name for one in tmp_path.iterdir()] == ["in.parquet"]


def test_what_a_parquet_file_says_of_itself_is_checked(write: Writer, tmp_path: Path) -> None:
    convert(write(f"{HEADER}\n1,2,3,1,1,0\n"), tmp_path / "iso.parquet")
    with pytest.raises(RepresentationContradicted, match="its metadata says that the positions are in 'isocentric'"):
        convert(tmp_path / "iso.parquet", tmp_path / "out.csv", IEC, ISO)
    convert(tmp_path / "iso.parquet", tmp_path / "out.csv", ISO, IEC)
    (row,) = read_csv(tmp_path / "out.csv")
    assert [float(row[name]) for name in COLUMNS] == pytest.approx([1, 2, 3, 1, 1, 0])
    assert row["representation"] == "iec61217"


def test_a_second_row_that_contradicts_is_found(write: Writer, tmp_path: Path) -> None:
    source = write(f"representation,{HEADER}\niec61217,1,2,3,0,0,0\nisocentric,1,2,3,0,0,0\n")
    with pytest.raises(RepresentationContradicted, match="row 2"):
        convert(source, tmp_path / "out.csv")
    good = write(f"representation,{HEADER}\niec61217,1,2,3,0,0,0\nIEC 61217,1,2,3,0,0,0\n", "good.csv")
    convert(good, tmp_path / "out.csv")
    assert next(iter(read_csv(tmp_path / "out.csv")[0])) == "representation", "in its place"
    assert {row["representation"] for row in read_csv(tmp_path / "out.csv")} == {"isocentric"}


def test_an_output_is_overwritten_only_when_told_to(write: Writer, tmp_path: Path) -> None:
    source = write(f"{HEADER}\n1,2,3,0,0,0\n")
    output = write("mine", "out.csv")
    with pytest.raises(OutputExists):
        convert(source, output)
    assert output.read_text() == "mine"
    convert(source, output, force=True)
    assert len(read_csv(output)) == 1


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_an_interruption_leaves_what_was_there(kind: str, write: Writer, tmp_path: Path) -> None:
    source = write(f"{HEADER}\n1,2,3,0,0,0\n")
    output = write("mine", f"out.{kind}")

    def interrupt(text: str, fraction: float | None) -> None:
        assert len(list(tmp_path.glob(f".out.{kind}.*"))) == 1, "something was being written"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert_file(source, output, given=IEC, wanted=ISO, force=True, on_progress=interrupt)
    assert output.read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"out.{kind}", "positions.csv"]


def test_an_output_that_cannot_be_written(write: Writer, tmp_path: Path) -> None:
    source = write(f"{HEADER}\n1,2,3,0,0,0\n")
    with pytest.raises(OutputNotWritten, match="nowhere"):
        convert(source, tmp_path / "nowhere" / "out.csv")
    with pytest.raises(UnknownFileKind, match=r"'\.xlsx'"):
        convert(source, tmp_path / "out.xlsx")


def test_a_written_file_has_the_usual_permissions(write: Writer, tmp_path: Path) -> None:
    convert(write(f"{HEADER}\n1,2,3,0,0,0\n"), tmp_path / "out.csv")
    (tmp_path / "usual").touch()
    assert (tmp_path / "out.csv").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_line_breaks_in_quotes_survive_the_borders_of_blocks(
    write: Writer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(position_files, "BLOCK_BYTES", 300)
    notes = [f"{'first ' * (number % 7)}\nsecond {number}" for number in range(100)]
    lines = "".join(f'1,2,3,0,0,0,"{note}"\n' for note in notes)
    convert(write(f"{HEADER},note\n{lines}"), tmp_path / "out.csv")
    assert [row["note"] for row in read_csv(tmp_path / "out.csv")] == notes


def test_bounds_are_those_of_the_unit_of_the_scale(write: Writer, tmp_path: Path) -> None:
    """10 m are 1000 cm either side of the zero of 100 cm."""
    header = HEADER.replace("vertical_mm", "vertical_cm")
    with pytest.raises(PositionRefused, match=r"row 1 .*vertical_cm is '1200'; .* between -900 and 1100 cm"):
        convert(write(f"{header}\n1,2,1200,0,0,0\n"), tmp_path / "out.csv", in_cm(), IEC)


def test_a_position_that_leaves_all_bounds_on_the_way_is_told_with_its_row(
    write: Writer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reading is possible, but the scale's origin, 9 m above the table top, puts the table top out of bounds."""
    monkeypatch.setattr(position_files, "BLOCK_BYTES", 200)
    axes = {axis: AxisScale(source="test") for axis in AXES}
    high = MachineScale("high", axes, table_top_origin_mm=(0.0, 0.0, 9000.0), origin_source="test")
    lines = "0,0,100,0,0,0\n" * 50 + "0,0,-9000,0,0,0\n"
    with pytest.raises(PositionRefused, match=r"row 51 \(line 52\): .*vertical"):
        convert(write(f"{HEADER}\n{lines}"), tmp_path / "out.csv", Notation("high", "scale high", high), IEC)


def test_an_output_that_appears_in_the_meantime_is_kept(write: Writer, tmp_path: Path) -> None:
    output = tmp_path / "out.csv"
    source = write(f"{HEADER}\n1,2,3,0,0,0\n")
    with pytest.raises(OutputExists):
        convert_file(source, output, given=IEC, wanted=ISO, on_progress=lambda *_: write("mine", "out.csv") and None)
    assert output.read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.csv", "positions.csv"]
