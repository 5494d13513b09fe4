"""What the engine's error codes mean for whoever offered data or asked a question.

Codes: https://github.com/ClickHouse/ClickHouse/blob/master/src/Common/ErrorCodes.cpp
"""

from __future__ import annotations

import re

from kelp.server.ports import EngineError, RefusedError

# About the data itself: the same data is refused the next time, too. Whatever is not among these
# may pass (too many parts, no memory, no keeper, a table that somebody detached …).
_OF_THE_DATA = frozenset(
    {
        6,  # CANNOT_PARSE_TEXT
        9,  # SIZES_OF_COLUMNS_DOESNT_MATCH
        27,  # CANNOT_PARSE_INPUT_ASSERTION_FAILED
        33,  # CANNOT_READ_ALL_DATA
        38,  # CANNOT_PARSE_DATE
        41,  # CANNOT_PARSE_DATETIME
        43,  # ILLEGAL_TYPE_OF_ARGUMENT
        50,  # UNKNOWN_TYPE
        53,  # TYPE_MISMATCH
        69,  # ARGUMENT_OUT_OF_BOUND
        70,  # CANNOT_CONVERT_TYPE
        72,  # CANNOT_PARSE_NUMBER
        117,  # INCORRECT_DATA
        131,  # TOO_LARGE_STRING_SIZE
        321,  # VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE
        349,  # CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN
        407,  # DECIMAL_OVERFLOW
    }
)

_CODE = re.compile(r"Code:\s*(\d+)")
_NOISE = re.compile(r"\s*\((?:version|for url) [^()]*(?:\([^()]*\)[^()]*)*\)")


def query_failed(text: str, code: int | None = None) -> EngineError:
    """An EngineError of the engine's own message; the code is read from it if none is given."""
    found = _CODE.search(text)
    if code is None:
        code = int(found[1]) if found else 0
    message = text[found.start() :] if found else text
    return EngineError(_NOISE.sub("", message).strip(), code)


def insert_failed(error: EngineError) -> EngineError:
    """The same error, as a RefusedError where offering the data again cannot help."""
    if error.code in _OF_THE_DATA:
        return RefusedError(str(error), error.code)
    return error
