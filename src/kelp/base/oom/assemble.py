"""From kernel lines to kills: lines are given to the reports that they belong to.

The kernel prints one report at a time as a rule, but not always: until 4.x two memory cgroups may
run out at once, lines of several machines may share a file, and a victim's last line (oom_reaper)
comes when another report has begun. So a few reports are kept, a line goes to the youngest that
can take it, and one that names the line's process goes first. Where the kernel printed its caller
id, only lines of the same thread meet.

A report becomes kills when it is pushed out by younger ones, when it has not been spoken of for
a while, or at the end. What the kernel never decided on is no kill: a report whose end was lost is
given (as "unknown") only if it still says whose container it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta

from msgspec.structs import replace

from kelp.base.oom.calendar import Calendar, Stamp
from kelp.base.oom.events import (
    Chosen,
    Cpu,
    Cpuset,
    Event,
    Exiting,
    GlobalMemory,
    Group,
    Killed,
    ReapedLine,
    Row,
    Sharing,
    Stat,
    Summary,
)
from kelp.base.oom.grammar import event_of, goes_on, is_unfinished, stat_of
from kelp.base.oom.kill import Kill
from kelp.base.oom.kills import kills_of
from kelp.base.oom.line import KernelLine
from kelp.base.oom.report import Report
from kelp.base.oom.tasks import is_row

_MAX_REPORTS = 16  # kept at once; the lines of one report rarely meet more than one other
_IDLE_LINES = 2000  # other lines after which a report is thought to have ended
_GROUP_GAP_LINES = 100  # other lines between two victims of one group
_AT_ONCE_LINES = 20  # other CPUs' lines between two that the kernel prints in one go
_MAX_PIECES = 8  # of one sentence that was printed in several records
# Between two lines of one report: a slow serial console needs minutes for a long task table.
_PAUSE_US = 600_000_000
_SAME_MOMENT_US = 5_000_000
_BACK_US = 1_000_000  # stamps are taken before the record's place; CPUs differ by less
_RETRY_US = 1_000_000  # a task that found no victim asks again at once

# These alone do not begin a report: the kernel prints the like on other occasions too.
_NO_BEGINNING = (Cpuset, Cpu, GlobalMemory, Stat, Exiting, Sharing, ReapedLine)


class Assembler:
    """Takes the kernel lines of one log in order, gives its kills in the order of their reports."""

    def __init__(self, calendar: Calendar) -> None:
        self._calendar = calendar
        self._reports: list[Report] = []
        self._held: list[KernelLine] = []
        self._seen = 0
        self._numbers = 0

    @property
    def busy(self) -> bool:
        """Would a line without any word about an OOM still matter?"""
        return bool(self._reports or self._held)

    def feed(self, line: KernelLine) -> list[Kill]:
        """Take one line; the kills of reports that have ended by it."""
        self._seen += 1
        for whole in self._joined(line):
            self._line(whole)
        return self._ended()

    def end(self) -> list[Kill]:
        """The kills of all reports that are still open: the log has ended, or pauses."""
        for whole in self._release():
            self._line(whole)
        reports, self._reports = self._reports, []
        return [kill for r in _with_what_strayed(reports) for kill in kills_of(r, self._calendar)]

    def _joined(self, line: KernelLine) -> Iterable[KernelLine]:
        """Join what the kernel printed in pieces; a piece is held until its rest can be told."""
        if self._held:
            held = self._held[0]
            same = held.host == line.host and held.caller == line.caller
            if same and (line.fragment == "+" or goes_on(held.text, line.text)):
                text = held.text + line.text
                whole = replace(held, text=text, fragment="")
                self._held.append(whole)
                if len(self._held) < _MAX_PIECES and (line.fragment or is_unfinished(text)):
                    self._held[0] = whole
                    return ()
                self._held.clear()
                return (whole,)
        released = self._release()
        if line.fragment == "c" or is_unfinished(line.text):
            self._held.append(line)
            return released
        return (*released, line)

    def _release(self) -> tuple[KernelLine, ...]:
        held, self._held = self._held[:1], []
        return tuple(held)

    def _line(self, line: KernelLine) -> None:
        event = event_of(line.text)
        if event is None or (isinstance(event, Row) and not is_row(event.rest)):
            event = stat_of(line.text) if self._stats_are_open() else None
        if event is None:
            return
        report = self._owner(event, line)
        if report is None:
            if isinstance(event, _NO_BEGINNING) or _could_be_anyones(event, line):
                return
            self._numbers += 1
            report = Report(self._numbers, line)
            self._reports.append(report)
        report.take(event, line)
        report.last_seen = self._seen

    def _stats_are_open(self) -> bool:
        return any(r.open_stats is not None for r in self._reports)

    def _owner(self, event: Event, line: KernelLine) -> Report | None:
        if isinstance(event, ReapedLine):
            known = (r for r in reversed(self._reports) if r.same_source(line, any_caller=True))
            return next((r for r in known if r.accepts(event)), None)
        near_ones = [r for r in reversed(self._reports) if self._near(r, line)]
        if isinstance(event, (Killed, Exiting)) and near_ones:
            youngest = near_ones[0]
            if youngest.group and self._seen - youngest.last_seen <= _GROUP_GAP_LINES:
                return youngest
        open_ones = [r for r in near_ones if r.accepts(event)]
        if isinstance(event, (Killed, Chosen, Summary, Exiting)) and event.pid is not None:
            pid = event.pid
            return self._of_process(pid, open_ones)
        return next(iter(open_ones), None)

    def _of_process(self, pid: int, reports: list[Report]) -> Report | None:
        """The report that names a process, else one that lists it, else one that names none.

        The process killed may be another than the one named: a child until 5.2, and any thread of
        the one named that still holds its memory. Then the line follows at once.
        """
        named = next((r for r in reports if r.names(pid)), None)
        unnamed = [r for r in reports if r.summary is None and r.chosen is None]
        listed = next((r for r in unnamed if r.table.has(pid)), None)
        at_once = (r for r in reports if self._seen - r.last_seen <= _AT_ONCE_LINES)
        return named or listed or next(iter(unnamed), None) or next(at_once, None)

    def _near(self, report: Report, line: KernelLine) -> bool:
        """Can the line be of the report's machine, thread and moment?"""
        if not report.same_source(line):
            return False
        boot = _apart(report.last_boot_us, line.boot_us)
        if boot is not None and boot <= _PAUSE_US:
            return not _goes_back(report, line)
        # A log in which two machines' clocks or two boots meet: seconds apart is the same report.
        wall = self._wall_apart(report.last_stamp, line.stamp)
        if wall is None:
            return boot is None
        return wall <= (_PAUSE_US if boot is None else _SAME_MOMENT_US)

    def _wall_apart(self, then: Stamp | None, now: Stamp | None) -> int | None:
        if then is not None and then == now:
            return 0
        first, second = self._calendar.moment(then, None), self._calendar.moment(now, None)
        if first is None or second is None:
            return None
        return abs(second - first) // timedelta(microseconds=1)

    def _ended(self) -> list[Kill]:
        kills: list[Kill] = []
        while self._reports and (
            len(self._reports) > _MAX_REPORTS
            or self._seen - self._reports[0].last_seen > _IDLE_LINES
        ):
            first, *rest = _with_what_strayed(self._reports[:2])
            self._reports = [*rest, *self._reports[2:]]
            kills += kills_of(first, self._calendar)
        return kills


def _could_be_anyones(event: Event, line: KernelLine) -> bool:
    """Words that other programs use as well, on a line that nothing says to be the kernel's."""
    if line.told:
        return False
    if isinstance(event, Killed):
        return event.memcg is None and event.total_vm_bytes is None
    return isinstance(event, Group) or (isinstance(event, Chosen) and event.process is None)


def _with_what_strayed(reports: list[Report]) -> Iterator[Report]:
    """Give a report what it lacks from undecided ones right after it, which are then left out."""
    left = list(reports)
    while left:
        first = left.pop(0)
        while left and _belongs(first, left[0]):
            first.absorb(left.pop(0))
        yield first


def _belongs(report: Report, after: Report) -> bool:
    if after.decided or not report.decided or not report.same_source(after.telling):
        return False
    return _is_retry(report, after) or _is_table(report, after) or _is_earlier(report, after)


def _is_retry(report: Report, after: Report) -> bool:
    """Having found no victim, the task asks again at once: the same OOM, reported once more."""
    if report.no_victim is None or report.has_beginning or after.summary or after.task_in:
        return False
    apart = _apart(report.last_boot_us, after.first_boot_us)
    return after.trigger is not None and (apart is None or apart <= _RETRY_US)


def _is_table(report: Report, after: Report) -> bool:
    """Rows after the kill: somebody has sorted the lines."""
    if report.table or after.has_beginning or after.summary or after.chosen or after.task_in:
        return False
    return any(after.table.has(victim.event.pid) for victim in report.victims)


def _is_earlier(report: Report, after: Report) -> bool:
    """Time goes backwards: the log has its newest line first."""
    if report.first_boot_us is None or after.first_boot_us is None:
        return False
    return 0 < report.first_boot_us - after.first_boot_us <= _PAUSE_US


def _goes_back(report: Report, line: KernelLine) -> bool:
    return (report.last_boot_us or 0) - (line.boot_us or 0) > _BACK_US


def _apart(then: int | None, now: int | None) -> int | None:
    return None if then is None or now is None else abs(now - then)
