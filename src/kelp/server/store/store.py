"""The store's front: what the server's other stages and app.py have of it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

from kelp.base.settings import Store as StoreSettings
from kelp.server.ports import Deletion, Dialect, Doomed, Engine, Group
from kelp.server.store.database import Database
from kelp.server.store.deletions import DeletionRequests
from kelp.server.store.known import KnownStreams
from kelp.server.store.needle import NeedleDialect
from kelp.server.store.retention import Dropped, RetentionPass
from kelp.server.store.schema import Layout, migrate
from kelp.server.store.writing import Writer


class Store:
    """Tables in an engine; `opening.open_store` makes one. `opened` is unwound by close."""

    def __init__(
        self,
        database: Database,
        layout: Layout,
        settings: StoreSettings,
        opened: ExitStack,
        *,
        monotonic: Callable[[], float],
        migrated: bool = False,
    ) -> None:
        self._database = database
        self._layout = layout
        self._opened = opened
        self._known = KnownStreams()
        self._writer = Writer(database, self._known)
        self._retention = RetentionPass(database, layout, settings, monotonic)
        self._migrated = migrated
        self.deletions = DeletionRequests(database, layout, settings.delete_delay_s)

    @property
    def engine(self) -> Engine:
        """For questions; may be asked by several threads at once."""
        return self._database

    @property
    def dialect(self) -> Dialect:
        """How to ask so that the indexes help."""
        return NeedleDialect()

    def prepare(self) -> None:
        """Make the tables or bring them up to date, once. Raises KelpError or EngineError."""
        if not self._migrated:
            migrate(self._database, self._layout)
            self._migrated = True

    def insert(self, group: Group) -> None:
        """See Writer.insert; for one thread at a time. Prepares first where that has not been."""
        self.prepare()
        self._writer.insert(group)

    def apply_retention(self, now_ns: int) -> Dropped:
        """Delete what is due at that time; for one thread at a time, beside all other calls."""
        self.prepare()
        dropped = self._retention.run(now_ns)
        if dropped.streams:
            self._known.forget()
        return dropped

    def run_deletions(self, doom: Callable[[Deletion], Doomed], now_ns: int) -> int:
        """Delete what was asked for and is due; see DeletionRequests.run."""
        self.prepare()
        return self.deletions.run(doom, now_ns)

    def close(self) -> None:
        """Close the engine; what was inserted is on disk."""
        self._opened.close()
