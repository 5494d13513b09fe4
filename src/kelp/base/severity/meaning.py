"""What a word or a number that stands in the place of a severity means."""

from __future__ import annotations

from collections.abc import Callable

from kelp.base.severity.grammar import KEYS, WEAK
from kelp.model.severity import DEBUG, ERROR, FATAL, INFO, NUMBER_OF_WORD, TRACE, WARN

Lookup = Callable[[bytes], int]

_LETTERS = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_COLON = {b":", b": ", b":\t"}
_BEHIND_ANY = _COLON | {b"\t", b"]", b")", b">"}
_BEHIND_CAPS = _BEHIND_ANY | {b"", b" ", b":?", b",", b"|"}
_BEHIND_WEAK = _COLON | {b":?", b"]", b")", b">"}
_BEHIND_VALUE = {b"", b" ", b"\t", b'"', b'" ', b'"\t'}

_KLOG = {b"I": INFO, b"W": WARN, b"E": ERROR, b"F": FATAL}
_REDIS = {b".": DEBUG, b"-": INFO, b"*": INFO + 1, b"#": WARN}
_STATUS = {b"1": INFO, b"2": INFO, b"3": INFO, b"4": WARN, b"5": ERROR}
# RFC 5424, section 6.2.1: 0 emergency … 7 debug
_SYSLOG = (FATAL, ERROR + 2, ERROR + 1, ERROR, WARN, INFO + 1, INFO, DEBUG)
# Upper bounds (not included). pino and bunyan: 10 trace … 60 fatal; Monolog: 100 debug … 600.
_PINO = ((10, 0), (20, TRACE), (30, DEBUG), (40, INFO), (50, WARN), (60, ERROR), (70, FATAL))
_MONOLOG = {
    100: DEBUG, 200: INFO, 250: INFO + 1, 300: WARN, 400: ERROR, 500: ERROR + 1, 550: ERROR + 2,
    600: FATAL,
}  # fmt: skip


def word(text: bytes) -> int:
    """A severity word in any case; 0 where it is none."""
    return NUMBER_OF_WORD.get(text.decode("latin-1").lower(), 0)


def is_key(text: bytes) -> bool:
    """Whether a text is one of the keys of a severity."""
    return text.decode("latin-1").lower() in KEYS


def word_of(text: bytes) -> bytes:
    """The letters at the start of a text, which are its word."""
    return text[: len(text) - len(text.lstrip(_LETTERS))]


def word_and_delimiter(text: bytes) -> int:
    """A word in the head of a line with up to two bytes behind it; 0 where these do not fit.

    The quick way of `grammar.LEADING`: what it refuses may still match there.
    """
    name = word_of(text)
    behind = text[len(name) :]
    is_weak = name.decode().lower() in WEAK
    if behind[:1] == b":" and behind not in (b":", b": ", b":\t"):
        behind = b":?"
    allowed = _BEHIND_WEAK if is_weak else _BEHIND_CAPS if name.isupper() else _BEHIND_ANY
    good = behind in allowed and (name.isupper() or not is_weak)
    return word(name) if good else 0


def value_and_delimiter(text: bytes) -> int:
    """The value of `level=`, without its opening quote, with up to two bytes behind it."""
    name = word_of(text)
    good = text[len(name) :] in _BEHIND_VALUE and name.decode().lower() not in WEAK
    return word(name) if good else 0


def json_value(text: bytes) -> int:
    """The value of a JSON key: a word, or a number of syslog, pino, bunyan or Monolog."""
    if not text.isdigit():
        return word(text)
    number = int(text)
    if number < len(_SYSLOG):
        return _SYSLOG[number]
    for bound, meaning in _PINO:
        if number < bound:
            return meaning
    return _MONOLOG.get(number, 0)


def otel_value(text: bytes) -> int:
    """The value of a severity number of OpenTelemetry, 1 … 24."""
    return int(text) if text.isdigit() and 0 < int(text) <= 24 else 0


def klog(text: bytes) -> int:
    """klog's first letter."""
    return _KLOG.get(text, 0)


def redis(text: bytes) -> int:
    """Redis' sign before the message."""
    return _REDIS.get(text, 0)


def priority(text: bytes) -> int:
    """Syslog's priority, facility * 8 + severity."""
    return _SYSLOG[int(text) % 8]


def status(text: bytes) -> int:
    """The status of an HTTP answer: 5xx the server's error, 4xx the client's."""
    return _STATUS.get(text[:1], 0) if len(text) == 3 and text.isdigit() else 0
