"""The frames of a series, one after the other on one image connection, some of them asked for again meanwhile.

All frames of a series carry the number of its exposure; their own numbers grow. A frame is delivered when it is whole
and correct, once, and never after a newer one: what is shown never goes back.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from isoalign.protocol.images import ImageAssembler, ImageFrame
from isoalign.protocol.layout import Message
from isoalign.protocol.messages import ImageChunk, ImageEnd, ImageResend

OPEN_FRAMES_MAX: Final = 4
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
        Numbers of frames that began to arrive and were not whole before a newer one was, or after ``ATTEMPTS``.
    """

    def __init__(self, exposure_id: int, rows: int, columns: int) -> None:
        self.rejected: Counter[str] = Counter()
        self.given_up: list[int] = []
        self._size = (exposure_id, rows, columns)
        self._open: dict[int, ImageAssembler] = {}
        self._asked: Counter[int] = Counter()
        self._closed = 0

    def take(self, message: Message) -> ImageFrame | None:
        """Take a record; a frame when it is whole and correct now."""
        if not isinstance(message, ImageChunk | ImageEnd):
            self.rejected["not an image record"] += 1
            return None
        number = message.frame_id
        if (message.exposure_id, message.rows, message.columns) != self._size:
            self.rejected["another series or size"] += 1
            return None
        if number <= self._closed:
            self.rejected["late, or again"] += 1
            return None
        one = self._open.get(number)
        if one is None:
            one = self._open[number] = ImageAssembler()
            one.expect(*self._size)
        frame = one.take(message)
        self.rejected.update(one.rejected)
        one.rejected.clear()
        if frame is not None:
            self._close(number, delivered=True)
        while len(self._open) > OPEN_FRAMES_MAX:
            self._close(min(self._open), delivered=False)
        return frame

    def requests(self, *, paused: bool = False) -> list[ImageResend]:
        """What to ask for again now.

        Parameters
        ----------
        paused : bool
            Nothing has come for a while: also what has not ended.
        """
        wanted: list[ImageResend] = []
        newest = max(self._open, default=0)
        for number, one in sorted(self._open.items()):
            if not (one.has_ended or paused or (number < newest and not self._asked[number])):
                continue
            if self._asked[number] >= ATTEMPTS:
                self._close(number, delivered=False)
                continue
            self._asked[number] += 1
            wanted += one.requests()
        return wanted

    def _close(self, number: int, *, delivered: bool) -> None:
        """Deal no more with this frame and all before it."""
        for one in sorted(self._open):
            if one <= number:
                del self._open[one]
                self._asked.pop(one, None)
                if one < number or not delivered:
                    self.given_up.append(one)
        self._closed = max(self._closed, number)
