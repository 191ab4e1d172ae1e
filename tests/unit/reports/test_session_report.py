"""The session report holds the numbers of the record, stands alone, and shows the images where they are."""

from __future__ import annotations

import base64
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from isoalign.geometry import ImagerAxis, PixelGrid, ProjectionGeometry
from isoalign.records import (
    CouchMotion,
    FoundMarker,
    InRoomScan,
    LeastClearance,
    MarkerShadow,
    MarkerState,
    Outcome,
    ReferenceImage,
    Verdict,
)
from isoalign.reports import (
    ReportNotWritable,
    record_to_json,
    session_report_html,
    session_summary,
    write_session_report,
)


class _Page(HTMLParser):
    """Collects what a browser would load and what a screen reader would say."""

    VOID = frozenset({"meta", "input", "br", "image", "use", "rect", "path", "link", "img", "hr"})

    def __init__(self) -> None:
        super().__init__()
        self.references: list[str] = []
        self.ids: list[str] = []
        self.unnamed_graphics = 0
        self.scripts = 0
        self.text: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag not in self.VOID:
            self.open.append(tag)
        self.scripts += tag == "script"
        self.references += [value for name, value in attrs if name in ("href", "src") and value]
        self.ids += [value for name, value in attrs if name == "id" and value]
        if tag == "svg" and not given.get("aria-label"):
            self.unnamed_graphics += 1

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def parse(html: str) -> _Page:
    page = _Page()
    page.feed(html)
    page.close()
    return page


@pytest.fixture(scope="module")
def html(made_session: Any) -> str:
    return session_report_html(made_session.record)


def test_the_page_stands_alone_and_is_well_formed(html: str) -> None:
    page = parse(html)
    assert page.open == []
    assert page.scripts == 0
    assert page.references
    assert all(one.startswith(("data:image/png;base64,", "#")) for one in page.references)
    assert len(page.ids) == len(set(page.ids))
    assert all(one[1:] in page.ids for one in page.references if one.startswith("#"))
    assert page.unnamed_graphics == 0
    assert "url(http" not in html


def test_numbers_of_the_record_are_on_the_page(html: str) -> None:
    text = re.sub(r"\s+", " ", " ".join(parse(html).text))
    # typed by hand: the planted error, the residual, the move that takes it back
    for shown in ("+6.20", "−4.10", "+3.30", "+1.400", "−2.100", "+0.800", "Aligned", "SIMULATED", "HEAD <1>"):
        assert shown in text
    assert "0.21" in text  # sqrt(0.12² + 0.08² + 0.15²)
    assert "1σ" in text
    assert "not a cleared medical device" in text
    assert "2.25.1002" in text


def test_text_of_the_record_cannot_become_markup(made_session: Any) -> None:
    record = replace(made_session.record, message="<script>alert(1)</script>")
    assert parse(session_report_html(record)).scripts == 0


def test_before_overlay_is_coloured_and_after_overlay_is_grey(html: str) -> None:
    def colourfulness(data: str) -> float:
        picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))).astype(float)
        assert picture.ndim == 3
        return float(np.abs(picture[..., 0] - picture[..., 1]).mean())

    colours = re.findall(r'class="layer colour"[^>]*href="data:image/png;base64,([^"]+)"', html)
    assert len(colours) == 6  # two imagers: before, match, after
    before, match, after = (colourfulness(one) for one in colours[:3])
    assert before > 2 * match
    assert before > 2 * after


def test_overlay_moves_with_the_set_up_error(made_session: Any, html: str) -> None:
    """The shift between radiograph and DRR, found by phase correlation, is the planted one in the AP view."""
    pictures = re.findall(r'id="p0-(?:measured|expected)"[^>]*href="data:image/png;base64,([^"]+)"', html)
    kv, drr = (np.asarray(Image.open(io.BytesIO(base64.b64decode(one)))).astype(float) for one in pictures)
    cross = np.fft.fft2(kv - kv.mean()) * np.conj(np.fft.fft2(drr - drr.mean()))
    peak = np.unravel_index(np.argmax(np.abs(np.fft.ifft2(cross))), kv.shape)
    shift = [(value + size // 2) % size - size // 2 for value, size in zip(peak, kv.shape, strict=True)]
    pixel_at_isocentre_mm = 0.388 * (1024 / kv.shape[0]) / 1.5
    # AP seen from the source above: rows run down towards -Y of the fixed frame, columns along +X
    assert shift[1] * pixel_at_isocentre_mm == pytest.approx(6.2, abs=1.5)
    assert -shift[0] * pixel_at_isocentre_mm == pytest.approx(-4.1, abs=1.5)


def test_picture_edges_name_the_side_of_the_patient(html: str) -> None:
    """HFS, source above: +X of the room is the patient's left, towards the gantry is the head."""
    first = html[html.index("<figure>") : html.index("</figure>")]
    letters = re.findall(r"<text [^>]*>(\w+)</text>", first)
    assert letters == ["Right", "Left", "Head", "Feet"]


def test_a_session_without_images_still_has_a_page(made_session: Any) -> None:
    record = replace(
        made_session.record, outcome=Outcome.FAILED, passes=(), correction=None, approval=None, arrived=None, truth=None
    )
    text = " ".join(parse(session_report_html(record)).text)
    assert "Failed" in text
    assert "SIMULATED" not in text


def test_a_refused_match_shows_no_move(made_session: Any) -> None:
    record = replace(
        made_session.record,
        outcome=Outcome.MATCH_REFUSED,
        passes=made_session.record.passes[:1],
        correction=None,
        approval=None,
        arrived=None,
    )
    text = " ".join(parse(session_report_html(record)).text)
    assert "the couch was not moved" in text
    assert "no residual" in text


@pytest.mark.parametrize("verdict", [Verdict.DOUBTFUL, Verdict.FAILED])
def test_a_match_that_is_not_accepted_shows_no_position(made_session: Any, verdict: Verdict) -> None:
    """Neither the page nor the JSON nor the terminal gives six numbers that could be taken for a finding.

    Regression: a failed match was shown with the numbers where its search had ended, and a standard deviation.
    """
    passes = tuple(replace(one, match=replace(one.match, verdict=verdict)) for one in made_session.record.passes)
    record = replace(made_session.record, outcome=Outcome.MATCH_REFUSED, passes=passes, truth=None, correction=None)
    text = " ".join(parse(session_report_html(record)).text)
    assert "not found" in text
    assert "no residual" in text
    assert "+6.20" not in text
    document = record_to_json(record)
    assert document["residual"] is None
    assert document["within_tolerance"] is None
    assert document["passes"][0]["match"]["setup_error"] is None
    assert document["passes"][0]["match"]["verdict"] == verdict.value


def test_images_taken_anew_before_a_correction_are_no_verification(made_session: Any) -> None:
    """Regression: the second pass was taken for the verification whatever it was made for."""
    first = made_session.record.passes[0]
    record = replace(made_session.record, outcome=Outcome.FAILED, passes=(first, first), correction=None)
    assert record_to_json(record)["residual"] is None
    assert "no residual" in " ".join(parse(session_report_html(record)).text)


def test_report_is_written_whole_or_not_at_all(made_session: Any, tmp_path: Path) -> None:
    path = write_session_report(made_session.record, tmp_path / "new" / "report.html")
    assert path.read_text(encoding="utf-8").endswith("</html>\n")
    assert [one.name for one in path.parent.iterdir()] == ["report.html"]
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(ReportNotWritable):
        write_session_report(made_session.record, blocked / "report.html")


def test_json_has_units_in_keys_and_the_numbers(made_session: Any) -> None:
    document = json.loads(json.dumps(record_to_json(made_session.record)))
    assert document["schema"] == "isoalign.session/1"
    found = document["passes"][0]["match"]["setup_error"]
    assert found["x_mm"] == pytest.approx(6.2)
    assert found["roll_deg"] == pytest.approx(-2.1)
    assert document["residual"]["distance_mm"] == pytest.approx(0.2081, abs=1e-4)
    assert document["within_tolerance"] is True
    assert document["correction"]["target"].keys() == {"iec61217", "isocentric"}
    iec = document["correction"]["target"]["iec61217"]
    assert iec["pitch_deg"] == pytest.approx(-1.4, abs=0.1)
    assert document["truth"]["seed"] == 7


def test_terminal_summary_names_outcome_and_residual(made_session: Any) -> None:
    stream = io.StringIO()
    Console(file=stream, width=100).print(session_summary(made_session.record, Path("out/report.html")))
    shown = stream.getvalue()
    assert "aligned" in shown
    assert "0.21 mm of 1 mm" in shown
    assert "out/report.html" in shown
    assert max(len(line.rstrip()) for line in shown.splitlines()) <= 100


def with_motions(record: Any) -> Any:
    near = LeastClearance(98.4, 41.2, ("nozzle", "patient slab 1"), record.correction.target)
    return replace(
        record,
        motions=(
            CouchMotion(record.correction.target, "direct", record.correction.start, near, ("immobilisation",)),
            CouchMotion(record.correction.start, "unidirectional", refusal="table top and <wall> keep only 3.0 mm"),
            CouchMotion(record.correction.start, "direct", record.correction.start),
        ),
    )


def with_markers(record: Any) -> Any:
    """Two markers in both passes; pixels of the panel by hand."""

    def marked(one: Any) -> Any:
        markers = (
            FoundMarker(
                "SEED<1>", MarkerState.MATCHED, np.zeros(3), shadows((400.0, 500.0), (404.0, 508.0)), 0.12, 0.34
            ),
            FoundMarker(
                "SEED2", MarkerState.MIGRATED, np.zeros(3), shadows((300.0, 200.0), (320.0, 210.0)), 5.25, 0.05
            ),
            FoundMarker("SEED3", MarkerState.MISSING, np.zeros(3), shadows((100.0, 100.0), None)),
        )
        return replace(one, match=replace(one.match, kind="marker", markers=markers))

    def shadows(planned: tuple[float, float], found: tuple[float, float] | None) -> tuple[MarkerShadow, ...]:
        return tuple(MarkerShadow(name, planned, (planned[0] + 2.0, planned[1]), found) for name in ("A", "B"))

    return replace(record, passes=tuple(marked(one) for one in record.passes))


def test_markers_are_drawn_where_they_were_planned_and_found(made_session: Any) -> None:
    page = session_report_html(with_markers(made_session.record))
    first = page[page.index("<figure>") : page.index("</figure>")]
    # 1024 x 768 pixels in a picture of 512 x 384: (400.5 / 2, 500.5 / 2) is the middle of the cross, 6.4 its arm
    assert 'class="marker planned" d="M193.8 250.2h12.8M200.2 243.8v12.8"' in first
    assert 'class="marker matched" d="M195.8 254.2a6.4 6.4' in first, "the ring about (404.5 / 2, 508.5 / 2)"
    assert first.count('class="marker migrated"') == 1
    assert first.count('class="marker planned"') == 3
    assert "SEED&lt;1&gt;" in first
    match = page[page.index("<figure>", page.index("</figure>")) :]
    assert 'class="marker planned" d="M194.8 250.2' in match[: match.index("</figure>")], "where the match puts it"
    assert parse(page).open == []


def test_the_residual_of_every_marker_is_in_a_table(made_session: Any) -> None:
    record = with_markers(made_session.record)
    page = session_report_html(record)
    table = page[page.index('aria-label="Markers, First pair"') :]
    cells = re.findall(r"<t[hd][^>]*>([^<]*)</t[hd]>", table[table.index("<tbody>") : table.index("</tbody>")])
    rows = [["SEED&lt;1&gt;", "matched", "0.12", "0.34"], ["SEED2", "migrated", "5.25", "0.05"]]
    assert [cells[start : start + 4] for start in (0, 4, 8)] == [*rows, ["SEED3", "missing", "–", "–"]]
    assert 'aria-label="Markers, Second pair"' in page
    told = record_to_json(record)["passes"][0]["match"]["markers"]
    assert [one["state"] for one in told] == ["matched", "migrated", "missing"]
    assert told[1]["distance_mm"] == 5.25
    assert told[0]["shadows"][1] == {
        "imager": "B",
        "planned_px": [400.0, 500.0],
        "expected_px": [402.0, 500.0],
        "found_px": [404.0, 508.0],
    }
    assert told[2]["shadows"][0]["found_px"] is None


def test_a_pair_after_an_in_room_ct_says_which_ct_its_drrs_are_of(made_session: Any) -> None:
    """Markers and DRRs of a 2D/2D match are compared with the planning CT, not with the scan."""
    first, last = made_session.record.passes
    scan = InRoomScan("1.2", "1.3", 100)
    of_scan = replace(first, radiographs=(), scan=scan, match=replace(first.match, kind="3D/3D", views=()))
    with_day = session_report_html(replace(made_session.record, passes=(of_scan, replace(last, scan=scan))))
    with_plan = session_report_html(replace(made_session.record, passes=(of_scan, last)))
    assert "DRR of the in-room CT where the couch has carried it" in with_day
    assert "DRR where the plan wants the patient" in with_plan
    assert "DRR of the in-room CT" not in with_plan


def in_part(record: Any, *untold: str) -> Any:
    passes = tuple(replace(one, match=replace(one.match, not_available=untold)) for one in record.passes)
    correction = replace(record.correction, not_corrected=untold)
    return replace(record, outcome=Outcome.ALIGNED_IN_PART, passes=passes, correction=correction)


def test_what_the_images_do_not_tell_is_never_a_number(made_session: Any) -> None:
    record = in_part(made_session.record, "roll_deg")
    page = session_report_html(record)
    text = re.sub(r"\s+", " ", " ".join(parse(page).text))
    found = page[page.index('aria-label="Set-up error found and residual"') :]
    found = found[: found.index("</table>")]
    assert "−2.100" not in found
    assert "not available from these images" in found
    assert "Aligned as far as the images tell" in text
    assert "roll was not corrected" in text
    assert "These images do not tell: roll." in text
    assert "0.050°" in text, "the largest of the told rotations, not the 0.020° of roll"
    document = record_to_json(record)
    assert document["passes"][0]["match"]["not_available"] == ["roll_deg"]
    error = document["passes"][0]["match"]["setup_error"]
    assert (error["roll_deg"], error["angle_deg"]) == (None, None)
    assert error["pitch_deg"] == pytest.approx(1.4)
    assert error["largest_axis_deg"] == pytest.approx(1.4)
    assert document["residual"]["roll_deg"] is None
    assert document["correction"]["not_corrected"] == ["roll_deg"]
    stream = io.StringIO()
    Console(file=stream, width=100).print(session_summary(record))
    assert "aligned in part" in stream.getvalue()
    assert "not available, not corrected: roll" in stream.getvalue()


def test_a_match_that_tells_no_rotation_has_no_gauge_for_it(made_session: Any) -> None:
    page = session_report_html(in_part(made_session.record, "pitch_deg", "roll_deg", "yaw_deg"))
    assert "Largest rotation about a table axis" not in page
    assert page.count('class="gauge ') == 1
    assert (
        record_to_json(in_part(made_session.record, "pitch_deg", "roll_deg", "yaw_deg"))["residual"]["largest_axis_deg"]
        is None
    )


def test_the_clearance_of_every_motion_is_told_with_what_was_not_checked(made_session: Any) -> None:
    record = with_motions(made_session.record)
    page = session_report_html(record)
    table = page[page.index("Clearance on the way") : page.index("</table>", page.index("Clearance on the way"))]
    assert ">98<" in table
    assert ">41<" in table
    assert "nozzle and patient slab 1" in table
    assert "immobilisation" in table
    assert "refused: table top and &lt;wall&gt; keep only 3.0 mm" in table
    assert "not checked" in table
    stream = io.StringIO()
    Console(file=stream, width=100).print(session_summary(record))
    assert "clearance, motion 1: 98 mm between nozzle and patient slab 1 (41 required)" in stream.getvalue()
    assert "clearance, motion 3: not checked" in stream.getvalue()
    assert "not checked: immobilisation" in stream.getvalue()
    first, second, third = record_to_json(record)["motions"]
    assert first["clearance"]["least_mm"] == 98.4
    assert first["clearance"]["parts"] == ["nozzle", "patient slab 1"]
    assert first["refusal"] is None
    assert second["clearance"] is None
    assert second["refusal"].startswith("table top")
    assert third["clearance_in_words"] == "not checked"


def test_reference_images_of_the_plan_are_shown(made_session: Any, html: str) -> None:
    """In grey, with the isocentre where their own geometry has it: 20 pixels beside the middle."""
    grid = PixelGrid(100, 200, 1.5, 1.5, (-149.25 + 30.0, 74.25))  # its middle is column 100, row 50
    geometry = ProjectionGeometry.from_axis(ImagerAxis(90.0, 1000.0, 1500.0), grid)
    values = np.zeros((100, 200), dtype=np.float32)
    values[:, 100:] = 7.5
    shown = ReferenceImage("DRR lateral", "G090", geometry, values)
    page = session_report_html(replace(made_session.record, reference_images=(shown,)))
    assert "Reference images" not in html
    (section,) = re.findall(r'<section class="references">.*?</section>', page, re.DOTALL)
    assert "Beam G090" in section
    assert "DRR lateral, gantry angle 90" in section
    (encoded,) = re.findall(r"data:image/png;base64,([^\"]+)", section)
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded))))
    assert picture.shape == (100, 200)
    assert picture[50, 20] == 0
    assert picture[50, 180] == 255
    assert f"M{80 - 200 / 26:.1f} 50.0h" in section
    assert record_to_json(replace(made_session.record, reference_images=(shown,)))["reference_images"] == [
        {"label": "DRR lateral", "beam_name": "G090"}
    ]


def test_a_session_without_motions_says_nothing_about_clearance(made_session: Any, html: str) -> None:
    assert made_session.record.motions == ()
    assert "Clearance on the way" not in html
