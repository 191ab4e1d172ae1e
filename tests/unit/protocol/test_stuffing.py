"""Byte stuffing in Python does what the compiled library does."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest
from cobs import cobs
from hypothesis import example, given
from hypothesis import strategies as st

from isoalign.protocol import FrameError, FrameFault, FrameReader, decode, framing, stuffing
from isoalign.protocol.framing import FRAME_MAX_BYTES
from isoalign.protocol.stuffing import StuffingError, stuff_in_python, unstuff_in_python

FOLDER = Path(__file__).resolve().parents[3] / "firmware_protocols" / "vectors"
VECTORS = [
    one for file in sorted(FOLDER.glob("*.json")) for one in json.loads(file.read_text(encoding="utf-8"))["vectors"]
]

SPARSE = st.lists(st.sampled_from([0, 0, 0, 1, 2, 5, 254, 255]), max_size=253).map(bytes)


@given(st.binary(max_size=253) | SPARSE)
@example(b"")
@example(bytes(253))
@example(b"\1" * 253)
def test_stuffing_is_that_of_the_library(content: bytes) -> None:
    stuffed = stuff_in_python(content)
    assert stuffed == bytes(cobs.encode(content))
    assert unstuff_in_python(stuffed) == content


@given(st.binary(max_size=254) | SPARSE.map(lambda content: content.replace(b"\0", b"\1")))
@example(b"\xff" + b"\1" * 253)
@example(b"\xff" + b"\1" * 252)
@example(b"\2")
@example(b"\1\1")
def test_arbitrary_bytes_mean_the_same_or_are_refused_by_both(stuffed: bytes) -> None:
    try:
        wanted = bytes(cobs.decode(stuffed))
    except cobs.DecodeError:
        with pytest.raises(StuffingError):
            unstuff_in_python(stuffed)
    else:
        assert unstuff_in_python(stuffed) == wanted


def test_what_is_too_long_is_refused() -> None:
    with pytest.raises(StuffingError):
        stuff_in_python(bytes(254))
    with pytest.raises(StuffingError):
        unstuff_in_python(b"\1" * 255)


def test_the_compiled_library_is_used_where_it_is_there() -> None:
    assert (stuffing.unstuff is cobs.decode) == stuffing.COMPILED
    assert (stuffing.stuff is cobs.encode) == stuffing.COMPILED


def test_the_package_works_where_the_library_has_no_compiled_code() -> None:
    program = (
        "import sys; sys.modules['cobs.cobs._cobs_ext'] = None\n"
        "from isoalign.protocol import FrameReader, encode, stuffing\n"
        "from isoalign.protocol.messages import Heartbeat\n"
        "assert not stuffing.COMPILED\n"
        "assert stuffing.unstuff is stuffing.unstuff_in_python and stuffing.stuff is stuffing.stuff_in_python\n"
        "(frame,) = FrameReader().feed(encode(Heartbeat(0, None)))\n"
        "assert frame.message == Heartbeat(0, None)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_every_vector_without_the_compiled_library(monkeypatch: pytest.MonkeyPatch) -> None:
    framed = [one for one in VECTORS if "frame_hex" in one]
    with_library = [_outcome(one) for one in framed]
    assert [one for one in with_library if isinstance(one, FrameFault)]
    monkeypatch.setattr(framing, "unstuff", unstuff_in_python)
    assert [_outcome(one) for one in framed] == with_library


def _outcome(vector: dict[str, str]) -> object:
    raw = bytes.fromhex(vector["frame_hex"])
    try:
        return decode(raw[:-1] if "message" in vector else raw)
    except FrameError as error:
        return error.fault


@pytest.mark.parametrize("cut", [1, 100, 251, 252, 253, 1000])
def test_an_over_long_frame_is_counted_once_however_it_is_cut(cut: int) -> None:
    good = bytes.fromhex(next(one["frame_hex"] for one in VECTORS if one["name"] == "STOP any"))
    noise = bytes(random.Random(5).randrange(1, 256) for _ in range(3 * FRAME_MAX_BYTES))
    stream = noise + b"\0" + good
    reader = FrameReader()
    heard = [frame for at in range(0, len(stream), cut) for frame in reader.feed(stream[at : at + cut])]
    assert [frame.message.NAME for frame in heard] == ["STOP"]
    assert reader.rejected == {FrameFault.TOO_LONG: 1}
