"""What can stop a commit; in each case nothing was changed, and the same commit may be tried again.

Why three and not one: the agent waits after all of them, but it tells people what it waits for.
"""

from __future__ import annotations


class SpoolError(Exception):
    """The commit did not happen; wait and try the very same again."""

    state = "blocked"


class SpoolFullError(SpoolError):
    """The spool holds `spool.max_bytes`; room comes when the server takes segments."""

    state = "full"


class DiskFullError(SpoolError):
    """The file system has no space, or a quota or a size limit was reached."""

    state = "disk_full"


class DiskFailedError(SpoolError):
    """The file system failed in another way (I/O error, read-only)."""

    state = "disk_failed"


class DamageError(Exception):
    """A segment's file is missing or is not what was written; its records are lost."""
