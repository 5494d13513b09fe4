"""auditd: the kernel's audit trail of a node."""

from __future__ import annotations

from kelp.base.formats.format import Format, Rest

FORMATS = (
    Format(
        name="auditd",
        title="Linux' audit log (audit.log of auditd)",
        source="https://github.com/linux-audit/audit-documentation/wiki/SPEC-Writing-Good-Events",
        dataset="audit",
        patterns=(
            r"(?:node=(?P<node_name>[^ ]+) )?type=(?P<type>[^ ]+) "
            r"msg=audit\((?P<time>[0-9]+\.[0-9]+):(?P<serial>[0-9]+)\): ?(?P<rest>(?s:.*))",
        ),
        begins="tn",
        rest=Rest.LOGFMT,
        event_time="time",
        fields={
            "node_name": "the host that it happened on",
            "type": "SYSCALL, EXECVE, USER_LOGIN …",
            "time": "seconds since the epoch",
            "serial": "number that the records of one event share",
        },
        examples=(
            b"type=SYSCALL msg=audit(1795169472.243:24287): arch=c000003e syscall=2 success=no "
            b'exit=-13 pid=3538 auid=1000 uid=1000 comm="cat" exe="/bin/cat" key="sshd_config"',
            b"type=USER_LOGIN msg=audit(1795169472.243:24288): pid=7 uid=0 msg='op=login "
            b'acct="root" exe="/usr/sbin/sshd" res=failed\'',
        ),
    ),
)
