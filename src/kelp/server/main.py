"""The server as a process: opened from Settings, told to reload, stopped; uvicorn in between.

Order of a start: the socket (so that a taken port is told at once), the store, the inbox, the
routes. A stop goes the other way round, and takes less than five seconds whatever runs: readers
who follow are let go, queries cancelled, what was received is in the inbox on disk anyway.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec
import uvicorn
import uvloop

from kelp import __version__
from kelp.base.changes import changes
from kelp.base.clock import Clock, SystemClock
from kelp.base.errors import KelpError
from kelp.base.settings import Query, Settings
from kelp.base.telemetry import set_log_level
from kelp.base.token import read_or_make_token
from kelp.server.admit.tokens import TokenGate
from kelp.server.app import Opened, Surface, opened, parts_of, query_service
from kelp.server.http.protocol import KelpProtocol
from kelp.server.listener import Tls, bind, tls_of, url_of

_log = logging.getLogger(__name__)

# What takes effect when the settings are read again.
LIVE = (
    "log_level",
    "server.token_file",
    "server.tls.",
    *(f"query.{name}" for name in Query.__struct_fields__ if name != "max_concurrent"),
)
_OURS = ("log_level", "data_dir", "server.", "store.", "query.")

# Requests under way have so long to end when the server stops; then their queries are cancelled.
_GRACE_S = 1
# Nothing of a stop may take longer than this: the journal has what counts.
_STOP_S = 4.5


class KelpServer:
    """One server; `run` once. The routes ask it, too: see serve.process.Operations."""

    def __init__(
        self,
        settings: Settings,
        load: Callable[[], Settings] | None = None,
        clock: Clock | None = None,
    ) -> None:
        """`load` reads the settings again, for `reload`; raises KelpError where it cannot."""
        self._settings = settings
        self._load = load or (lambda: settings)
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self.stopping = threading.Event()
        self.ended = threading.Event()
        self._running: _Uvicorn | None = None
        self._opened: Opened | None = None
        self._surface: Surface | None = None
        self._tls: Tls | None = None
        self._gate = TokenGate("")

    def run(self, announce: Callable[[str], None] = lambda url: None) -> None:
        """Serve until `stop`; `announce` gets the address when requests are answered.

        Raises KelpError where the server cannot start. In the main thread, signals stop it
        (SIGTERM, SIGINT) and let it reload (SIGHUP).
        """
        settings = self._settings
        with ExitStack() as stack:
            listening = stack.enter_context(bind(settings))
            self._tls = tls_of(settings.server.tls)
            url = url_of(listening, tls=self._tls is not None)
            self._gate.replace(read_or_make_token(token_file(settings)))
            parts = self._opened = stack.enter_context(opened(settings, self._clock))
            surface = self._surface = Surface(parts_of(parts, settings, self._gate, self))
            stack.callback(surface.close)
            parts.upkeep.start()
            self._running = _Uvicorn(surface, self._tls, lambda: announce(url))
            _log.info("server started", extra={"version": __version__, "url": url})
            if not self.stopping.is_set():
                with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                    runner.run(self._serve(self._running, listening))
        self.ended.set()
        _log.info("server stopped")

    def stop(self) -> None:
        """Let `run` return, within five seconds; from any thread."""
        self.stopping.set()
        if self._running is not None:
            self._running.stop()

    # What the routes ask for.

    def settings(self) -> Settings:
        """See Operations."""
        return self._settings

    def unready(self) -> list[str]:
        """See Operations."""
        if self.stopping.is_set():
            return ["the server is stopping"]
        trouble = self._opened.upkeep.trouble if self._opened else "starting"
        return [trouble] if trouble else []

    def reload(self) -> str:
        """See Operations."""
        with self._lock:
            new = self._load()
            changed = changes(self._settings, new, LIVE, _OURS)
            self._apply(new)
            self._settings = _with_live_keys(self._settings, new)
        _log.info("settings read again", extra={"result": changed.text()})
        return changed.text()

    def _apply(self, new: Settings) -> None:
        token = read_or_make_token(token_file(new))
        if self._tls is not None and new.server.tls.cert_file:
            self._tls.reload(new.server.tls)
        # From here on nothing can fail.
        self._gate.replace(token)
        set_log_level(new.log_level)
        if self._opened is not None and self._surface is not None:
            self._surface.replace_queries(query_service(self._opened, new.query))

    async def _serve(self, running: _Uvicorn, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with _signals(loop, self.stop, lambda: loop.run_in_executor(None, self._reload_or_tell)):
            await running.serve(sockets=[listening])

    def _reload_or_tell(self) -> None:
        try:
            self.reload()
        except KelpError as e:
            _log.error("the old settings stay", extra={"error": str(e)})


def token_file(settings: Settings) -> Path:
    """Where the API token lies."""
    return settings.under_data_dir(settings.server.token_file, "token")


def _with_live_keys(old: Settings, new: Settings) -> Settings:
    """`old` with the live keys of `new`: what is in force after a reload."""
    server = msgspec.structs.replace(
        old.server, token_file=new.server.token_file, tls=new.server.tls
    )
    query = msgspec.structs.replace(new.query, max_concurrent=old.query.max_concurrent)
    return msgspec.structs.replace(old, log_level=new.log_level, server=server, query=query)


class _Uvicorn(uvicorn.Server):
    """uvicorn without its own ideas of signals, telling when it answers."""

    def __init__(self, surface: Surface, tls: Tls | None, on_ready: Callable[[], None]) -> None:
        config = uvicorn.Config(
            surface.asgi,
            http=KelpProtocol,
            ws="websockets-sansio",
            ws_max_size=64 << 10,  # clients have nothing to say on a tail
            ws_ping_interval=1.0,
            ws_ping_timeout=20.0,
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=_GRACE_S,
            timeout_keep_alive=75,  # longer than most clients keep a connection idle
        )
        config.load()
        config.ssl = tls.context if tls else None
        super().__init__(config)
        self._surface = surface
        self._on_ready = on_ready
        self._loop: asyncio.AbstractEventLoop | None = None

    def stop(self) -> None:
        """Begin to stop; from any thread."""
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Tell when requests are answered."""
        await super().startup(sockets)
        self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let those go who would stay for ever."""
        self._surface.stop_asking()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the process's affair."""
        yield


@contextmanager
def _signals(
    loop: asyncio.AbstractEventLoop, stop: Callable[[], None], reload: Callable[[], object]
) -> Iterator[None]:
    """Handlers within the block, where this is the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {signal.SIGTERM: stop, signal.SIGINT: stop, signal.SIGHUP: reload}
    for number, handler in handlers.items():
        loop.add_signal_handler(number, handler)
    try:
        yield
    finally:
        # A second signal while the store closes must not tear it.
        for number in handlers:
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_IGN)


def run_server(
    settings: Settings, load: Callable[[], Settings], announce: Callable[[str], None]
) -> None:
    """Run a server as this process; returns after a clean stop."""
    server = KelpServer(settings, load)
    threading.Thread(target=_last_resort, args=(server,), name="kelp-watch", daemon=True).start()
    server.run(announce)


def _last_resort(server: KelpServer) -> None:
    """A query that the engine cannot cancel must not hold up a stop: nothing is lost by it."""
    server.stopping.wait()
    if not server.ended.wait(_STOP_S):
        _log.error("the stop takes too long; leaving at once", extra={"after_s": _STOP_S})
        os._exit(1)
