"""01 Who may come in: tokens and tenants, on every route."""

from __future__ import annotations

import base64

import httpx2
import pytest

from tests.api.running import Api, Running, now_ns

OPEN = ["/ready", "/readyz", "/healthz", "/metrics"]


@pytest.mark.parametrize("path", OPEN)
def test_probes_and_metrics_need_no_token(server: Running, path: str) -> None:
    assert httpx2.get(server.url + path).status_code == 200


def test_every_other_route_needs_the_token(server: Running) -> None:
    document = Api(server).get("/openapi.json").json()
    for path, operations in document["paths"].items():
        for method in operations:
            response = httpx2.request(method, server.url + path.replace("{name}", "app"))
            assert (401 if path not in OPEN else 200) == response.status_code, path


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", "Bearer wrong", "Basic", "Basic %%%", "Digest x", "Bearer " + "x" * 10_000],
)
def test_a_wrong_token_is_refused_with_what_to_do(server: Running, authorization: str) -> None:
    response = httpx2.get(server.url + "/config", headers={"Authorization": authorization})
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"].startswith("Bearer")
    assert "DATA_DIR/token" in response.text


def test_the_token_opens_as_bearer_and_as_password_of_any_user(server: Running) -> None:
    basic = base64.b64encode(f"grafana:{server.token}".encode()).decode()
    for value in (f"Bearer {server.token}", f"bearer {server.token}", f"Basic {basic}"):
        response = httpx2.get(server.url + "/config", headers={"Authorization": value})
        assert response.status_code == 200


def test_a_websocket_needs_the_token_too(server: Running) -> None:
    from websockets.exceptions import InvalidStatus
    from websockets.sync.client import connect

    with pytest.raises(InvalidStatus) as refused:
        connect(server.url.replace("http", "ws") + "/loki/api/v1/tail?query={a=%22b%22}")
    assert refused.value.response.status_code == 401


def test_tenants_do_not_see_each_other(server: Running) -> None:
    one, other, nobody = Api(server), Api(server), Api(server, None)
    one.push({"app": "shared"}, [now_ns(), "of one"])
    other.push({"app": "shared"}, [now_ns(), "of the other"])
    for api, line in ((one, "of one"), (other, "of the other")):
        found = api.data("/loki/api/v1/query_range", query='{app="shared"}')["result"]
        assert [line] == [v[1] for s in found for v in s["values"]]
    assert nobody.data("/loki/api/v1/query_range", query='{app="shared"}')["result"] == []


@pytest.mark.parametrize("tenant", ["a|b", "a/b", "..", ".", "ä", "x" * 151, "a b"])
def test_what_is_no_tenant_is_refused(server: Running, tenant: str) -> None:
    headers = {"Authorization": f"Bearer {server.token}", "X-Scope-OrgID": tenant.encode()}
    response = httpx2.get(server.url + "/loki/api/v1/labels", headers=headers)
    assert response.status_code == 400
    assert "X-Scope-OrgID" in response.text
