"""The frames of a series, one after the other on one image connection, some of them asked for again meanwhile.

All frames of a series carry the number of its exposure; their own numbers grow. A frame is delivered when it is whole
and correct, once, and never after a newer one: what is shown never goes back. A whole frame waits for an older one that
is being asked for again, until more than ``HELD_BACK`` frames wait; then the older one is given up.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from isoalign.protocol.images import ImageAssembler, ImageFrame
from isoalign.protocol.layout import Message
from isoalign.protocol.messages import ImageChunk, ImageEnd, ImageResend

OPEN_FRAMES_MAX: Final = 4
HELD_BACK: Final = 1
ATTEMPTS: Final = 5


class SeriesAssembler:
    """Puts the frames of one series together.

    Parameters
    ----------
    exposure_id : int
    rows, columns : int
        Size of every frame.

    Attributes
    ----------
    rejected : Counter[str]
        Records that did not belong to the series or came too late, and frames that contradicted their checksum.
    given_up : list of int
        Numbers of frames that began to arrive and were not whole in time for the newer ones, or after ``ATTEMPTS``.
    """

    def __init__(self, exposure_id: int, rows: int, columns: int) -> None:
        self.rejected: Counter[str] = Counter()
        self.given_up: list[int] = []
        self._size = (exposure_id, rows, columns)
        self._open: dict[int, ImageAssembler] = {}
        self._asked: Counter[int] = Counter()
        self._closed = 0
        self._waiting: dict[int, ImageFrame] = {}
        self._refused: set[int] = set()

    def take(self, message: Message) -> None:
        """Take a record."""
        if not isinstance(message, ImageChunk | ImageEnd):
            self.rejected["not an image record"] += 1
            return
        number = message.frame_id
        if (message.exposure_id, message.rows, message.columns) != self._size:
            self.rejected["another series or size"] += 1
            return
        if number <= self._closed or number in self._waiting or number in self._refused:
            self.rejected["late, or again"] += 1
            return
        one = self._open.get(number)
        if one is None:
            one = self._open[number] = ImageAssembler()
            one.expect(*self._size)
        frame = one.take(message)
        self.rejected.update(one.rejected)
        one.rejected.clear()
        if frame is not None:
            self._waiting[number] = frame
            del self._open[number]
            self._asked.pop(number, None)
        while len(self._open) > OPEN_FRAMES_MAX:
            self._give_up(min(self._open))

    def deliver(self) -> list[ImageFrame]:
        """The frames that are whole, correct and next in turn, once."""
        frames: list[ImageFrame] = []
        while self._waiting:
            number = min(self._waiting)
            if len(self._waiting) <= HELD_BACK and min(self._open, default=number) < number:
                break
            frames.append(self._waiting.pop(number))
            self._closed = number
            self._refused = {one for one in self._refused if one > number}
            for older in [one for one in self._open if one < number]:
                self._give_up(older)
        return frames

    def requests(self, *, paused: bool = False) -> list[ImageResend]:
        """What to ask for again now.

        Parameters
        ----------
        paused : bool
            Nothing has come for a while: also what has not ended.
        """
        wanted: list[ImageResend] = []
        newest = max([*self._open, *self._waiting], default=0)
        for number, one in sorted(self._open.items()):
            if not (one.has_ended or paused or (number < newest and not self._asked[number])):
                continue
            if self._asked[number] >= ATTEMPTS:
                self._give_up(number)
                continue
            self._asked[number] += 1
            wanted += one.requests()
        return wanted

    def _give_up(self, number: int) -> None:
        """What still comes of a frame is refused from now on."""
        del self._open[number]
        self._asked.pop(number, None)
        self.given_up.append(number)
        self._refused.add(number)
