"""Tokens that are rotated, and programs that give them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kelp.kube.credentials import Exec, Fixed, Plugin, TokenFile
from kelp.kube.errors import AccessError
from tests.agent.collect.harness import TurnableClock

V1 = "client.authentication.k8s.io/v1"


def plugin(folder: Path, *answers: object, status: int = 0, **more: object) -> Plugin:
    """A program that gives the answers in turn, the last one again and again."""
    for number, answer in enumerate(answers):
        text = answer if isinstance(answer, str) else json.dumps(answer)
        (folder / f"answer{number}").write_text(text)
    script = folder / "plugin"
    script.write_text(
        f"""#!/bin/sh
cd {folder}
echo x >> calls
printf %s "$KUBERNETES_EXEC_INFO" > info
echo "$* $KEY" > arguments
n=$(( $(wc -l < calls) - 1 ))
[ -e answer$n ] || n={len(answers) - 1}
cat answer$n
echo it went wrong >&2
exit {status}
"""
    )
    script.chmod(0o755)
    return Plugin(command=str(script), version=V1, **more)  # type: ignore[arg-type]


def credential(token: str = "t", version: str = V1, **status: str) -> dict[str, object]:
    return {"apiVersion": version, "kind": "ExecCredential", "status": {"token": token, **status}}


def calls(folder: Path) -> int:
    return len((folder / "calls").read_text().splitlines())


def test_fixed_headers():
    assert "Basic dTpw" == Fixed.password("u", "p").authorization()
    assert "Bearer t" == Fixed.token("t").authorization()
    assert not Fixed().renew()


def test_a_rotated_token_is_read_again(tmp_path):
    path = tmp_path / "token"
    path.write_text("one\n")
    token = TokenFile(path)
    assert "Bearer one" == token.authorization()
    (tmp_path / "new").write_text("two")
    (tmp_path / "new").rename(path)
    assert "Bearer two" == token.authorization()
    path.unlink()
    assert "Bearer two" == token.authorization()
    assert not token.renew()


def test_a_token_that_was_never_there(tmp_path):
    with pytest.raises(AccessError, match="cannot read the token"):
        TokenFile(tmp_path / "none").authorization()
    (tmp_path / "empty").touch()
    with pytest.raises(AccessError, match="got an empty file"):
        TokenFile(tmp_path / "empty").authorization()


def test_a_plugin_is_asked_once_while_its_token_is_good(tmp_path):
    clock = TurnableClock()
    near = {"expirationTimestamp": "2026-11-20T10:00:00Z"}
    far = {"expirationTimestamp": "2200-01-01T00:00:00+01:00"}
    found = Exec(plugin(tmp_path, credential("one", **near), credential("two", **far)), clock)
    assert "Bearer one" == found.authorization()
    clock.turned = 1e9  # by now it is expired, whatever today is
    assert ["Bearer two", "Bearer two"] == [found.authorization(), found.authorization()]
    assert 2 == calls(tmp_path)
    assert found.renew()
    assert "Bearer two" == found.authorization()
    assert 3 == calls(tmp_path)


def test_a_plugin_is_told_what_it_needs(tmp_path):
    made = plugin(tmp_path, credential(), args=["get", "token"], env={"KEY": "value"},
                  cluster={"server": "https://a"})  # fmt: skip
    Exec(made).authorization()
    info = json.loads((tmp_path / "info").read_text())
    assert {
        "apiVersion": V1,
        "kind": "ExecCredential",
        "spec": {"interactive": False, "cluster": {"server": "https://a"}},
    } == info
    assert "get token value\n" == (tmp_path / "arguments").read_text()


def test_a_plugin_may_give_a_certificate(tmp_path):
    status = {"clientCertificateData": "C", "clientKeyData": "K"}
    found = Exec(plugin(tmp_path, credential("", **status)))
    assert ("C", "K") == found.certificate()
    assert "" == found.authorization()
    assert 1 == calls(tmp_path)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("no JSON", "expected an ExecCredential of"),
        (credential(version="client.authentication.k8s.io/v1beta1"), "got 'client.auth"),
        ({"apiVersion": V1}, "got neither"),
        (credential(""), "got neither"),
        (credential(expirationTimestamp="soon"), "expected an expirationTimestamp in RFC 3339"),
    ],
)
def test_what_a_plugin_should_not_say(tmp_path, answer, said):
    with pytest.raises(AccessError) as raised:
        Exec(plugin(tmp_path, answer)).authorization()
    assert said in str(raised.value)


def test_a_plugin_that_fails_is_quoted(tmp_path):
    with pytest.raises(AccessError, match="ended with status 3: it went wrong"):
        Exec(plugin(tmp_path, credential(), status=3)).authorization()


def test_a_plugin_that_is_not_there_says_how_to_get_it():
    missing = Plugin(command="/no/such/plugin", hint="install it from here")
    with pytest.raises(AccessError, match="No such file or directory; install it from here"):
        Exec(missing).authorization()


def test_a_plugin_that_wants_a_terminal(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(AccessError, match="expected a terminal"):
        Exec(plugin(tmp_path, credential(), interactive="Always")).authorization()
