"""What is a secret, what is none, and that neither takes long."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kelp.base.redact import REDACTED, Redactor

# Made up; each of the form that the real ones have.
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJib2IifQ.c2lnbmF0dXJlLW9mLW5vYm9keQ"
RANDOM = "q7Zt9LxW2mKp4VbN8RsY1dHc6GfJ3uXe"
HEX = "3f9a1c5e7b2d8064f1e3a5c7b9d0e2f4"
CONTAINER = "4b7e0d2c9a1f63855e8d7c6b5a4f3e2d1c0b9a8f7e6d5c4b3a29181706f5e4d3"
UID = "6f1c3a52-08de-4b6c-9a41-77d0c2e94b10"
PEM = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIB\nAbCd==\n-----END EC PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("app --password hunter2 --port 80", f"app --password {REDACTED} --port 80"),
        ("app --db.password='a b' x", f"app --db.password='{REDACTED}' x"),
        ("app --token=abc", f"app --token={REDACTED}"),
        ("app --api-key abc", f"app --api-key {REDACTED}"),
        ("mysqldump -u root -phunter2 shop", f"mysqldump -u root -p{REDACTED} shop"),
        ("curl -u bob:pw http://x", f"curl -u {REDACTED} http://x"),
        ("DB_PASSWORD=hunter2 LANG=C", f"DB_PASSWORD={REDACTED} LANG=C"),
        ("password: hunter2", f"password: {REDACTED}"),
        ('{"apiKey": "a b\\"c", "x": 1}', f'{{"apiKey": "{REDACTED}", "x": 1}}'),
        (r'msg="{\"password\":\"a b\"}" x=1', rf'msg="{{\"password\":\"{REDACTED}\"}}" x=1'),
        ("https://bob:pw@host/x", f"https://{REDACTED}@host/x"),
        ("postgres://bob:p/w@host:5432/db", f"postgres://{REDACTED}@host:5432/db"),
        ("amqp://bob:p@w@host/x", f"amqp://{REDACTED}@host/x"),
        ("redis://:pw@host", f"redis://{REDACTED}@host"),
        ('args: ["--password", "a b"]', f'args: ["--password", "{REDACTED}"]'),
        (r"[\"--token\",\"abc\"]", rf"[\"--token\",\"{REDACTED}\"]"),
        ('{"name":"DB_PASSWORD","value":"a b"}', f'{{"name":"DB_PASSWORD","value":"{REDACTED}"}}'),
        (
            "&KeyValue{Key:DB_PASSWORD,Value:a b,}",
            f"&KeyValue{{Key:DB_PASSWORD,Value:{REDACTED},}}",
        ),
        ("MYSQL_PWD=x", f"MYSQL_PWD={REDACTED}"),
        ("Authorization: Basic Ym9iOnB3", f"Authorization: {REDACTED}"),
        ("sent bearer abc.def-123", f"sent bearer {REDACTED}"),
        (f"got {JWT} twice", f"got {REDACTED} twice"),
        ("key AKIAIOSFODNN7EXAMPLE used", f"key {REDACTED} used"),
        ("ghp_0123456789abcdefABCDEF", REDACTED),
        ("join abcdef.0123456789abcxyz now", f"join {REDACTED} now"),
        ("mail to bob@example.com", f"mail to {REDACTED}"),
        (f"a {RANDOM} b", f"a {REDACTED} b"),
        (f"a {HEX} b", f"a {REDACTED} b"),
        (f"/x/{HEX}/y", f"/x/{REDACTED}/y"),
        (f"before {PEM} after", f"before {REDACTED} after"),
        (PEM.partition("\n-----END")[0], REDACTED),
        ("https://hooks.slack.com/services/T0/B0/xyz", f"https://{REDACTED}"),
        ("?X-Amz-Signature=abc&x=1", f"?X-Amz-Signature={REDACTED}&x=1"),
    ],
)
def test_secrets_go(text, expected):
    assert expected == Redactor().text(text)


@pytest.mark.parametrize(
    "text",
    [
        "kube-apiserver --tls-private-key-file=/etc/k.pem --token-ttl=5m --secure-port 6443",
        "kubelet --config=/var/lib/kubelet/config.yaml --cgroup-driver=systemd",
        "secretName=web-tls tokenPath=/var/run/x authorization-mode=Node",
        f"/var/lib/kubelet/pods/{UID}/volumes/kubernetes.io~projected/kube-api-access-x2x9z",
        "very-long-deployment-name-with-words-7d4b9c6f5d-x2x9z",
        f"/kubepods/burstable/pod{UID}/{CONTAINER}",
        f"cri-containerd-{CONTAINER}.scope",
        f"containerd://{CONTAINER} and sha256:{CONTAINER}",
        "/registry/events/shop/payment-worker.18e9e9439ca28318 and worker.18e9e9439ca28318",
        f'RemoveContainer containerID="{CONTAINER}" and {CONTAINER} once more',
        f'StopPodSandbox for \\"{CONTAINER}\\" k8s.io/{CONTAINER} cpuset={CONTAINER}',
        "/bgl/apps/swl-prep/rky-swl/MPI-PERF/IMB/perf_tests/tryToReloadTodayBasicSteps1514044800",
        "legacy_serviceaccount_token_cleaner.go:103 burstTokens=10 token-syncs=5",
        "user@1000.service getty@tty1.service",
        "/usr/lib/x86_64-linux-gnu/libgtk-3-bin/some-longer-name-of-a-program",
        "java -XX:+UseG1GC -Djava.util.logging.config.file=/opt/Tomcat9/conf/logging.properties",
        "[    1.234567] Out of memory: Killed process 4242 (java) total-vm:123456kB, anon-rss:99kB",
        "PWD=/root key=value monkey=1 compass=north",
        '{"name":"LANG","value":"C"} &KeyValue{Key:LANG,Value:C,}',
        "password=true passwordless token: null",
    ],
)
def test_what_a_support_case_needs_stays(text):
    assert text == Redactor().text(text)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["app", "--password", "a b c", "x"], ["app", "--password", REDACTED, "x"]),
        (["env", "DB_PASSWORD=a b", "x"], ["env", f"DB_PASSWORD={REDACTED}", "x"]),
        (["/usr/bin/mysql", "-p123 4"], ["/usr/bin/mysql", f"-p{REDACTED}"]),
        (["sshpass", "-p", "123", "ssh"], ["sshpass", "-p", REDACTED, "ssh"]),
        (["tool", "-p", "hunter2"], ["tool", "-p", REDACTED]),
        (["redis-cli", "-a", "x y"], ["redis-cli", "-a", REDACTED]),
        (["sh", "-c", "mysql -phunter2 x"], ["sh", "-c", f"mysql -p{REDACTED} x"]),
        (["app", "--token", "--verbose"], ["app", "--token", "--verbose"]),
        (["ssh", "-p", "22", "host"], ["ssh", "-p", "22", "host"]),
        (["docker", "run", "-p", "80:80"], ["docker", "run", "-p", "80:80"]),
        (["nginx", "-p", "/etc/nginx"], ["nginx", "-p", "/etc/nginx"]),
        (["find", "/x", "-path", "y", "-print"], ["find", "/x", "-path", "y", "-print"]),
        ([], []),
    ],
)
def test_arguments_are_known_by_their_places(words, expected):
    assert expected == Redactor().arguments(words)


def test_known_secrets_go_wherever_they_stand_and_spared_words_stay():
    redactor = Redactor(known=["correct horse", b"short"], spared=[HEX])
    assert f"x{REDACTED}y short {HEX}" == redactor.text(f"xcorrect horsey short {HEX}")


def test_json_is_redacted_by_its_values_and_names():
    value = {"command": "x --token abc", "password": "any thing", "n": 1, "all": [HEX, None, True]}
    expected = {
        "command": f"x --token {REDACTED}", "password": REDACTED, "n": 1,
        "all": [REDACTED, None, True],
    }  # fmt: skip
    assert expected == Redactor().value(value)


@given(st.binary(max_size=300))
def test_any_bytes_are_taken(data):
    Redactor(known=["abcdefgh"]).data(data)


SECRETS = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=6)


@given(SECRETS, st.sampled_from(["--password={}", "TOKEN={}", "http://u:{}@h/", '"secret": "{}"',
                                 "--client-secret {}", "Authorization: Bearer {}"]))  # fmt: skip
def test_whatever_the_secret_is_its_name_gives_it_away(secret, form):
    shown = Redactor().text("x " + form.format(secret) + " y")
    harmless = secret.lower() in ("true", "false", "null", "none")
    assert harmless or secret not in shown.replace(REDACTED, "")


@pytest.mark.parametrize(
    "unit", [b"a", b"token=", b"-----BEGIN X-----", b"-p ", b"mysql -p", b"a@a.", b"://:", b'"\\']
)
def test_the_time_is_linear(unit):
    data = unit * (1_000_000 // len(unit))
    began = time.process_time()
    Redactor().data(data)
    assert time.process_time() - began < 10
