"""From a finished report to its kills: what was said once is given to each victim."""

from __future__ import annotations

from kelp.base.cgroup import Place, container_of_name, locate, unit_of
from kelp.base.oom.calendar import Calendar
from kelp.base.oom.events import Exiting, Killed, Sharing
from kelp.base.oom.kill import Kill, Outcome, TaskRow
from kelp.base.oom.line import KernelLine
from kelp.base.oom.report import Report, Victim
from kelp.base.oom.tasks import number

_MEMCG = "CONSTRAINT_MEMCG"


def kills_of(report: Report, calendar: Calendar) -> list[Kill]:
    """The kills that a report tells of; none where the kernel decided on none that can be known."""
    rows = report.table.rows()
    if report.victims:
        kills = [_killed(report, victim, rows, calendar) for victim in _counted(report)]
    else:
        kill = _undecided(report, rows, calendar)
        kills = [kill] if kill else []
    if kills:
        kills[0].task_table = rows
        kills[0].cgroup_stats = report.stats
    return kills


def _counted(report: Report) -> list[Victim]:
    """Without those members of a group that were already on their way out."""
    killed = [v for v in report.victims if not isinstance(v.event, Exiting)]
    return killed or report.victims[:1]


def _killed(report: Report, victim: Victim, rows: list[TaskRow], calendar: Calendar) -> Kill:
    event = victim.event
    kill = _common(report, victim.line, calendar)
    kill.outcome = "exiting" if isinstance(event, Exiting) else "killed"
    kill.pid, kill.process = event.pid, event.process
    kill.reaped = victim.reaped
    if isinstance(event, Killed):
        kill.uid = event.uid
        kill.oom_score_adj = event.oom_score_adj
        kill.total_vm_bytes = event.total_vm_bytes
        kill.anon_rss_bytes = event.anon_rss_bytes
        kill.file_rss_bytes = event.file_rss_bytes
        kill.shmem_rss_bytes = event.shmem_rss_bytes
        kill.pgtables_bytes = event.pgtables_bytes
    first = victim is report.victims[0]
    if isinstance(event, Sharing):
        kill.shares_memory_with = report.victims[0].event.pid if not first else None
    _place(kill, report, is_chosen=first)
    _from_summary(kill, report)
    _from_table(kill, rows)
    kill.complete = report.has_beginning and not isinstance(event, Sharing)
    return kill


def _undecided(report: Report, rows: list[TaskRow], calendar: Calendar) -> Kill | None:
    """No line says "Killed": the kernel's choice may be known all the same, or that it had none."""
    kill = _common(report, report.telling, calendar)
    summary, chosen = report.summary, report.chosen
    if chosen is not None:
        kill.pid, kill.process = chosen.pid, chosen.process
    elif summary is not None:
        kill.pid, kill.process = summary.pid, summary.process
    _place(kill, report, is_chosen=True)
    _from_summary(kill, report)
    _from_table(kill, rows)
    outcome = _outcome(report, kill)
    if outcome is None:
        return None
    kill.outcome = outcome
    kill.complete = report.no_victim is not None and report.has_beginning
    return kill


def _outcome(report: Report, kill: Kill) -> Outcome | None:
    if report.no_victim is not None:
        return "panic" if report.no_victim.panic else "no_victim"
    if kill.pid is not None or report.task_in is not None or kill.task_cgroup is not None:
        return "killed"
    return "unknown" if kill.oom_cgroup or kill.container_id else None


def _common(report: Report, line: KernelLine, calendar: Calendar) -> Kill:
    summary = report.summary
    kill = Kill(
        time=calendar.wall(line.stamp, line.boot_us),
        boot_s=None if line.boot_us is None else line.boot_us / 1_000_000,
        node=report.host,
        oom_group=report.group is not None,
        group_cgroup=report.group.cgroup if report.group else None,
        trigger=report.trigger,
        memory=report.usages.get("memory"),
        memory_swap=report.usages.get("memory+swap"),
        kmem=report.usages.get("kmem"),
        swap=report.usages.get("swap"),
        nodemask=(summary and summary.nodemask) or report.nodemask,
        mems_allowed=(summary and summary.mems_allowed) or report.mems_allowed,
        cpuset=(summary and summary.cpuset) or (report.trigger and report.trigger.cpuset) or None,
        kernel=report.kernel,
        score=report.chosen.score if report.chosen else None,
        report=report.number,
    )
    memcg = report.memcg
    kill.constraint = summary.constraint if summary else _MEMCG if memcg else None
    kill.global_ = None if memcg is None else not memcg
    return kill


def _place(kill: Kill, report: Report, *, is_chosen: bool) -> None:
    """Which cgroups, and from them whose pod and container."""
    summary, task_in = report.summary, report.task_in
    kill.oom_cgroup = (
        (summary and summary.oom_cgroup)
        or (task_in and task_in.oom_cgroup)
        or (report.limit_reached and report.limit_reached.oom_cgroup)
        or (report.memcg and next(iter(report.stats), None))
        or None
    )
    if is_chosen:
        kill.task_cgroup = (summary and summary.task_cgroup) or (
            task_in.task_cgroup if task_in else None
        )
    else:  # of the others the kernel says no more than what it kills as a whole
        kill.task_cgroup = kill.group_cgroup
    if kill.oom_cgroup:
        kill.limit_scope = locate(kill.oom_cgroup).scope
    place = locate(kill.task_cgroup or kill.oom_cgroup)
    if not (kill.task_cgroup or kill.oom_cgroup) and _is_triggers(kill):
        found = container_of_name(kill.cpuset)
        if found:
            place = Place(container_id=found[0], runtime=found[1])
    elif place.container_id is None and _is_triggers(kill):
        place = _with_container(place, container_of_name(kill.cpuset))
    kill.pod_uid, kill.container_id = place.pod_uid, place.container_id
    kill.qos_class, kill.runtime = place.qos_class, place.runtime
    kill.unit = unit_of(kill.task_cgroup) if place.container_id is None else None


def _is_triggers(kill: Kill) -> bool:
    """Is what is known of the trigger's cpuset true of the victim? A container has its own."""
    trigger = kill.trigger
    if trigger is None or kill.task_cgroup is not None:
        return False
    return kill.pid is None or kill.pid == trigger.pid


def _with_container(place: Place, found: tuple[str, str | None] | None) -> Place:
    if found is None or place.pod_uid is None:
        return place
    return Place(place.pod_uid, found[0], place.qos_class, found[1], place.scope)


def _from_summary(kill: Kill, report: Report) -> None:
    summary = report.summary
    if summary is not None and kill.pid is not None and summary.pid == kill.pid:
        kill.uid = summary.uid if kill.uid is None else kill.uid
        kill.process = summary.process if kill.process is None else kill.process


def _from_table(kill: Kill, rows: list[TaskRow]) -> None:
    """Fill in what the victim's row says and no other line did."""
    row = next((r for r in rows if r.pid == kill.pid), None)
    if row is None:
        return
    kill.process = row.name if kill.process is None else kill.process
    kill.uid = number(row.uid) if kill.uid is None else kill.uid
    if kill.oom_score_adj is None:
        kill.oom_score_adj = number(row.oom_score_adj)
    tables = number(row.pgtables_bytes)
    if kill.pgtables_bytes is None:
        kill.pgtables_bytes = tables
    elif tables and kill.pgtables_bytes == tables * 1024:
        # 5.4 and its first stable releases print bytes there and call them kB.
        kill.pgtables_bytes = tables
