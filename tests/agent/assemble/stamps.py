"""Time stamps as hypothesis makes them: good ones, nearly good ones, and nonsense."""

from __future__ import annotations

from hypothesis import strategies as st

FULL = b"2026-11-20T10:11:12.123456789Z"

_fraction = st.text("0123456789", max_size=11).map(lambda d: b"." + d.encode() if d else b"")
_zone = st.sampled_from(
    [b"Z", b"z", b"", b"+02:00", b"-11:30", b"+00:00", b"+23:59", b"+24:00", b"+10:60", b"+1:00"]
)
_year = st.sampled_from([0, 1677, 1678, 1900, 2000, 2023, 2024, 2100, 2261, 2262])
_date = st.tuples(_year, st.integers(0, 13), st.integers(0, 32))
_time = st.tuples(st.integers(0, 24), st.integers(0, 60), st.integers(0, 61))
_moment = st.one_of(
    st.datetimes().map(lambda d: d.isoformat(timespec="seconds").encode()),
    st.builds(lambda d, t: b"%04d-%02d-%02dT%02d:%02d:%02d" % (*d, *t), _date, _time),
    st.builds(lambda d: b"%04d-%02d-%02dT23:59:59" % d, _date),
)
_whole = st.one_of(
    st.just(FULL),
    st.just(b"2026-11-20T10:11:12.5Z"),
    st.builds(lambda m, f, z: m + f + z, _moment, _fraction, _zone),
)


@st.composite
def _mutated(draw: st.DrawFn) -> bytes:
    """One byte of a good stamp is another, often its neighbour in ASCII, or is missing."""
    text = bytearray(draw(_whole))
    at = draw(st.integers(0, len(text) - 1))
    near = [text[at] - 1, text[at] + 1, 0x2F, 0x3A, 0x20, 0x39, 0x2E]
    byte = draw(st.one_of(st.sampled_from(near), st.integers(0, 255), st.none()))
    if byte is None:
        del text[at]
    else:
        text[at] = byte
    return bytes(text).replace(b"\n", b"")


STAMPS = st.one_of(_whole, _whole, _mutated(), st.binary(max_size=40))
