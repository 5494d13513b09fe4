"""A route, declared in one place: its name, what it does, its parameters, its answers.

Requests are read by the declaration, `/openapi.json` is made from it, and a test holds the
documentation to it; so a parameter cannot be there in one of them and not in the others.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response

from kelp.server.http.body import read_body
from kelp.server.http.families import speaks_json
from kelp.server.http.kinds import TEXT, Kind
from kelp.server.http.refusal import RefusalError, shown

Where = Literal["query", "path", "header"]

TENANT_HEADER = "X-Scope-OrgID"
FORM = "application/x-www-form-urlencoded"
# A form holds a query and some times; what is longer than this is no query.
MAX_FORM_BYTES = 1 << 20
_MAX_FIELDS = 1000


@dataclass(frozen=True)
class Parameter:
    """`default` is what a handler gets where the request has none; `None` says "absent"."""

    name: str
    doc: str
    kind: Kind = TEXT
    where: Where = "query"
    required: bool = False
    repeated: bool = False  # the value is then a list
    default: Any = None


@dataclass(frozen=True)
class Body:
    """What a request's body may be, other than a form."""

    doc: str
    content_types: tuple[str, ...]
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "string"})


@dataclass(frozen=True)
class Call:
    """A request whose parameters were read."""

    request: Request
    arguments: Mapping[str, Any]  # by the parameter's name
    tenant: str


Handler = Callable[[Call], Awaitable[Response]]


@dataclass(frozen=True)
class Endpoint:
    """One path with its methods; all methods do the same."""

    path: str  # parameters of the path in braces, as Starlette and OpenAPI have them
    methods: tuple[str, ...]
    name: str  # OpenAPI's operationId
    doc: str
    handler: Handler
    parameters: tuple[Parameter, ...] = ()
    body: Body | None = None
    content_types: tuple[str, ...] = ("application/json",)  # of the answer
    statuses: tuple[int, ...] = (400,)  # that it may answer beside 200 and the common ones
    success: int = 200
    open: bool = False  # asks for no token

    @property
    def is_ours(self) -> bool:
        """Kelp's own routes refuse what they do not know, and put errors into JSON."""
        return speaks_json(self.path)

    @property
    def reads_form(self) -> bool:
        """Whether parameters may stand in the body."""
        return "POST" in self.methods and self.body is None


async def arguments_of(endpoint: Endpoint, request: Request) -> dict[str, Any]:
    """The values of all parameters that the endpoint has; raises RefusalError."""
    given = fields_of(request.url.query.encode())
    if endpoint.reads_form and request.method == "POST":
        given |= await _form(request)
    if endpoint.is_ours:
        _refuse_unknown(endpoint, given)
    return read_arguments(endpoint, given, request.path_params, request.headers)


def read_arguments(
    endpoint: Endpoint,
    given: Mapping[str, list[str]],
    path: Mapping[str, Any],
    headers: Mapping[str, str],
) -> dict[str, Any]:
    """The same, from a request's parts."""
    texts = {
        "query": given.get,
        "path": lambda name: [str(path[name])] if name in path else None,
        "header": lambda name: [headers[name]] if name in headers else None,
    }
    return {p.name: _value(p, texts[p.where](p.name) or []) for p in endpoint.parameters}


def _value(parameter: Parameter, texts: list[str]) -> Any:
    # An empty text is an absent one, as in Loki: Grafana sends empty parameters.
    texts = [t for t in texts if t]
    if not texts:
        if parameter.required:
            raise RefusalError(
                400,
                f"the parameter '{parameter.name}' is missing",
                expected=parameter.kind.expected,
            )
        return [] if parameter.repeated else parameter.default
    values = [_parsed(parameter, text) for text in texts]
    return values if parameter.repeated else values[0]


def _parsed(parameter: Parameter, text: str) -> Any:
    try:
        return parameter.kind.parse(text)
    except ValueError:
        raise RefusalError(
            400,
            f"the parameter '{parameter.name}' cannot be read",
            expected=parameter.kind.expected,
            got=shown(text),
        ) from None


def _refuse_unknown(endpoint: Endpoint, given: Iterable[str]) -> None:
    known = [p.name for p in endpoint.parameters if p.where == "query"]
    for name in given:
        if name not in known:
            raise RefusalError(
                400,
                "unknown parameter",
                expected=f"one of {', '.join(known)}" if known else "none",
                got=shown(name),
            )


async def _form(request: Request) -> dict[str, list[str]]:
    data = await read_body(request, MAX_FORM_BYTES)
    if not data:
        return {}
    kind = content_type(request)
    if kind not in (FORM, ""):
        raise RefusalError(415, "the body's content type", expected=FORM, got=shown(kind))
    return fields_of(data)


def fields_of(data: bytes) -> dict[str, list[str]]:
    """The fields of a URL's query or of a form; raises RefusalError."""
    found: dict[str, list[str]] = {}
    try:
        pairs = parse_qsl(
            data.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_MAX_FIELDS,
        )
    except ValueError as e:  # UnicodeDecodeError is one
        raise RefusalError(
            400, "the parameters cannot be read", expected="percent-encoded UTF-8", got=str(e)[:200]
        ) from None
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found


def content_type(request: Request) -> str:
    """The media type of the body without its parameters, in lower case; empty where none is."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()
