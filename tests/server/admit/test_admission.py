"""Tokens and tenants, without a server."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kelp.server.admit.tenant import DEFAULT_TENANT, tenant_of
from kelp.server.admit.tokens import TokenGate, presented_token
from kelp.server.http.refusal import RefusalError


def test_the_token_counts_in_both_forms_and_can_be_replaced() -> None:
    gate = TokenGate("secret")
    basic = "Basic " + base64.b64encode(b"anyone:secret").decode()
    assert [gate.admits("Bearer secret"), gate.admits(basic)] == [True, True]
    gate.replace("other")
    assert [gate.admits(a) for a in ("Bearer secret", basic, "Bearer other")] == [
        False,
        False,
        True,
    ]


@given(st.text())
def test_any_header_is_judged(header: str) -> None:
    assert TokenGate("secret").admits(header) == (presented_token(header) == b"secret")


def test_an_empty_token_opens_nothing() -> None:
    gate = TokenGate("")
    assert not any(gate.admits(a) for a in ("", "Bearer", "Bearer ", "Basic Og=="))


@pytest.mark.parametrize("header", ["", "  "])
def test_without_a_name_it_is_the_default_tenant(header: str) -> None:
    assert tenant_of(header) == DEFAULT_TENANT


@given(st.text(max_size=200))
def test_any_name_is_a_tenant_or_refused(name: str) -> None:
    try:
        assert tenant_of(name) == name.strip()
    except RefusalError as e:
        assert (e.status, "X-Scope-OrgID" in e.text()) == (400, True)
