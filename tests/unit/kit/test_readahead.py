"""What keeps the patience of whoever sends: all that was sent comes out, in its order, once."""

import threading
from collections.abc import Iterator

import pytest

from fixtures.holdfast import await_that
from holdfast.domain.errors import AddonUnavailable
from holdfast.kit import read_ahead
from holdfast.kit.read_ahead import ReadAhead


class Sender:
    """Gives numbered pieces, and then the end or an error."""

    def __init__(self, pieces: int, trouble: Exception | None = None) -> None:
        self.pieces = pieces
        self.trouble = trouble
        self.sent = 0

    def read(self, size: int) -> bytes:
        assert size > 0
        if self.sent < self.pieces:
            self.sent += 1
            return b"%06d" % self.sent
        if self.trouble is not None:
            raise self.trouble
        return b""


def everything(pieces: int) -> bytes:
    return b"".join(b"%06d" % number for number in range(1, pieces + 1))


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_ahead, "PATIENCE_SECONDS", 0.002)


def taken(ahead: ReadAhead, size: int) -> Iterator[bytes]:
    return iter(lambda: ahead.read(size), b"")


@pytest.mark.parametrize("size", [1, 4, 6, 100])
def test_what_was_read_ahead_comes_first(size: int) -> None:
    sender = Sender(50)
    ahead = ReadAhead(sender.read)
    first = ahead.read(6)
    await_that(lambda: sender.sent > 20)
    pieces = [first, *taken(ahead, size)]
    assert b"".join(pieces) == everything(50)
    assert max(map(len, pieces)) <= 6
    assert ahead.read(6) == b""
    ahead.close()


def test_nothing_more_is_read_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_ahead, "_MAX_BUFFERED_BYTES", 30)
    sender = Sender(50)
    ahead = ReadAhead(sender.read)
    await_that(lambda: sender.sent == 5)
    threading.Event().wait(0.05)
    assert sender.sent == 5
    assert b"".join(taken(ahead, 100)) == everything(50)
    ahead.close()


def test_an_error_comes_after_what_came_before_it() -> None:
    ahead = ReadAhead(Sender(3, AddonUnavailable("the server closed it")).read)
    await_that(lambda: ahead._error is not None)
    assert b"".join(ahead.read(6) for _ in range(3)) == everything(3)
    for _ in range(2):
        with pytest.raises(AddonUnavailable, match="closed it"):
            ahead.read(6)
    ahead.close()


def test_who_reads_all_the_time_is_not_read_ahead_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_ahead, "PATIENCE_SECONDS", 3600.0)
    sender = Sender(50)
    ahead = ReadAhead(sender.read)
    for number in range(1, 51):
        assert ahead.read(6) == b"%06d" % number
        assert sender.sent == number
    ahead.close()


def test_in_a_hurry_all_is_read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """But no more than there is room for."""
    monkeypatch.setattr(read_ahead, "PATIENCE_SECONDS", 3600.0)
    monkeypatch.setattr(read_ahead, "_MAX_BUFFERED_BYTES", 120)
    sender, hurry = Sender(50), threading.Event()
    ahead = ReadAhead(sender.read, hurry)
    assert ahead.read(6) == b"000001"
    assert sender.sent == 1
    hurry.set()
    await_that(lambda: sender.sent == 21)
    assert ahead.read(6) == b"000002"
    await_that(lambda: sender.sent == 22)
    hurry.clear()
    assert b"".join(taken(ahead, 100)) == everything(50)[12:]
    ahead.close()
