"""List and watch: what there is of a kind, kept up to date over cuts, restarts and compactions.

    list, in pages        everything, as of one resourceVersion
    watch from there      what changes; bookmarks move the resourceVersion on while nothing does
    410 Gone              the API server no longer knows what changed since: list again
    anything else         wait, longer each time, and go on from the last resourceVersion

Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes

Only metadata is asked for (PartialObjectMetadata), which is a tenth of a pod or less.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeVar

import msgspec

from kelp.base.backoff import Backoff
from kelp.kube.client import KubeClient
from kelp.kube.errors import AccessError, ApiError, AwayError

WATCH_S = 300
_SILENCE_S = WATCH_S + 30.0  # longer than the watch itself, which may have nothing to tell
_SHORT_S = 1.0
_PAGE = 500
_PAGE_BYTES = 64 << 20
_EVENT_BYTES = 8 << 20
_WAIT_FIRST_S, _WAIT_MAX_S = 1.0, 60.0

_META = "application/json;as=PartialObjectMetadata{};v=v1;g=meta.k8s.io,application/json"

T = TypeVar("T", bound=msgspec.Struct)

_log = logging.getLogger(__name__)


class Meta(msgspec.Struct, frozen=True):
    """What is used of an object's metadata."""

    uid: str = ""
    name: str = ""
    namespace: str = ""
    annotations: dict[str, str] | None = None
    version: str = msgspec.field(name="resourceVersion", default="")


class _Object(msgspec.Struct, frozen=True):
    metadata: Meta = Meta()
    code: int = 0  # of a Status
    message: str = ""


class _ListMeta(msgspec.Struct, frozen=True):
    version: str = msgspec.field(name="resourceVersion", default="")
    more: str = msgspec.field(name="continue", default="")


class _List(msgspec.Struct, frozen=True):
    metadata: _ListMeta = _ListMeta()
    items: list[_Object] | None = None


class Event(msgspec.Struct, frozen=True):
    """What happened to which object; of an ERROR the object is a Status."""

    type: str = ""
    object: _Object = _Object()


class Sink(Protocol):
    """Takes what there is; called from the reflector's thread alone."""

    def replace(self, objects: Sequence[Meta]) -> None:
        """These are all; what is not among them is gone."""

    def changed(self, kind: str, meta: Meta) -> None:
        """ADDED, MODIFIED or DELETED."""


def list_all(
    client: KubeClient, path: str, params: Mapping[str, str], right: str
) -> tuple[list[Meta], str]:
    """(all objects, the resourceVersion as of which); raises as KubeClient.get."""
    found: list[Meta] = []
    more = ""
    while True:
        asked = {**params, "limit": str(_PAGE), **({"continue": more} if more else {})}
        headers = {"Accept": _META.format("List")}
        with client.get(path, asked, right=right, headers=headers) as answer:
            page = _decoded(answer.read(_PAGE_BYTES), _List)
        found += [o.metadata for o in page.items or ()]
        more = page.metadata.more
        if not more:
            return found, page.metadata.version


class Reflector:
    """A thread that keeps a Sink up to date.

    `on_state` is told "" while all is well, else why not: denied, refused, away, unusable.
    """

    def __init__(
        self,
        client: KubeClient,
        path: str,
        params: Mapping[str, str],
        sink: Sink,
        on_state: Callable[[str], None] = lambda _: None,
        backoff: Backoff | None = None,
    ) -> None:
        """`path` as /api/v1/pods; `params` choose (fieldSelector)."""
        self._client, self._path, self._params = client, path, params
        self._sink, self._on_state = sink, on_state
        self._resource = path.rsplit("/", 1)[-1]
        self._backoff = backoff or Backoff(_WAIT_FIRST_S, _WAIT_MAX_S)
        self._stop = threading.Event()
        self._version = ""  # empty: to be listed
        self._state: str | None = None
        self._thread = threading.Thread(
            target=self._run, name=f"kube-{self._resource}", daemon=True
        )  # fmt: skip

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """End; what is under way is cut."""
        self._stop.set()
        self._client.close()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._step()
            except (ApiError, AwayError, AccessError) as e:
                if isinstance(e, ApiError) and e.gone:
                    self._version = ""
                    if not self._backoff.failures:
                        self._backoff.next_s()  # once at once; an API server may say so for ever
                        continue
                self._failed(e)

    def _step(self) -> None:
        """List where that is needed, then watch until the watch ends."""
        if not self._version:
            objects, version = list_all(
                self._client, self._path, self._params, f"list {self._resource}"
            )
            if not version:
                raise AwayError(f"expected a resourceVersion with the list of {self._resource}")
            self._sink.replace(objects)
            self._version = version
        self._enter("")
        started = time.monotonic()
        self._watch()
        if time.monotonic() - started < _SHORT_S:  # a server that ends each watch at once
            self._stop.wait(self._backoff.next_s())

    def _watch(self) -> None:
        params = {
            **self._params,
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version,
            "timeoutSeconds": str(WATCH_S),
        }
        headers = {"Accept": _META.format("")}
        right = f"watch {self._resource}"
        with self._client.get(
            self._path, params, right=right, headers=headers, timeout_s=_SILENCE_S
        ) as answer:
            if self._stop.is_set():
                return
            for line in answer.lines(_EVENT_BYTES):
                self._take(decode_event(line))

    def _take(self, event: Event) -> None:
        if event.type == "ERROR":
            raise ApiError(
                event.object.code,
                f"the watch of {self._resource} ended: {event.object.message}",
                message=event.object.message,
            )
        if event.type in ("ADDED", "MODIFIED", "DELETED"):
            self._sink.changed(event.type, event.object.metadata)
        self._version = event.object.metadata.version or self._version
        self._backoff.reset()

    def _failed(self, error: ApiError | AwayError | AccessError) -> None:
        if self._stop.is_set():
            return
        wait_s = self._backoff.next_s()
        if isinstance(error, ApiError):
            wait_s = max(wait_s, min(error.retry_after_s, _WAIT_MAX_S))
        if self._enter(_reason(error)):
            _log.warning(
                "the API server is asked again; collecting goes on without its answers",
                extra={"resource": self._resource, "error": str(error)},
            )
        self._stop.wait(wait_s)

    def _enter(self, state: str) -> bool:
        """Whether that is another state than before."""
        changed = state != self._state
        if changed and not state and self._state is not None:
            _log.info("the API server answers again", extra={"resource": self._resource})
        self._state = state
        self._on_state(state)
        return changed


def _reason(error: ApiError | AwayError | AccessError) -> str:
    if isinstance(error, AwayError):
        return "away"
    if isinstance(error, AccessError):
        return "unusable"
    return "denied" if error.status in (401, 403) else "refused"


def decode_event(line: bytes) -> Event:
    """A line of a watch; raises AwayError where it is none."""
    return _decoded(line, Event)


def _decoded(data: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as e:
        raise AwayError(f"expected JSON of the API server; {e}") from e
