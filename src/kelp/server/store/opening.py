"""Opens what `store.url` names: an embedded store, a server, or a cluster."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

from kelp.base.clock import Clock, SystemClock
from kelp.base.errors import ConfigError
from kelp.base.settings import Settings
from kelp.server.store.embedded import EmbeddedDatabase
from kelp.server.store.engine_config import EngineConfig, check_key, read_key
from kelp.server.store.lock import StoreLock
from kelp.server.store.remote import RemoteDatabase
from kelp.server.store.schema import Layout, migrate
from kelp.server.store.store import Store


def open_store(settings: Settings, clock: Clock | None = None) -> Store:
    """Open the store and bring its tables up to date.

    A server that cannot be reached is no error: the tables are made when it can be.
    Raises ConfigError, KelpError (in use, made by a newer release, encrypted otherwise) and
    EngineError.
    """
    url = store_url(settings)
    scheme = urlsplit(url).scheme
    if scheme == "chdb":
        return _open_embedded(settings, directory_of(url), clock or SystemClock())
    if scheme in ("http", "https"):
        return _open_remote(settings, url, clock or SystemClock())
    raise ConfigError(
        f"store.url: expected chdb:///path, http://host:port or https://host:port; got {url!r}"
    )


def store_url(settings: Settings) -> str:
    """`store.url`, or that of the embedded store in the data directory where it is empty."""
    return settings.store.url or f"chdb://{Path(settings.data_dir).absolute() / 'store'}"


def directory_of(url: str) -> Path:
    """The directory of an embedded store; raises ConfigError."""
    host, path = url.removeprefix("chdb://").partition("/")[::2]
    if host or not path or "?" in path:
        raise ConfigError(f"store.url: expected chdb:///path, absolute, without '?'; got {url!r}")
    return Path("/" + path)


def encryption_key(settings: Settings) -> str:
    """The key of the embedded store, 32 hex digits; empty where it is not encrypted."""
    file = settings.store.encryption_key_file
    return read_key(Path(file)) if file else ""


def _open_embedded(settings: Settings, directory: Path, clock: Clock) -> Store:
    if settings.store.cluster:
        raise ConfigError(
            f"store.cluster: expected none with the embedded store; got {settings.store.cluster!r}"
        )
    key = encryption_key(settings)
    config = EngineConfig(directory, key)
    with ExitStack() as opened:
        opened.callback(StoreLock(directory).close)
        check_key(config)
        database = EmbeddedDatabase(config)
        opened.callback(database.close)
        layout = Layout(encrypted=bool(key))
        migrate(database, layout)
        return Store(
            database,
            layout,
            settings.store,
            opened.pop_all(),
            monotonic=clock.monotonic,
            migrated=True,
        )


def _open_remote(settings: Settings, url: str, clock: Clock) -> Store:
    if settings.store.encryption_key_file:
        raise ConfigError(
            "store.encryption_key_file: expected none with a ClickHouse server; encrypt its disks "
            "in its own configuration"
        )
    if settings.store.max_bytes:
        raise ConfigError(
            "store.max_bytes: expected none with a ClickHouse server; it is for the embedded store"
        )
    database = RemoteDatabase(url, settings.store.cluster)
    opened = ExitStack()
    opened.callback(database.close)
    layout = Layout(cluster=settings.store.cluster)
    return Store(database, layout, settings.store, opened, monotonic=clock.monotonic)
