"""Where the API server is found, and as whom: files merged as kubectl merges them."""

from __future__ import annotations

import base64
import json
import os
import shutil
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest
import trustme
import yaml
from hypothesis import given
from hypothesis import strategies as st

from kelp.kube.access import Access, find_access, in_cluster
from kelp.kube.client import KubeClient
from kelp.kube.credentials import Exec, Fixed, TokenFile
from kelp.kube.errors import AccessError
from kelp.kube.kubeconfig import read_kubeconfig
from kelp.kube.nodelogs import LogQuery, query_journal
from tests.doubles.kube_api import KubeApi, Written


def config(
    path: Path, name: str = "a", *, current: str = "", user: Any = None, **cluster: Any
) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    body = {
        "clusters": [{"name": name, "cluster": {"server": f"https://{name}:6443", **cluster}}],
        "users": [{"name": name, "user": user or {"token": f"token-{name}"}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
    }
    path.write_text(yaml.safe_dump(body | ({"current-context": current} if current else {})))
    return path


def account(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "token").write_text("of-the-pod\n")
    (folder / "ca.crt").write_text("CA")
    (folder / "namespace").write_text("kelp")
    return folder


IN_POD = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"}


def test_the_current_context_counts_unless_one_is_named(tmp_path):
    first = config(tmp_path / "one", "a", current="a")
    second = config(tmp_path / "two", "b", current="b")
    assert "https://a:6443" == read_kubeconfig([first, second]).server
    access = read_kubeconfig([first, second], "b")
    assert ("https://b:6443", "Bearer token-b") == (
        access.server,
        access.credentials.authorization(),
    )
    assert f'the context "b" of {first}:{second}' == access.source


def test_of_two_with_one_name_the_first_counts_and_a_missing_file_is_left_out(tmp_path):
    first = config(tmp_path / "one", "a", current="a", user={"token": "first"})
    second = config(tmp_path / "two", "a", current="b", user={"token": "second"})
    access = read_kubeconfig([tmp_path / "none", first, second])
    assert "Bearer first" == access.credentials.authorization()


def test_paths_are_relative_to_the_file_that_has_them(tmp_path):
    user = {"client-certificate": "c.pem", "client-key": "/k.pem"}
    path = config(
        tmp_path / "dir" / "config", "a", current="a", user=user,
        **{"certificate-authority": "ca.pem"},
    )  # fmt: skip
    tls = read_kubeconfig([path]).tls
    expected = (tmp_path / "dir" / "ca.pem", tmp_path / "dir" / "c.pem", Path("/k.pem"))
    assert expected == (tls.ca_file, tls.cert_file, tls.key_file)


def test_data_goes_before_files(tmp_path):
    data = base64.b64encode(b"PEM").decode()
    user = {
        "client-certificate-data": data, "client-key-data": data,
        "client-certificate": "c", "client-key": "k",
    }  # fmt: skip
    path = config(
        tmp_path / "config", "a", current="a", user=user,
        **{"certificate-authority-data": data, "certificate-authority": "x",
           "insecure-skip-tls-verify": True, "tls-server-name": "n", "proxy-url": "http://p:1"},
    )  # fmt: skip
    access = read_kubeconfig([path])
    tls = access.tls
    assert ("PEM", "PEM", "PEM", None, None, None) == (
        tls.ca_data, tls.cert_data, tls.key_data, tls.ca_file, tls.cert_file, tls.key_file,
    )  # fmt: skip
    assert (True, "n", "http://p:1") == (tls.insecure, tls.server_name, access.proxy)


@pytest.mark.parametrize(
    ("user", "kind"),
    [
        ({"tokenFile": "t", "token": "x"}, TokenFile),
        ({"token": "x", "username": "u"}, Fixed),
        ({"username": "u", "password": "p"}, Fixed),
        ({"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "c"}}, Exec),
        ({"client-certificate": "c"}, Fixed),
    ],
)
def test_each_kind_of_user(tmp_path, user, kind):
    path = config(tmp_path / "config", "a", current="a", user=user)
    assert isinstance(read_kubeconfig([path]).credentials, kind)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected a current-context"),
        ("[1, 2]", "expected a kubeconfig; Expected `object`, got `array`"),
        ("a: [", "config:1:5: expected YAML; "),
        ("clusters: 5", "Expected `array | null`, got `int` - at `$.clusters`"),
        ("current-context: x", 'expected a context "x" in'),
        (
            "{current-context: x, contexts: [{name: x, context: {cluster: y}}]}",
            'expected a cluster "y" in',
        ),
        (
            "{current-context: x, contexts: [{name: x, context: {cluster: y, user: z}}],"
            " clusters: [{name: y, cluster: {server: s}}]}",
            'expected a user "z" in',
        ),
        (
            "{current-context: x, contexts: [{name: x, context: {cluster: y}}],"
            " clusters: [{name: y, cluster: {}}]}",
            "expected a server in the cluster",
        ),
        ("\x00", "expected YAML"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, said):
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(AccessError) as raised:
        read_kubeconfig([path])
    assert said in str(raised.value)


@pytest.mark.parametrize(
    ("user", "said"),
    [
        ({"auth-provider": {"name": "gcp"}}, "got auth-provider, which Kubernetes has dropped"),
        ({"exec": {"apiVersion": "v9", "command": "c"}}, "got 'v9'"),
        ({"exec": {}}, "expected exec.command"),
        ({"as": "someone"}, "expected a user without `as`"),
        ({"client-certificate-data": "?"}, "expected base64 of PEM in client-certificate-data"),
    ],
)
def test_users_that_cannot_be_used(tmp_path, user, said):
    path = config(tmp_path / "config", "a", current="a", user=user)
    with pytest.raises(AccessError) as raised:
        read_kubeconfig([path])
    assert said in str(raised.value)


def test_the_order_in_which_it_is_looked_for(tmp_path):
    folder = account(tmp_path / "account")
    home = tmp_path / "home"

    def found(environ: dict[str, str], **named: str) -> str:
        return find_access({**IN_POD, **environ}, folder=folder, **named).source

    assert "the pod's service account" == found({"HOME": str(home)})
    config(home / ".kube" / "config", "h", current="h")
    assert 'the context "h"' in found({"HOME": str(home)})
    variable = str(config(tmp_path / "variable", "v", current="v"))
    assert 'the context "v"' in found({"HOME": str(home), "KUBECONFIG": variable})
    named = str(config(tmp_path / "named", "n", current="n"))
    assert 'the context "n"' in found({"KUBECONFIG": variable}, kubeconfig=named)


def test_nothing_to_be_found(tmp_path):
    with pytest.raises(AccessError, match="name a kubeconfig"):
        find_access({}, folder=tmp_path)
    with pytest.raises(AccessError, match="there is no such file"):
        find_access({}, kubeconfig=str(tmp_path / "none"))
    with pytest.raises(AccessError, match="there is no such file"):
        find_access({"KUBECONFIG": str(tmp_path / "none")})


def test_a_pods_service_account(tmp_path):
    folder = account(tmp_path / "account")
    access = in_cluster(IN_POD, folder)
    assert access is not None
    expected = ("https://[fd00::1]:443", "kelp", folder / "ca.crt")
    assert expected == (access.server, access.namespace, access.tls.ca_file)
    assert "Bearer of-the-pod" == access.credentials.authorization()
    assert in_cluster({}, folder) is None
    assert in_cluster(IN_POD, tmp_path / "none") is None


def test_secrets_are_not_shown():
    access = Access("https://a", Fixed.token("secret"))
    assert "secret" not in repr(access)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_kubeconfig_or_an_error(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("any") / "config"
    path.write_bytes(data)
    with pytest.raises(AccessError):
        read_kubeconfig([path])


@pytest.mark.skipif(not shutil.which("kubectl"), reason="no kubectl here to compare with")
def test_files_are_merged_as_kubectl_does(tmp_path):
    one = config(tmp_path / "one", "a", current="a", user={"token": "first"})
    two = config(tmp_path / "two", "a", current="b", user={"token": "second"})
    three = config(
        tmp_path / "deep" / "three", "b", current="b", user={"client-certificate": "c.pem"},
        **{"certificate-authority": "ca.pem", "tls-server-name": "kube"},
    )  # fmt: skip
    listed = f"{tmp_path}/none:{one}:{two}:{three}"
    for context in ("", "a", "b"):
        words = ["kubectl", "config", "view", "--raw", "--minify", "--flatten=false", "-o", "json"]
        shown = json.loads(
            subprocess.run(
                [*words, *([f"--context={context}"] if context else [])],
                env={"KUBECONFIG": listed, "PATH": os.environ["PATH"], "HOME": str(tmp_path)},
                capture_output=True, check=True,
            ).stdout
        )  # fmt: skip
        cluster, user = shown["clusters"][0]["cluster"], shown["users"][0]["user"]
        access = find_access({"KUBECONFIG": listed}, context=context)
        token = access.credentials.authorization().removeprefix("Bearer ")
        assert (cluster["server"], user.get("token", "")) == (access.server, token)
        assert cluster.get("tls-server-name", "") == access.tls.server_name
        for shown_path, path in (
            (cluster.get("certificate-authority"), access.tls.ca_file),
            (user.get("client-certificate"), access.tls.cert_file),
        ):
            assert (shown_path or "") == (path.name if path else "")


@pytest.mark.skipif(not shutil.which("kubectl"), reason="no kubectl here to ask the double")
def test_kubectl_gets_from_the_double_what_kelp_gets(tmp_path):
    """So that the double is an API server not only to the code that is tested against it."""
    authority, serving = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(serving)
    with KubeApi(serving) as api:
        api.node("n1").write(Written(1_795_231_024_000_000, "kubelet.service", "hello"))
        path = "/api/v1/nodes/n1/proxy/logs/?query=kubelet"
        ca = base64.b64encode(authority.cert_pem.bytes()).decode()
        kubeconfig = api.kubeconfig(tmp_path / "config", ca=ca)
        words = ["kubectl", f"--kubeconfig={kubeconfig}", "get", "--raw", path]
        theirs = subprocess.run(words, capture_output=True, check=True).stdout
        client = KubeClient(find_access({}, kubeconfig=str(kubeconfig)))
        with query_journal(client, "n1", LogQuery(["kubelet"])) as answer:
            assert theirs == answer.read(1 << 20)
        assert b"kubelet[4242]: hello\n" in theirs
