from kelp.server.ports import Scope
from kelp.server.result import Entry
from kelp.server.serve.ranges import Range
from kelp.server.serve.reading import Question, Reading


class ManyRecords:
    """Queries whose answer is larger than one piece, read as the engine gives it."""

    def __init__(self, count: int) -> None:
        self._count = count

    def records(self, query, scope, **asked):
        for i in range(self._count):
            yield {"pod": "web-0"}, Entry(i, i, b"x" * 1000)

    def losses(self, query, scope, **asked):
        return []


def test_an_answer_goes_on_after_its_first_piece():
    question = Question("{}", Scope(), Range(0, 10**9), None, None, backward=False, losses=True)
    reading = Reading(ManyRecords(5000), question, "id")
    pieces = list(iter(reading.piece, b""))
    assert len(pieces) > 3
    assert sum(piece.count(b"\n") for piece in pieces) == 5000
    assert reading.count == 5000
