"""The few facts that the inbox must not forget, each in a small file of its own.

id            names this inbox in the names of its groups, for ever
agents.json   the newest stored number of each agent; written before a journal file is deleted,
              for until then the frames themselves know it
pushes.0, .1  what of late was pushed and stored; see repeats
group.json    the newest group: its frames, its time, whether it is stored
"""

from __future__ import annotations

import contextlib
import uuid
from pathlib import Path
from typing import TypeVar

import msgspec

from kelp.base.clock import Clock
from kelp.base.errors import KelpError
from kelp.base.files import write_durably
from kelp.server.receive.repeats import Repeats

T = TypeVar("T")


class GroupRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A group's composition: all frames from first to last."""

    first: int
    last: int
    created_ns: int
    stored: bool = False


class _Agents(msgspec.Struct):
    newest: list[tuple[str, str, int]]  # tenant, agent, seq


class Ledger:
    """Reads what is there; raises KelpError where a file is no such file."""

    def __init__(self, directory: Path, clock: Clock, key: bytes = b"") -> None:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.pushes = Repeats(directory, clock, key)
        self._agents_path = directory / "agents.json"
        self._group_path = directory / "group.json"
        self._id = _read_or_make_id(directory / "id")
        self.group = _read(self._group_path, GroupRecord)
        agents = _read(self._agents_path, _Agents)
        self.stored: dict[tuple[str, str], int] = {
            (tenant, agent): seq for tenant, agent, seq in (agents.newest if agents else [])
        }

    def name(self, group: GroupRecord) -> str:
        """The group's name, different from that of every group of this and any other inbox."""
        return f"{self._id}-{group.first}-{group.last}"

    @property
    def stored_through(self) -> int:
        """The newest frame that is in the store, with all before it."""
        if self.group is None:
            return 0
        return self.group.last if self.group.stored else self.group.first - 1

    def begin(self, group: GroupRecord) -> None:
        """Make the composition durable, before the store sees it. Raises OSError."""
        write_durably(self._group_path, msgspec.json.encode(group))
        self.group = group

    def finish(self, group: GroupRecord) -> None:
        """Note that the group is in the store.

        Not made durable: were it lost, the group would be offered again, and dropped.
        """
        self.group = msgspec.structs.replace(group, stored=True)
        temporary = self._group_path.with_suffix(".new")
        with contextlib.suppress(OSError):  # a full disk: see above
            temporary.write_bytes(msgspec.json.encode(self.group))
            temporary.chmod(0o600)
            temporary.replace(self._group_path)

    def note_stored(self, tenant: str, agent: str, seq: int) -> None:
        """Remember in memory that an agent's segment is in the store."""
        if agent:
            self.stored[tenant, agent] = max(seq, self.stored.get((tenant, agent), 0))

    def save(self) -> None:
        """Make all that was noted of what is stored durable. Raises OSError."""
        self.pushes.save(self.stored_through)
        newest = [(tenant, agent, seq) for (tenant, agent), seq in self.stored.items()]
        write_durably(self._agents_path, msgspec.json.encode(_Agents(newest)))


def _read_or_make_id(path: Path) -> str:
    if not path.exists():
        write_durably(path, uuid.uuid4().hex.encode())
    return path.read_text().strip()


def _read(path: Path, kind: type[T]) -> T | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        return None
    except msgspec.MsgspecError as e:
        raise KelpError(
            f"expected the inbox's own JSON in {path}; got {e}: restore it, or move the inbox's "
            "folder away (what it holds is then not stored)"
        ) from e
