"""Loki's `delete`: records are deleted on request, some time later, until when it can be undone.

Source: https://grafana.com/docs/loki/latest/reference/loki-http-api/#compactor
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.responses import Response

from kelp.base.clock import Clock
from kelp.server.http.endpoint import Call, Endpoint, Parameter
from kelp.server.http.kinds import BOOLEAN, TIME
from kelp.server.http.refusal import RefusalError, shown
from kelp.server.ports import Deletion, Deletions
from kelp.server.serve.askers import Asker
from kelp.server.serve.loki import JSON, QUERY, ScopeOf
from kelp.server.serve.loki_json import seconds

_PATH = "/loki/api/v1/delete"
_STATUSES = (400, 429, 503)
# Of one tenant, not yet done; each costs a search when it is due.
MAX_WAITING = 1000


@dataclass(frozen=True)
class Deletes:
    """The handlers. `check` raises QueryError for a query that cannot be deleted by."""

    deletions: Deletions
    check: Callable[[str], None]
    asker: Asker
    scope_of: ScopeOf
    clock: Clock
    delay_s: float  # until a request is due

    async def create(self, call: Call) -> Response:
        """POST and PUT."""
        deletion = self._deletion(call)

        def work(query_id: str) -> None:
            waiting = [d for d in self._listed(call) if not d.processed]
            if len(waiting) >= MAX_WAITING:
                raise RefusalError(
                    429,
                    "too many deletions wait",
                    expected=f"at most {MAX_WAITING}",
                    hint="wait until some are processed, or put several into one query",
                )
            self.deletions.add(deletion)

        await self.asker.ask(call.request, work)
        return Response(status_code=204)

    async def listing(self, call: Call) -> Response:
        """GET."""
        found = await self.asker.ask(call.request, lambda query_id: self._listed(call))
        return Response(msgspec.json.encode([_shown(d) for d in found]), media_type=JSON)

    async def cancel(self, call: Call) -> Response:
        """DELETE."""
        await self.asker.ask(call.request, lambda query_id: self._cancel(call))
        return Response(status_code=204)

    def _listed(self, call: Call) -> list[Deletion]:
        return self.deletions.listed(self.scope_of(call))

    def _deletion(self, call: Call) -> Deletion:
        a, scope, now = call.arguments, self.scope_of(call), self.clock.now_ns()
        self.check(a["query"])
        end = now if a["end"] is None else a["end"]
        if end > now:
            raise RefusalError(
                400, "deletes in the future are not allowed", expected="an end that has passed"
            )
        if a["start"] > end:
            raise RefusalError(
                400, "the start lies behind the end", expected="a start at or before the end"
            )
        return Deletion(
            secrets.token_hex(4), scope.tenant, a["query"], scope.condition, a["start"], end, now
        )

    def _cancel(self, call: Call) -> None:
        wanted = call.arguments["request_id"]
        found = next((d for d in self._listed(call) if d.id == wanted), None)
        if found is None:
            raise RefusalError(
                404, "there is no such deletion", expected="a request_id that is listed",
                got=shown(wanted),
            )  # fmt: skip
        late = self.clock.now_ns() - found.created_ns > self.delay_s * 1e9
        if late and not found.processed and not call.arguments["force"]:
            raise RefusalError(
                400,
                f"a deletion can be cancelled within {self.delay_s:g} s (store.delete_delay_s)",
                hint="with force=true it is still cancelled unless it has begun",
            )
        if found.processed or not self.deletions.cancel(found):
            raise RefusalError(400, "the deletion is under way or processed: too late to cancel it")

    def endpoints(self) -> list[Endpoint]:
        """Their declarations."""
        create = (
            Parameter(QUERY.name, "A selector, and line filters if some lines are meant.",
                      required=True),
            Parameter("start", "From here, this included.", TIME, required=True),
            Parameter("end", "Up to here, this included; default: now.", TIME),
        )  # fmt: skip
        cancel = (
            Parameter("request_id", "Which one, as listed.", required=True),
            Parameter("force", "Also after store.delete_delay_s.", BOOLEAN, default=False),
        )
        return [
            Endpoint(_PATH, ("POST", "PUT"), "delete", "Delete records, after a while.",
                     self.create, create, content_types=(), statuses=_STATUSES, success=204),
            Endpoint(_PATH, ("GET",), "deletes", "Deletions that were asked for, newest first.",
                     self.listing, statuses=_STATUSES),
            Endpoint(_PATH, ("DELETE",), "cancelDelete", "Cancel a deletion that is not done yet.",
                     self.cancel, cancel, content_types=(), statuses=(*_STATUSES, 404),
                     success=204),
        ]  # fmt: skip


def _shown(deletion: Deletion) -> dict[str, Any]:
    """In Loki's shape: times are seconds with milliseconds."""
    return {
        "request_id": deletion.id,
        "start_time": seconds(deletion.start_ns),
        "end_time": seconds(deletion.end_ns),
        "query": deletion.query,
        "status": "processed" if deletion.processed else "received",
        "created_at": seconds(deletion.created_ns),
    }
