r"""Secrets are taken out of text that leaves a node: arguments of processes, logs, settings.

Two ways, used together. By their names: what stands behind `--password`, `token=`, `"apiKey":`,
`Authorization:` or before the @ of a URL. And by their look: PEM blocks, JWTs, keys of well-known
services, e-mail addresses, and long words of mixed letters and digits. What is not sure goes too;
only what a support case cannot do without is spared: digests (`sha256:…`), ids of containers
(those given as `spared`, and what kubelet, runtimes and kernel call one), paths, numbers, names.

Patterns are RE2's and run over bytes, so that the time is linear in the size whatever a process
writes into its arguments. Left out: secrets in words that nothing tells apart from plain text
(`mytool hunter2`); they are nobody's to find.
"""

from __future__ import annotations

import re  # for the type of a match alone; patterns are RE2's
from collections.abc import Iterable, Sequence, Set
from itertools import pairwise
from typing import Any, TypeAlias

import re2

REDACTED = "[redacted]"
_R = REDACTED.encode()

Match: TypeAlias = "re.Match[bytes]"

# Shorter ones would take ordinary words out of the text wherever they stand.
_MIN_KNOWN_BYTES = 8
# Nothing that is shorter, and letters and digits alone, is seen as a secret by its look.
_MIN_ALONE = 8

_SECRET = (
    r"passw(?:or)?d|passphrase|passcode|pwd|secret|token|api[-_.]?key|access[-_.]?key|"
    r"private[-_.]?key|signing[-_.]?key|encryption[-_.]?key|account[-_.]?key|auth[-_.]?key|"
    r"master[-_.]?key|shared[-_.]?key|license[-_.]?key|credential|authorization|cookie|"
    r"session[-_.]?(?:id|key)|connection[-_.]?string|dsn|signature"
)
_SHORT_SECRET = r"pass|auth|cred|creds|pw|otp|sas|sig|salt|psk"
_NAME = rf"[\w.-]*(?:{_SECRET})[\w.-]*|(?:[\w.-]*[-_.])?(?:{_SHORT_SECRET})"
_SECRET_NAME = re2.compile(f"(?i)(?:{_SECRET})|(?:^|[-_.])(?:{_SHORT_SECRET})$".encode())
# Names that hold a secret's word and no secret: where it lies, how long it lasts, how it is called.
_HARMLESS = re2.compile(
    rb"(?i)(?:(?:file|path|dir|folder|name|ttl|type|namespace|mount|rotation|timeout|expiration|"
    rb"expiry|audience|issuer|enabled|url|uri|endpoint|lookup|count|size|mode|method|version|"
    rb"projection|provider|plugin|webhook|config|cleaner|clean-?up|period|interval|sync|tracking|"
    rb"review|request|\.(?:go|py|rs|java|c|cc|js))s?$)|(?:^(?:old)?pwd$)|"
    rb"(?:(?:burst|max|min|num|total|available)[-_]?tokens?$)|credential-id$"
)
_HARMLESS_VALUE = re2.compile(rb"(?i)(?:true|false|null|nil|none|yes|no|on|off|<nil>)$")

_QUOTED = r'"(?:[^"\\]|\\.)*"?|' + r"'[^']*'?"
_USERINFO = re2.compile(rb"([A-Za-z][A-Za-z0-9+.-]*://)(?:[^/?#\s\"']*|[^/?#\s\"'@:]*:[^\s\"']*)@")
_HEADER = re2.compile(
    rb"(?i)\b((?:proxy-)?authorization[\"']?[ \t]*[:=][ \t]*[\"']?)"
    rb"(?:(?:bearer|basic|digest|token|negotiate|aws4-hmac-sha256)[ \t]+)?[^\s\"']+"
)
_BEARER = re2.compile(rb"(?i)\b(bearer[ \t]+)[A-Za-z0-9._~+/=-]{6,}")
_NAMED = re2.compile(
    (
        rf"(?i)(^|[^\w.-])({_NAME})"
        r"""(\\?["']?[ \t]*(?:[:=]|=>)[ \t]*\[?)"""
        rf"""({_QUOTED}|\\"[^"\\]*(?:\\")?|[^\s,;&"']+)"""
    ).encode()
)
_FLAG = re2.compile(
    rf"(?i)(^|[^\w-])(--?(?:{_NAME}))([ \t]+)({_QUOTED}|[^\s\"'-][^\s\"']*)".encode()
)
# Arguments as a list, and environments as Kubernetes and the runtimes write them into their logs.
_LISTED = re2.compile(
    rf"(?i)([\"'\s]--?(?:{_NAME})\\?[\"'],\s*\\?[\"'])(?:[^\"'\\]|\\[^\"'])+".encode()
)
_VARIABLE = re2.compile(
    (
        rf"(?i)((?:\\?\"(?:name|key)\\?\"\s*:\s*\\?\"|\b(?:Name|Key):)(?:{_NAME})"
        r"(?:\\?\"\s*,\s*\\?\"value\\?\"\s*:\s*\\?\"|,\s*Value:))"
        r"(?:[^\"\\,}]|\\[^\"])+"
    ).encode()
)
# -pSECRET and -p SECRET of programs that are known for it, and -u NAME:SECRET of any.
_P_FLAG = re2.compile(
    rb"\b((?:mysql|mariadb|mongo|sshpass)[\w.-]*(?:[ \t]+[^\s|;&]+)*?[ \t]+-p[ \t]?)[^\s\"']+"
)
_U_FLAG = re2.compile(rb"((?:^|\s)(?:-u|--user|-U)[ =]?)[^\s:\"'=]+:[^\s\"']+")
_KNOWN_FORMS = re2.compile(
    rb"\beyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]*)?"  # JWT
    rb"|\b(?:AKIA|ASIA|AGPA|AIDA|AROA|ANPA|ANVA|AIPA|ABIA|ACCA)[A-Z0-9]{12,}\b"  # AWS
    rb"|\bgh[pousr]_[A-Za-z0-9]{16,}|\bgithub_pat_\w{16,}|\bglpat-[\w-]{16,}"
    rb"|\bxox[a-z]-[\w-]{8,}|hooks\.slack\.com/services/[\w/]+"
    rb"|\bsk[-_](?:(?:live|test|ant|proj|or)[-_])?[\w-]{16,}"
    rb"|\bAIza[\w-]{30,}|\bya29\.[\w.-]{16,}|\bnpm_[A-Za-z0-9]{20,}|\bpypi-[\w-]{16,}"
    rb"|\bhvs\.[\w-]{16,}|\bSG\.[\w-]{16,}\.[\w-]{16,}|\bdop_v1_[0-9a-f]{32,}"
)
# Of kubeadm. Names of events are written likewise, behind their point with hexadecimal digits only.
_BOOTSTRAP = re2.compile(rb"(^|[^\w.-])[a-z0-9]{6}\.([a-z0-9]{16})\b")
# Where kubelet, runtimes and the kernel name a container or a sandbox by its id.
_NAMED_ID = re2.compile(
    rb"(?i)(?:container|sandbox)(?:_?id|status)?(?: id| to stop)?(?: for)?"
    rb"[\\\"=: ]{1,4}([0-9a-f]{64})\b"
    rb"|(?:cpuset=|k8s\.io/|moby/|disconnected\" id=|\"(?:data|id)\":\")([0-9a-f]{64})\b"
)
_EMAIL = re2.compile(rb"[A-Za-z0-9._%+-]+@(?:[A-Za-z0-9-]+\.)+([A-Za-z]{2,})\b")
# systemd's instances look like e-mail addresses: user@1000.service
_UNITS = (b"service", b"scope", b"slice", b"socket", b"timer", b"mount", b"target", b"device",
          b"path", b"swap", b"automount")  # fmt: skip
_LONG = re2.compile(rb"((?:sha256|sha512|containerd|docker|cri-o):)?([A-Za-z0-9+/_-]{32,}={0,2})")
_RUN = re2.compile(
    rb"((?:containerd[-/]|docker[-/]|crio-|libpod-|pod[0-9a-f_-]{36}/)?)([A-Za-z0-9]{32,})"
)
_ID = re2.compile(rb"[/]*(?:[0-9a-f]{64}|[0-9a-f]{128})$")

_PEM_BEGIN, _PEM_END, _DASHES = b"-----BEGIN ", b"-----END ", b"-----"
_PEM_LINES = re2.compile(rb"(?:[A-Za-z0-9+/=,: \t\r\n-]|\\[nr])*")
_MAX_PEM_BYTES = 32 << 10

# How often letters of one kind (a-z, A-Z, 0-9, others) are followed by one of another: about 0.6 in
# random base64, 0.4 in random base36, 0.2 to 0.3 in names that somebody wrote.
_MIXED_CHANGES, _SINGLE_CASE_CHANGES = 0.4, 0.3
# In base64 every 64th letter is a path's separator: a part that long is there nearly always.
_MIN_DRAWN_RUN = 14
_KINDS = bytes(
    1 if 97 <= c <= 122 else 2 if 65 <= c <= 90 else 3 if 48 <= c <= 57 else 4 for c in range(256)
)
_DIGITS, _HEX = b"0123456789", b"0123456789abcdefABCDEF"


class Redactor:
    """Takes secrets out of text. `known` secrets go wherever they stand; `spared` words stay."""

    def __init__(self, known: Iterable[str | bytes] = (), spared: Iterable[str] = ()) -> None:
        """A known secret of fewer than 8 bytes is left to the patterns."""
        raw = (k.encode() if isinstance(k, str) else k for k in known)
        secrets = {k.strip() for k in raw if len(k.strip()) >= _MIN_KNOWN_BYTES}
        self._known = sorted(secrets, key=len, reverse=True)
        self._spared = frozenset(s.encode() for s in spared)
        self._seen: dict[str, str] = {}

    def data(self, data: bytes) -> bytes:
        """The same bytes with `[redacted]` in the place of each secret."""
        for secret in self._known:
            data = data.replace(secret, _R)
        data = _without_pem(data)
        data = _USERINFO.sub(rb"\1" + _R + b"@", data)
        data = _HEADER.sub(rb"\1" + _R, data)
        data = _BEARER.sub(rb"\1" + _R, data)
        data = _NAMED.sub(_named, data)
        data = _FLAG.sub(_flag, data)
        data = _LISTED.sub(rb"\1" + _R, data)
        data = _VARIABLE.sub(rb"\1" + _R, data)
        data = _P_FLAG.sub(rb"\1" + _R, data)
        data = _U_FLAG.sub(rb"\1" + _R, data)
        data = _KNOWN_FORMS.sub(_R, data)
        data = _BOOTSTRAP.sub(_bootstrap, data)
        data = _EMAIL.sub(_email, data)
        spared = self._spared | {a or b for a, b in _NAMED_ID.findall(data)}
        out: bytes = _LONG.sub(lambda match: _long(match, spared), data)
        return out

    def text(self, text: str) -> str:
        """As `data`, of text."""
        return self.data(_bytes(text)).decode("utf-8", "surrogateescape")

    def value(self, value: Any) -> Any:
        """As `data`, of each text in what JSON can hold; keys stay, and say what a text is."""
        if isinstance(value, dict):
            return {k: self._field(k, v) for k, v in value.items()}
        if isinstance(value, list):
            return [self.value(v) for v in value]
        return self._short(value) if isinstance(value, str) else value

    def arguments(self, words: Sequence[str]) -> list[str]:
        """The arguments of a process, where each ends is known: a secret may hold blanks."""
        shown: list[str] = []
        secret_is_next = False
        for number, word in enumerate(words):
            if secret_is_next and not word.startswith("--"):
                shown.append(REDACTED)
                secret_is_next = False
                continue
            secret_is_next = number > 0 and _announces(word)
            shown.append(_assigned(word) or _short_flag(self._short(word), words[:number]))
        return shown

    def _field(self, name: str, value: Any) -> Any:
        if isinstance(value, str) and value and _is_secret(name.encode()):
            return REDACTED
        return self.value(value)

    def _short(self, text: str) -> str:
        """Most texts of a report are few and come again: names of pods, users, states, flags."""
        if len(text) < _MIN_ALONE and text.isalnum():
            return text
        found = self._seen.get(text)
        if found is None:
            found = self.text(text)
            if len(self._seen) < 65_536:
                self._seen[text] = found
        return found


def _long(match: Match, spared: Set[bytes]) -> bytes:
    """A long word, with what looks drawn in it taken out."""
    prefix, word = match[1] or b"", match[2]
    if word in spared or (prefix and _ID.match(word)):
        return match[0]
    if _is_random(word):
        return prefix + _R
    out: bytes = prefix + _RUN.sub(lambda run: _run(run, spared), word)
    return out


def _run(match: Match, spared: Set[bytes]) -> bytes:
    """A run of letters and digits within a longer word, as a path has them."""
    prefix, word = match[1], match[2]
    if word in spared or (prefix and _ID.match(word)) or not _is_random_run(word):
        return match[0]
    return prefix + _R


def _without_pem(data: bytes) -> bytes:
    """Blocks from BEGIN to END; one without an end goes as far as it looks like one."""
    pieces, done = [], 0
    end = -1
    while (begin := data.find(_PEM_BEGIN, done)) >= 0:
        pieces += [data[done:begin], _R]
        if end < begin:
            end = data.find(_PEM_END, begin)
            end = len(data) + _MAX_PEM_BYTES if end < 0 else end
        if end - begin <= _MAX_PEM_BYTES:
            dashes = data.find(_DASHES, end + len(_PEM_END), end + 100)
            done = (dashes if dashes >= 0 else end) + len(_DASHES)
        else:
            done = _PEM_LINES.match(data, begin, begin + _MAX_PEM_BYTES).end()
    return b"".join([*pieces, data[done:]])


def _named(match: Match) -> bytes:
    value = match[4].strip(b"\"'\\")
    if not value or not _is_secret(match[2]) or _HARMLESS_VALUE.match(value):
        return match[0]
    if value == _R or (match[3].endswith(_R[:1]) and value == _R[1:]):
        return match[0]
    quote = next((q for q in (b'\\"', b'"', b"'") if match[4].startswith(q)), b"")
    return match[1] + match[2] + match[3] + quote + _R + quote


def _flag(match: Match) -> bytes:
    if not _is_secret(match[2].lstrip(b"-")) or _HARMLESS_VALUE.match(match[4]):
        return match[0]
    return match[1] + match[2] + match[3] + _R


def _is_secret(name: bytes) -> bool:
    return bool(_SECRET_NAME.search(name)) and not _HARMLESS.search(name)


def _assigned(word: str) -> str:
    """NAME=[redacted] where the whole argument is that; else empty."""
    name, equals, value = word.partition("=")
    plain = name.strip("-").replace("-", "").replace("_", "").replace(".", "").isalnum()
    if not (equals and value and plain and _is_secret(name.strip("-").encode())):
        return ""
    return "" if _HARMLESS_VALUE.match(_bytes(value)) else f"{name}={REDACTED}"


def _bootstrap(match: Match) -> bytes:
    return match[0] if not match[2].translate(None, _HEX) else match[1] + _R


def _email(match: Match) -> bytes:
    return match[0] if match[1].lower() in _UNITS else _R


def _announces(word: str) -> bool:
    """Whether a flag has its secret in the next argument."""
    return word.startswith("-") and "=" not in word and _is_secret(_bytes(word.lstrip("-")))


# Flags of one letter that take a secret, beside -p.
_SECRET_LETTERS = {
    "curl": "u", "redis-cli": "a", "ldapsearch": "w", "ldapmodify": "w", "ldapadd": "w",
    "smbclient": "U",
}  # fmt: skip
_P_IS_SECRET = ("mysql", "mariadb", "mongo", "sshpass")  # the beginnings of programs' names
# What follows -p elsewhere, more often than a password does: ports and paths.
_PORTS_OR_PATH = re2.compile(rb"[\d.:/-]+(?:/(?:tcp|udp|sctp))?$|[/.].*|$")


def _short_flag(word: str, before: Sequence[str]) -> str:
    """-pSECRET, and the word behind -p; for some programs other letters too."""
    if not before:
        return word
    program = before[0].rpartition("/")[2]
    letters = "p" + _SECRET_LETTERS.get(program, "")
    last = before[-1]
    if len(last) == 2 and last[0] == "-" and last[1] in letters and not word.startswith("-"):
        return _unless_harmless(word, "", last[1], program)
    if len(word) > 2 and word[0] == "-" and word[1] in letters:
        certain = word[1] != "p" or program.startswith(_P_IS_SECRET)
        # Options of several letters begin with one dash too (-path, -port): those stay.
        if certain or not word[2:].replace("-", "").isalpha():
            return _unless_harmless(word[2:], word[:2], word[1], program)
    return word


def _unless_harmless(value: str, flag: str, letter: str, program: str) -> str:
    certain = letter != "p" or program.startswith(_P_IS_SECRET)
    harmless = not certain and _PORTS_OR_PATH.match(_bytes(value))
    return flag + (value if harmless else REDACTED)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _is_random(word: bytes) -> bool:
    """Whether a long word of base64's letters looks drawn rather than written.

    Of what may be a path, by its longest part: paths have many of them, and short ones.
    """
    run = max(word.split(b"/"), key=len)
    kinds = run.translate(_KINDS)
    mixed = 1 in kinds and 2 in kinds and 3 in kinds
    return mixed and len(run) >= _MIN_DRAWN_RUN and _changes(kinds) >= _MIXED_CHANGES


def _is_random_run(word: bytes) -> bool:
    """Whether a run of letters and digits is a number in hexadecimal, base36 or the like."""
    digits = len(word) - len(word.translate(None, _DIGITS))
    if digits < 4 or len(word) - digits < 4:
        return False
    kinds = word.translate(_KINDS)
    mixed = 1 in kinds and 2 in kinds
    is_hex = not mixed and not word.translate(None, _HEX)
    return is_hex or _changes(kinds) >= (_MIXED_CHANGES if mixed else _SINGLE_CASE_CHANGES)


def _changes(kinds: bytes) -> float:
    """The part of the letters that another kind follows."""
    return sum(a != b for a, b in pairwise(kinds)) / (len(kinds) - 1)
