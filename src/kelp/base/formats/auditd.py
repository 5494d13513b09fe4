"""auditd: the kernel's audit trail of a node."""

from __future__ import annotations

from kelp.base.formats.format import Format, Rest

_HEAD = (
    r"(?:node=(?P<node_name>[^ ]+) )?type=(?P<type>[^ ]+) "
    r"msg=audit\((?P<time>[0-9]+\.[0-9]+):(?P<serial>[0-9]+)\): ?"
)
# What a program tells stands in quotes of its own, behind what the kernel knows of the program.
_OF_PROGRAM = (
    rf"{_HEAD}(?:user )?pid=(?P<pid>[0-9]+) uid=(?P<uid>[0-9]+)(?: auid=(?P<auid>[0-9]+))?"
    r"(?: ses=(?P<ses>[0-9]+))?(?: subj=(?P<subj>[^ ]+))?(?: [^']*)? ?"
    r"msg='(?P<rest>[^']*)'(?s:.*)"
)
_OF_SELINUX = (
    rf"{_HEAD}avc: +(?P<result>denied|granted) +\{{ (?P<permission>[^}}]*) \}} for +"
    r"(?P<rest>(?s:.*))"
)

FORMATS = (
    Format(
        name="auditd",
        title="Linux' audit log (audit.log of auditd)",
        source="https://github.com/linux-audit/audit-documentation/wiki/SPEC-Writing-Good-Events",
        dataset="audit",
        patterns=(_OF_PROGRAM, _OF_SELINUX, rf"{_HEAD}(?P<rest>(?s:.*))"),
        begins="tn",
        rest=Rest.LOGFMT,
        event_time="time",
        fields={
            "node_name": "the host that it happened on",
            "type": "SYSCALL, EXECVE, USER_LOGIN …",
            "time": "seconds since the epoch",
            "serial": "number that the records of one event share",
            "pid": "id of the process",
            "uid": "the user that it ran as",
            "auid": "the user that had logged in",
            "ses": "number of the session",
            "subj": "SELinux context of the process",
            "result": "denied or granted, by SELinux",
            "permission": "what SELinux was asked for",
        },
        examples=(
            b"type=SYSCALL msg=audit(1795169472.243:24287): arch=c000003e syscall=2 success=no "
            b'exit=-13 pid=3538 auid=1000 uid=1000 comm="cat" exe="/bin/cat" key="sshd_config"',
            b"type=USER_LOGIN msg=audit(1795169472.243:24288): pid=7 uid=0 msg='op=login "
            b'acct="root" exe="/usr/sbin/sshd" res=failed\'',
            b"type=AVC msg=audit(1795169472.243:24289): avc:  denied  { read } for  pid=3538 "
            b'comm="cat" name="shadow" scontext=u:r:container_t:s0 tclass=file permissive=0',
        ),
    ),
)
