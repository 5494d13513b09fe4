"""`/openapi.json`: the declarations of all endpoints, for machines.

Format: https://spec.openapis.org/oas/v3.1.1.html
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

import msgspec
from starlette.responses import Response

from kelp import __version__
from kelp.server.http.endpoint import FORM, TENANT_HEADER, Call, Endpoint, Parameter

Json: TypeAlias = dict[str, Any]

_REASONS = {
    400: "The request is wrong; the text says how.",
    401: "No token, or a wrong one.",
    404: "There is no such thing.",
    408: "The body stopped coming.",
    410: "Nobody waits for it any more.",
    413: "The body is too large.",
    415: "A content type or encoding that is not read here.",
    422: "The query costs more than its budget allows.",
    429: "Too much at once; see Retry-After.",
    500: "A fault of Kelp's.",
    502: "The node's agent cannot do it; the text says why.",
    503: "Not there now; try again.",
    504: "The node's agent did not answer in time.",
}

_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message"],
            "properties": {
                name: {"type": "string"} for name in ("message", "expected", "got", "hint")
            },
        }
    },
}


def openapi(endpoints: Iterable[Endpoint]) -> Json:
    """The whole document."""
    paths: dict[str, Json] = {}
    for endpoint in endpoints:
        operations = paths.setdefault(endpoint.path, {})
        for method in endpoint.methods:
            operations[method.lower()] = _operation(endpoint, method)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Kelp",
            "version": __version__,
            "description": "Logs of a Kubernetes cluster: collected, stored, searched.",
        },
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "basic": {"type": "http", "scheme": "basic"},
            },
            "schemas": {"Error": _ERROR},
        },
        "security": [{"bearer": []}, {"basic": []}],
    }


def _operation(endpoint: Endpoint, method: str) -> Json:
    in_form = endpoint.reads_form and method == "POST"
    url = [p for p in endpoint.parameters if not (in_form and p.where == "query")]
    first = method == endpoint.methods[0]
    operation: Json = {
        "operationId": endpoint.name if first else f"{endpoint.name}{method.capitalize()}",
        "summary": endpoint.doc,
        "parameters": [_parameter(p) for p in url],
        "responses": _responses(endpoint),
    }
    if endpoint.open:
        operation["security"] = []
    else:
        operation["parameters"].append(_TENANT)
    if endpoint.body is not None and method != "GET":
        operation["requestBody"] = {
            "description": endpoint.body.doc,
            "required": True,
            "content": {t: {"schema": endpoint.body.schema} for t in endpoint.body.content_types},
        }
    elif in_form and (fields := [p for p in endpoint.parameters if p.where == "query"]):
        operation["requestBody"] = {"content": {FORM: {"schema": _form_schema(fields)}}}
    return operation


_TENANT: Json = {
    "name": TENANT_HEADER,
    "in": "header",
    "description": "The tenant; without it, the one that Kelp's agents write to.",
    "schema": {"type": "string"},
}


def _parameter(parameter: Parameter) -> Json:
    return {
        "name": parameter.name,
        "in": parameter.where,
        "description": parameter.doc,
        "required": parameter.required,
        "schema": _schema(parameter),
    }


def _schema(parameter: Parameter) -> Json:
    schema = dict(parameter.kind.schema)
    if parameter.kind.expected != "text":
        schema["description"] = f"Expected: {parameter.kind.expected}."
    if parameter.default not in (None, ""):
        schema["default"] = parameter.default
    return {"type": "array", "items": schema} if parameter.repeated else schema


def _form_schema(parameters: list[Parameter]) -> Json:
    return {
        "type": "object",
        "properties": {p.name: {**_schema(p), "description": p.doc} for p in parameters},
        "required": [p.name for p in parameters if p.required],
    }


def _responses(endpoint: Endpoint) -> Json:
    done: Json = {"description": "Done."}
    if endpoint.content_types:
        done["content"] = {t: {} for t in endpoint.content_types}
    statuses = {*endpoint.statuses, 400, 500} | (set() if endpoint.open else {401})
    error: Json = {"text/plain": {"schema": {"type": "string"}}}
    if endpoint.is_ours:
        error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {str(endpoint.success): done} | {
        str(s): {"description": _REASONS[s], "content": error} for s in sorted(statuses)
    }


def openapi_endpoint(others: Iterable[Endpoint]) -> Endpoint:
    """The route of the document; it describes itself, too."""

    async def get(call: Call) -> Response:
        return Response(document, media_type="application/json")

    own = Endpoint(
        "/openapi.json",
        ("GET",),
        "openapi",
        "All routes, for machines (OpenAPI 3.1).",
        get,
        statuses=(),
    )
    document = msgspec.json.encode(openapi([*others, own]))
    return own
