"""One kernel line out of whatever was put before it.

Between the kernel and a saved file a line gathers prefixes: seconds since boot, a caller id, a
priority, a syslog header, a container runtime's stamp, one inside the other. They are peeled from
the outside in, and what they say of time, machine and caller is kept. A header that names another
program than the kernel ends it: such a line is no kernel line, whatever it quotes.

Formats: printk (`kernel/printk/printk.c`), /dev/kmsg (`Documentation/ABI/testing/dev-kmsg`),
util-linux dmesg, RFC 3164 and RFC 5424, journalctl's output modes, klog, CRI.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from msgspec import Struct

from kelp.base.oom.calendar import Stamp


class KernelLine(Struct):
    """One line of kernel text and what its prefixes said.

    `told`: a prefix says that it is the kernel's (else only its words can). `fragment`: "c" if the
    record is unfinished, "+" if it goes on with the one before (/dev/kmsg until 4.9).
    `bare`: it had no prefix at all.
    """

    text: str
    stamp: Stamp | None = None
    boot_us: int | None = None
    host: str | None = None
    caller: str | None = None
    told: bool = False
    foreign: bool = False
    fragment: str = ""
    bare: bool = False


# Kernel records are at most some kB; what is longer is no kernel line, or its tail is no use.
MAX_LINE_CHARS = 16_384
_BLANKS = " \t"
_MAX_PREFIXES = 8  # nested prefixes that are peeled; four are the most ever seen

_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_KMSG = re.compile(r"(\d{1,4}),(\d{1,20}),(\d{1,18}),([^;,]{1,8})((?:,[^;]{0,128})?);")
_HEX = re.compile(r"\\x([0-9a-fA-F]{2})")
_CALLER_FIELD = re.compile(r"caller=([TC]\d{1,10})")
_PRIORITY = re.compile(r"<(\d{1,4})>")
_DECODED = re.compile(r"([a-z0-9]{2,8}) *:([a-z]{3,6}) *: ")
_BOOT = re.compile(r"\[ {0,8}(\d{1,12})\.(\d{1,6})(?: <[ \d.+]{1,20}>)?\] ?")
_DELTA = re.compile(r"\[(?:<?[ +]{0,9}\d{1,9}\.\d{1,9}>?|[A-Z][a-z]{2} +\d{1,2} +\d\d:\d\d)\] ?")
_CALLER = re.compile(r" ?\[ {0,8}([TC]\d{1,10})\] ?")
_CTIME = re.compile(r"\[([^\[\]]{0,48}\d\d:\d\d:\d\d[^\[\]]{0,24})\]:? ?")
_ISO = re.compile(r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?) ")
_JOURNAL_FULL = re.compile(
    r"[^\W\d_]{2,4}\.? (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{1,6})?"
    r" (?:[A-Z]{1,5}|[+-]\d\d(?:\d\d)?)) "
)
_RFC5424 = re.compile(r"1 (\S{1,40}) (\S{1,255}) (\S{1,48}) \S{1,128} \S{1,32} ")
_STRUCTURED_DATA = re.compile(r"(?:-|(?:\[(?:[^\]\\]|\\.){0,1024}\]){1,16}) ?")
_RFC3164 = re.compile(
    r"((?:[^\W\d_]{2,4}\.?,? )?(?:\d{4} )?[^\W\d_]{3,5}\.? {1,2}\d{1,2} (?:\d{4} )?"
    r"\d\d:\d\d:\d\d(?:\.\d{1,9})?(?: \d{4})?) "
)
# talosctl dmesg: "10.5.0.2: kern:    info: [2026-11-03T10:11:12.123Z]: "
_TALOS = re.compile(r"(?:(\S{1,255}): )?(kern|user|daemon|syslog): {1,8}[a-z]{3,9}: (?=\[\d{4}-)")
_EPOCH = re.compile(r"(\d{9,10})(?:\.(\d{1,6}))? (?=\S{1,255} )")
_CRI = re.compile(r"(?:stdout|stderr) [FP](?::\S{1,64})? ")
_KLOG = re.compile(
    r"[IWEF](\d\d)(\d\d) (\d\d:\d\d:\d\d\.\d{6}) +\d{1,10} [\w./-]{1,100}:\d{1,6}\] "
)
_KERNEL_TAG = re.compile(r"(?:kern\.[a-z]{3,6} )?kernel(?:\[\d{0,10}\]|\[-\])?:(?: |$|(?=\[))")
_HOST = re.compile(r"(?!kernel[:\[])([^\s:\[\]]{1,255}) ")
# A tag of another program: one word and a colon. Kernel lines that begin alike are excepted.
_OTHER_TAG = re.compile(
    r"(?!(?:memory|memory\+swap|kmem|swap|oom_reaper|CPU|Pid|Mem-Info):)"
    r"[^\s:\[\]]{1,64}(?:\[[^\]\s]{0,20}\])?: "
)
_GREP = re.compile(
    r"(?:[\w./+@-]{1,255}:)?(?:\d{1,9}[:-])?(?=<\d|[A-Z][a-z]{2} +\d|\d{4}-\d\d-|\[)"
)


def peel(text: str) -> KernelLine:
    """Take the prefixes off one line of text (without its line end)."""
    text = text[:MAX_LINE_CHARS]
    if "\x1b" in text:
        text = _ANSI.sub("", text)
    line = _peeled(text)
    if line.bare and text[:1] in _BLANKS:
        # A log that was pasted somewhere is indented, with the kernel's prefix behind.
        inside = _peeled(text.lstrip(_BLANKS))
        return inside if inside.told else line
    return line


def _peeled(text: str) -> KernelLine:
    line = KernelLine(text)
    for _ in range(_MAX_PREFIXES):
        before = line.text
        if not any(peeler(line) for peeler in _PEELERS):
            break
        if line.foreign or line.text is before:
            break
    line.bare = line.text == text
    return line


def unescape_kmsg(text: str) -> str:
    r"""Undo /dev/kmsg's `\xNN` for what is not printable ASCII; the bytes are UTF-8 at best."""
    if "\\x" not in text:
        return text
    raw = _HEX.sub(lambda m: chr(int(m[1], 16)), text)
    try:
        return raw.encode("latin-1").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # it held real characters too: not from /dev/kmsg as it stands
        return text


def _kmsg(line: KernelLine) -> bool:
    m = _KMSG.match(line.text)
    if m is None:
        return False
    line.boot_us = int(m[3])
    line.fragment = m[4] if m[4] in ("c", "+") else ""
    caller = _CALLER_FIELD.search(m[5])
    line.caller = caller[1] if caller else line.caller
    line.told = True
    # What user space writes to /dev/kmsg has a facility (the part above the three severity bits).
    line.foreign = int(m[1]) >= 8
    line.text = unescape_kmsg(line.text[m.end() :])
    return True


def _priority(line: KernelLine) -> bool:
    m = _PRIORITY.match(line.text)
    if m is None:
        return False
    line.text = line.text[m.end() :]
    return _rfc5424(line) or True


def _rfc5424(line: KernelLine) -> bool:
    m = _RFC5424.match(line.text)
    if m is None:
        return False
    line.stamp = Stamp("iso", m[1])
    line.host = None if m[2] == "-" else m[2]
    line.foreign = m[3] not in ("kernel", "-")
    line.told = m[3] == "kernel"
    rest = line.text[m.end() :]
    data = _STRUCTURED_DATA.match(rest)
    line.text = (rest[data.end() :] if data else rest).lstrip("\ufeff")
    return True


def _decoded(line: KernelLine) -> bool:
    """`dmesg -x`: "kern  :info  : "."""
    m = _DECODED.match(line.text)
    if m is None:
        return False
    line.foreign = m[1] != "kern"
    line.told = True
    line.text = line.text[m.end() :]
    return True


def _talos(line: KernelLine) -> bool:
    m = _TALOS.match(line.text)
    if m is None:
        return False
    line.host = m[1] or line.host
    line.foreign = m[2] != "kern"
    line.told = True
    line.text = line.text[m.end() :]
    return True


def _boot(line: KernelLine) -> bool:
    m = _BOOT.match(line.text)
    if m is None:
        return False
    line.boot_us = int(m[1]) * 1_000_000 + int(m[2].ljust(6, "0"))
    line.told = True
    _cut_bracket(line, m.end())
    _host_and_tag(line, only_kernel=True)  # journalctl -o short-monotonic
    return True


def _ctime(line: KernelLine) -> bool:
    m = _CTIME.match(line.text)
    if m is None:
        return False
    iso = _ISO.match(m[1] + " ")
    line.stamp = Stamp("iso", m[1]) if iso else Stamp("ctime", m[1])
    line.told = True
    _cut_bracket(line, m.end())
    return True


def _delta(line: KernelLine) -> bool:
    """`dmesg -d` and `-e`: a difference, or a minute, which is no time of the line."""
    m = _DELTA.match(line.text)
    if m is None:
        return False
    line.told = True
    _cut_bracket(line, m.end())
    return True


def _cut_bracket(line: KernelLine, end: int) -> None:
    caller = _CALLER.match(line.text, end - 1 if line.text[end - 1] == " " else end)
    if caller:
        line.caller = caller[1]
    line.text = line.text[caller.end() if caller else end :]


def _iso(line: KernelLine) -> bool:
    m = _ISO.match(line.text) or _JOURNAL_FULL.match(line.text)
    if m is None:
        return False
    line.stamp = line.stamp or Stamp("iso", m[1])
    line.text = line.text[m.end() :]
    cri = _CRI.match(line.text)
    if cri:
        line.text = line.text[cri.end() :]
    else:
        _host_and_tag(line)
    return True


def _rfc3164(line: KernelLine) -> bool:
    m = _RFC3164.match(line.text)
    if m is None:
        return False
    line.stamp = Stamp("syslog", m[1])
    line.text = line.text[m.end() :]
    _host_and_tag(line)
    return True


def _epoch(line: KernelLine) -> bool:
    m = _EPOCH.match(line.text)
    if m is None:
        return False
    line.stamp = Stamp("epoch_us", m[1] + (m[2] or "").ljust(6, "0"))
    line.text = line.text[m.end() :]
    _host_and_tag(line)
    return True


def _klog(line: KernelLine) -> bool:
    m = _KLOG.match(line.text)
    if m is None:
        return False
    if 1 <= int(m[1]) <= 12:
        line.stamp = Stamp("syslog", f"{_ENGLISH[int(m[1]) - 1]} {m[2]} {m[3]}")
    line.text = line.text[m.end() :]
    return True


_ENGLISH = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _tag(line: KernelLine) -> bool:
    m = _KERNEL_TAG.match(line.text)
    if m is None:
        return False
    line.told = True
    line.text = line.text[m.end() :]
    return True


def _grep(line: KernelLine) -> bool:
    """`grep -H -n`: the file's name and the line's number before a prefix that we know."""
    m = _GREP.match(line.text)
    if m is None or not m.end():
        return False
    line.text = line.text[m.end() :]
    return True


def _host_and_tag(line: KernelLine, *, only_kernel: bool = False) -> None:
    """The HOST and TAG of a syslog line, after its time; either may be missing."""
    host = _HOST.match(line.text)
    rest = line.text[host.end() :] if host else line.text
    if _KERNEL_TAG.match(rest) or (host and not only_kernel and rest.startswith("[")):
        line.host = host[1] if host else line.host
        line.text = rest
    elif not only_kernel and _OTHER_TAG.match(rest):
        line.foreign = True


_PEELERS: tuple[Callable[[KernelLine], bool], ...] = (
    _boot,
    _rfc3164,
    _tag,
    _kmsg,
    _iso,
    _priority,
    _ctime,
    _epoch,
    _klog,
    _decoded,
    _delta,
    _talos,
    _grep,
)
