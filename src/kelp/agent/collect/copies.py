"""Which of the default files a syslog daemon copies from sources that are read themselves.

`syslog` and `messages` are the journal once more, and `kern.log` is the kernel's log. Where their
source is read, the copies are left out, lest each message be stored twice. Files that the user has
named are read, whatever they hold.

What counts is what can be read at the start: a journal that comes later is read beside its copies.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from kelp.agent.collect.journalctl import installed
from kelp.base.settings import Agent, File, Journal, default_files

OF_JOURNAL = frozenset({"/var/log/syslog", "/var/log/messages"})
OF_KERNEL = frozenset({"/var/log/kern.log"})

JOURNAL_FOLDERS = (Path("/var/log/journal"), Path("/run/log/journal"))

_log = logging.getLogger(__name__)


def without_copies(agent: Agent, folders: Sequence[Path] = JOURNAL_FOLDERS) -> Agent:
    """The settings with those files left; `folders` are journald's own."""
    if agent.files != default_files():
        return agent
    journal = reads_journal(agent.journal, folders)
    kernel = (journal and agent.journal.kernel) or (agent.kmsg.enabled and _opens(agent.kmsg.path))
    left_out = (OF_JOURNAL if journal else frozenset()) | (OF_KERNEL if kernel else frozenset())
    if not left_out:
        return agent
    _log.info(
        "files that copy the journal or the kernel's log are left out; name them to read them",
        extra={"files": sorted(left_out)},
    )
    files: list[File] = [file for file in agent.files if file.path not in left_out]
    return msgspec.structs.replace(agent, files=files)


def reads_journal(journal: Journal, folders: Sequence[Path]) -> bool:
    """Whether there are a journalctl and a journal that it may read."""
    if not (journal.enabled and installed(journal.command)):
        return False
    if journal.directory:
        folders = [Path(journal.directory)]
    return any(_holds_a_journal(folder) for folder in folders)


def _holds_a_journal(folder: Path) -> bool:
    try:
        files = [*folder.glob("*.journal"), *folder.glob("*/*.journal")]
    except OSError:
        return False
    return any(os.access(file, os.R_OK) for file in files)


def _opens(path: str) -> bool:
    """Whether the kernel lets it be read: the rights of the device alone do not say it."""
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))
    except OSError:
        return False
    return True
