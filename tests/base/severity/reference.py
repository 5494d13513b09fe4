"""What the severity of a body is, found byte by byte and token by token.

Written from docs/reference/severity.md alone: no pattern and no table of positions is shared with
the code under test.
"""

from __future__ import annotations

from collections.abc import Iterator

from kelp.model.severity import NUMBER_OF_WORD

WEAK = {"log", "config", "fine", "finer", "finest", "silly", "verbose"}
STRONG = set(NUMBER_OF_WORD) - WEAK
KEYS = {
    "level", "severity", "lvl", "log.level", "@l", "@level", "levelname", "level_name", "loglevel",
    "log_level", "severity_text", "severitytext",
}  # fmt: skip
NUMBER_KEYS = {"severity_number", "severitynumber"}
SYSLOG = (21, 19, 18, 17, 13, 10, 9, 5)
NAMES = [
    "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun", "Jan", "Feb", "Mar", "Apr", "May", "Jun",
    "Jul", "Aug", "Sep", "Oct", "Nov", "Dec", "UTC", "GMT", "AM", "PM", "PHP",
]  # fmt: skip
DIGITS = set("0123456789")
LOWER = set("abcdefghijklmnopqrstuvwxyz")
LETTERS = LOWER | {c.upper() for c in LOWER}
NAME = LETTERS | DIGITS | set("_.")
Found = tuple[int, str]
NOTHING: Found = (0, "")


def severity(body: bytes) -> Found:
    """(number, text as it stood)."""
    text = body.decode("latin-1")
    if text.lstrip(" \t").startswith("{"):
        found = of_json(text)
        return found if found[0] else of_klog_json(text.lstrip(" \t"))
    if is_klog(text):
        return {"I": 9, "W": 13, "E": 17, "F": 21}[text[0]], text[0]
    if text.startswith("<"):
        digits = text[1 : text.find(">")] if ">" in text[:5] else ""
        if digits and set(digits) <= DIGITS and str(int(digits)) == digits and int(digits) <= 191:
            return SYSLOG[int(digits) % 8], digits
    sign = redis_sign(text)
    if sign:
        return {".": 5, "-": 9, "*": 10, "#": 13}[sign], sign
    if begins_with_key(text):
        return of_logfmt(text)
    status = access_status(text)
    if status is not None:
        return ({"5": 17, "4": 13}.get(status[0], 9), status) if status else NOTHING
    return of_head(text)


def of_klog_json(text: str) -> Found:
    """By `v` or `err`, behind a `ts` that is a number."""
    if not text.startswith('{"ts":'):
        return NOTHING
    end = first = len('{"ts":') + len(text[6:]) - len(text[6:].lstrip("0123456789.e+"))
    if end == 6 or text[end : end + 1] != ",":
        return NOTHING
    while after := next((a for k in ("caller", "logger", "msg") if (a := passed(text, end, k))), 0):
        end = after
    if text.startswith(',"v":', end) and text[end + 5 : end + 6] in DIGITS:
        return 9, ""
    return (17, "") if ',"err":"' in text[first:] else NOTHING


def passed(text: str, at: int, key: str) -> int:
    """Where the comma behind a key and its string is; 0 where they do not stand here."""
    opening = f',"{key}":"'
    if not text.startswith(opening, at):
        return 0
    at += len(opening)
    while at < len(text) and text[at] != '"':
        at += 2 if text[at] == "\\" else 1
    return at + 1 if text[at + 1 : at + 2] == "," else 0


def shaped(text: str, shape: str) -> bool:
    """9 a digit, A a capital, a a small letter, anything else itself."""
    kinds = {"9": DIGITS, "A": LETTERS - LOWER, "a": LOWER}
    return len(text) >= len(shape) and all(
        c in kinds.get(s, {s}) for c, s in zip(text, shape, strict=False)
    )


def is_klog(text: str) -> bool:
    return text[:1] in set("IWEF") and shaped(text[1:], "9999 99:99:99.9")


def redis_sign(text: str) -> str:
    pid, colon, rest = text.partition(":")
    if not colon or not pid or not set(pid) <= DIGITS or rest[:1] not in set("XCSM"):
        return ""
    for shape in (" 99 Aaa 99:99:99.999 ", " 99 Aaa 9999 99:99:99.999 "):
        end = len(shape) + 1
        if shaped(rest[1:], shape) and rest[end : end + 1] in set(".*#-") - {""}:
            return rest[end] if rest[end + 1 : end + 2] == " " else ""
    return ""


# --- access logs


def access_status(text: str) -> str | None:
    """The status of an access log's line; empty where it has none, None where it is no such."""
    if shaped(text, "[9999-99-99T99:99:99.999Z] "):
        return behind_quotes(text[len("[9999-99-99T99:99:99.999Z] ") :]) or ""
    address, _, rest = text.partition(" ")
    if not address or address[0] not in DIGITS | set("abcdefABCDEF"):
        return None
    marks = set(".:") if address[0] in DIGITS else {":"}
    if set("[(") & set(address) or not marks & set(text[:5]):
        return None
    before, bracket, behind = rest.partition("[")
    if not bracket or "(" in before:
        return None
    if any(shaped(behind, f"99/{aaa}/9999:99:99:99 ") for aaa in cases("aaa")):
        zone, found = behind[len("99/aaa/9999:99:99:99 ") :].partition("] ")[::2]
        if len(zone) == 5 and set(zone[1:]) <= DIGITS:
            return behind_quotes(found)
        return None
    return haproxy_status(address, before, behind)


def cases(letters: str) -> Iterator[str]:
    """All ways to write letters small or capital."""
    if not letters:
        yield ""
        return
    for rest in cases(letters[1:]):
        yield letters[0] + rest
        yield letters[0].upper() + rest


def behind_quotes(text: str) -> str | None:
    """Three digits behind a quoted text and a blank, before a blank or the end."""
    if not text.startswith('"'):
        return None
    at = 1
    while at < len(text) and text[at] != '"':
        at += 2 if text[at] == "\\" else 1
    word = text[at + 1 :][:5]
    good = word[:1] == " " and word[4:] in ("", " ") and is_status(word[1:4])
    return word[1:4] if good else None


def is_status(word: str) -> bool:
    return len(word) == 3 and set(word) <= DIGITS and "1" <= word[0] <= "5"


def haproxy_status(address: str, before: str, behind: str) -> str | None:
    """`10.0.0.1:4711 [time] frontend backend/server 0/0/1/2/3 200 …`"""
    words = behind.split(" ")
    port = address.rpartition(":")[2]
    if before or address[0] not in DIGITS or not port or not set(port) <= DIGITS or len(words) < 6:
        return None
    time, frontend, server, timers, status = words[:5]
    stamp = any(shaped(time, f"99/{aaa}/9999:") for aaa in cases("aaa")) and time.endswith("]")
    tail = time[len("99/aaa/9999:") : -1]
    good = stamp and tail and set(tail) <= DIGITS | set(":.") and frontend and timers
    of_timers = timers.split("/")
    good = (
        good and len(of_timers) == 5 and all(t and set(t) <= DIGITS | set("+-") for t in of_timers)
    )
    backend, slash, name = server.partition("/")
    return status if good and backend and slash and name and is_status(status) else None


# --- JSON


def of_json(text: str) -> Found:
    """`level` of the outermost object, or else the first other known key with a known value."""
    candidates = list(outermost_keys(text))
    for wanted in ([c for c in candidates if c[0] == "level"], candidates):
        for key, behind in wanted:
            found = json_value(key.lower(), text, behind)
            if found != NOTHING:
                return found
    return NOTHING


def outermost_keys(text: str) -> Iterator[tuple[str, int]]:
    """(string at depth one, place behind its closing quote)."""
    at, depth = 0, 0
    while at < len(text):
        char = text[at]
        if char == "\\":
            at += 2
        elif char == '"':
            end = end_of_string(text, at)
            if end is None:
                return
            if depth == 1:
                yield text[at + 1 : end], end + 1
            at = end + 1
        else:
            depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(char, 0)
            at += 1


def end_of_string(text: str, at: int) -> int | None:
    at += 1
    while at < len(text):
        if text[at] == "\\":
            at += 2
        elif text[at] == '"':
            return at
        else:
            at += 1
    return None


def blanks(text: str, at: int) -> int:
    """Behind up to eight blanks."""
    end = at
    while end < len(text) and end - at < 8 and text[end] in " \t\r\n":
        end += 1
    return end


def json_value(key: str, text: str, at: int) -> Found:
    at = blanks(text, at)
    if key not in KEYS | NUMBER_KEYS or text[at : at + 1] != ":":
        return NOTHING
    at = blanks(text, at + 1)
    if text[at : at + 1] == '"':
        end = text.find('"', at + 1)
        value = text[at + 1 : end] if end > 0 else ""
    else:
        end = at
        while end < len(text) and text[end] in DIGITS:
            end += 1
        value = text[at:end] if end - at <= 4 else ""
        if end < len(text) and text[end] not in " \t\r\n,}\0":
            value = ""
    number = number_of(value, key in NUMBER_KEYS)
    return (number, value) if number else NOTHING


def number_of(value: str, otel: bool) -> int:
    if not value or not set(value) <= DIGITS:
        return 0 if otel else NUMBER_OF_WORD.get(value.lower(), 0)
    if len(value) > 16:
        return 0
    number = int(value)
    if otel:
        return number if 1 <= number <= 24 else 0
    if number < 8:
        return SYSLOG[number]
    if 10 <= number < 70:
        return (1, 5, 9, 13, 17, 21)[number // 10 - 1]
    monolog = {100: 5, 200: 9, 250: 10, 300: 13, 400: 17, 500: 18, 550: 19, 600: 21}
    return monolog.get(number, 0)


# --- text


def separators(text: str, at: int) -> int:
    """Behind all blanks and colours."""
    while at < len(text):
        if text[at] in " \t":
            at += 1
            continue
        end = at + 2
        while text[at : at + 2] == "\x1b[" and end < len(text) and text[end] in DIGITS | {";"}:
            end += 1
        if text[at : at + 2] != "\x1b[" or text[end : end + 1] != "m":
            break
        at = end + 1
    return at


def separated(text: str, at: int) -> bool:
    return separators(text, at) > at


def ends_token(text: str, at: int) -> bool:
    return at == len(text) or separated(text, at)


def letters(text: str, at: int) -> str:
    end = at
    while end < len(text) and text[end] in LETTERS:
        end += 1
    return text[at:end]


def begins_with_key(text: str) -> bool:
    at = separators(text, 0)
    if text[at : at + 1] not in LETTERS | {"_", "@"} or at >= len(text):
        return False
    while at < len(text) and text[at] in NAME | set("@/-"):
        at += 1
    return text[at : at + 1] == "="


def key_value(text: str, at: int, only_level: bool = False) -> Found:
    """`level=info`, `level="info"` as a whole token."""
    key, equals, _ = text[at:].partition("=")
    if not equals or (key != "level" if only_level else key.lower() not in KEYS):
        return NOTHING
    at += len(key) + 1
    at += text[at : at + 1] == '"'
    word = letters(text, at)
    at += len(word)
    at += text[at : at + 1] == '"'
    if word.lower() not in STRONG or not ends_token(text, at):
        return NOTHING
    return NUMBER_OF_WORD[word.lower()], word


def of_logfmt(text: str) -> Found:
    fields = list(field_places(text))
    for only_level in (True, False):
        for at in fields:
            found = key_value(text, at, only_level)
            if found != NOTHING:
                return found
    return NOTHING


def field_places(text: str) -> Iterator[int]:
    """Where fields begin, up to the first thing that is none."""
    at = separators(text, 0)
    while at < len(text):
        yield at
        end = at
        while end < len(text) and text[end] not in ' \t\x1b="':
            end += 1
        if end == at:
            return
        if text[end : end + 1] == "=":
            end += 1
            if text[end : end + 1] == '"':
                closing = end_of_string(text, end)
                if closing is None:
                    return
                end = closing + 1
            else:
                while end < len(text) and text[end] not in " \t\x1b":
                    end += 1
        if not separated(text, end):
            return
        at = separators(text, end)


def of_head(text: str) -> Found:
    at = separators(text, 0)
    while at < len(text):
        found = leading_word(text, at)
        if found != NOTHING:
            return found
        end = skipped(text, at)
        if end is None:
            return NOTHING
        at = end
    return NOTHING


def leading_word(text: str, at: int) -> Found:
    if text[at] in "[<(":
        inner = at + 1
        while text[inner : inner + 1] == " ":
            inner += 1
        end = inner
        while end < len(text) and text[end] in LOWER | DIGITS | {"_"}:
            end += 1
        if end > inner and text[end : end + 1] == ":":
            found = word_with_end(text, end + 1)
            if found != NOTHING:
                return found
        return word_with_end(text, inner)
    return word_with_end(text, at)


def word_with_end(text: str, at: int) -> Found:
    word = letters(text, at)
    small, end = word.lower(), at + len(word)
    after = text[end : end + 1]
    padded = end
    while text[padded : padded + 1] == " ":
        padded += 1
    closed = text[padded : padded + 1] in {"]", ")", ">"}
    delimited = after == "\t" or closed or (after == ":" and ends_token(text, end + 1))
    if small in STRONG:
        in_capitals = word.isupper() and (ends_token(text, end) or after in set(":,|])>"))
        if in_capitals or delimited:
            return NUMBER_OF_WORD[small], word
    if small in WEAK and word.isupper() and (closed or text[padded : padded + 1] == ":"):
        return NUMBER_OF_WORD[small], word
    return key_value(text, at)


def skipped(text: str, at: int) -> int | None:
    """Where the next token begins; None where this one does not stand before a severity."""
    char = text[at]
    if char in "[(":
        end = text.find({"[": "]", "(": ")"}[char], at)
        return None if end < 0 else separators(text, end + 1)
    named = logger_name(text, at)
    if named is not None:
        return named
    for end in (
        run(text, at, DIGITS, NAME | set(":,/+-")),
        run(text, at, set("-|:*#>"), set("-|:*#>")),
        calendar_name(text, at),
        user_at_database(text, at),
        at + 2 if char in "DIWEFA" and text[at + 1 : at + 2] == "," else None,
    ):
        if end is not None and separated(text, end):
            return separators(text, end)
    return None


def run(text: str, at: int, first: set[str], rest: set[str]) -> int | None:
    if text[at] not in first:
        return None
    while at < len(text) and text[at] in rest:
        at += 1
    return at


def calendar_name(text: str, at: int) -> int | None:
    for name in NAMES:
        if text.startswith(name, at):
            end = at + len(name)
            return end + (text[end : end + 1] == ",")
    return None


def user_at_database(text: str, at: int) -> int | None:
    part = NAME | {"-"}
    middle = run(text, at, part, part)
    if middle is None or text[middle : middle + 1] != "@" or middle + 1 >= len(text):
        return None
    return run(text, middle + 1, part, part)


def logger_name(text: str, at: int) -> int | None:
    """`- a.logger - `, with a small letter in the name behind its first byte."""
    if not text.startswith("- ", at) or text[at + 2 : at + 3] not in LETTERS | {"_"}:
        return None
    end = run(text, at + 2, NAME, NAME) if at + 2 < len(text) else None
    if end is None or not any(c in LOWER for c in text[at + 3 : end]):
        return None
    return separators(text, end + 3) if text.startswith(" - ", end) else None
