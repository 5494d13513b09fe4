import pytest

from kelp.cli.terminal import harmless


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"plain\ttext\nnext", b"plain\ttext\nnext"),
        (b"\x1b[1;31mred\x1b[0m", b"\x1b[1;31mred\x1b[0m"),
        (b"\x1b[2Jgone", "␛[2Jgone".encode()),
        (b"\x1b]0;title\x07", "␛]0;title␇".encode()),
        (b"over\rwritten", "over␍written".encode()),
        (b"dos line\r", b"dos line"),
        (b"\x7f\x00", "␡␀".encode()),
        ("\x9b2J".encode(), "\N{REPLACEMENT CHARACTER}2J".encode()),
        ("ça Â é 日本".encode(), "ça Â é 日本".encode()),
        (b"\xff\xfe", b"\xff\xfe"),
    ],
)
def test_only_colours_pass(body, expected):
    assert expected == harmless(body)
