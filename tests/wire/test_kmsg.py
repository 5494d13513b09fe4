"""Records of /dev/kmsg: prefixes, dictionaries, escapes, and anything else without an error."""

from hypothesis import given
from hypothesis import strategies as st

from kelp.wire.kmsg import KmsgRecord, facility_name, parse_record


def test_prefix_text_and_dictionary():
    data = (
        b"30,1234,5140900,-,caller=T42;eth0: link \\x5c up\\x0a\n SUBSYSTEM=net\n DEVICE=+n:\\x41\n"
    )
    dictionary = {"caller": "T42", "SUBSYSTEM": "net", "DEVICE": "+n:A"}
    expected = KmsgRecord(3, 6, 1234, 5140900, "-", b"eth0: link \\ up\n", dictionary)
    assert expected == parse_record(data)


def test_the_oldest_form_and_an_empty_text():
    assert KmsgRecord(0, 4, 0, 0, "c", b"") == parse_record(b"4,0,0,c;\n")


def test_what_is_no_record():
    for data in (b"", b"hello\n", b"4,1,2\n", b"4,1,2,-", b"x,1,2,-;a", b"4,1,%d,-;a" % 2**70):
        assert parse_record(data) is None


def test_facilities():
    names = [facility_name(n) for n in (0, 3, 10, 16, 23, 24)]
    assert names == ["kern", "daemon", "authpriv", "local0", "local7", "24"]


@given(st.binary(max_size=200))
def test_any_bytes_are_taken(data):
    parse_record(data)
    parse_record(b"6,1,2,-;" + data)


@given(st.integers(0, 191), st.integers(0, 2**63), st.integers(0, 2**59), st.binary(max_size=80))
def test_what_the_kernel_writes_comes_back(priority, seq, stamp, text):
    escaped = b"".join(bytes([c]) if 32 <= c < 127 and c != 0x5C else b"\\x%02x" % c for c in text)
    record = parse_record(b"%d,%d,%d,-;%s\n" % (priority, seq, stamp, escaped))
    assert KmsgRecord(priority >> 3, priority & 7, seq, stamp, "-", text) == record
