"""Whose logs: the tenant that a request names, as Loki has it.

Source: https://grafana.com/docs/loki/latest/operations/multi-tenancy/ and, for the characters,
https://grafana.com/docs/mimir/latest/configure/about-tenant-ids/.
"""

from __future__ import annotations

import string

from kelp.server.http.endpoint import TENANT_HEADER as HEADER
from kelp.server.http.refusal import RefusalError, shown

DEFAULT_TENANT = ""  # the one that Kelp's own agents write to

_CHARACTERS = frozenset(string.ascii_letters + string.digits + "!-_.*'()")
_MAX_LENGTH = 150


def tenant_of(header: str) -> str:
    """The tenant that the header's value names; raises RefusalError where it names none."""
    name = header.strip()
    if not name:
        return DEFAULT_TENANT
    if "|" in name:
        raise RefusalError(
            400,
            f"the header {HEADER}",
            expected="one tenant",
            got=shown(name),
            hint="ask for one tenant after the other",
        )
    if len(name) > _MAX_LENGTH or name in (".", "..") or not _CHARACTERS.issuperset(name):
        raise RefusalError(
            400,
            f"the header {HEADER}",
            expected=f"at most {_MAX_LENGTH} of A-Z a-z 0-9 ! - _ . * ' ( ), not . or ..",
            got=shown(name),
        )
    return name
