import json

import pytest

from kelp.cli.main import run
from tests.doubles.log_server import loss, record

S = 1_000_000_000
T = 1_700_000_000 * S


@pytest.fixture(autouse=True)
def utc(monkeypatch):
    import time

    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def logs(server, capsysbinary):
    """Run `kelp logs` and give (exit status, output, errors)."""

    def logs(*arguments):
        status = run(["logs", *arguments])
        out, err = capsysbinary.readouterr()
        return status, out.decode(), err.decode()

    return logs


@pytest.fixture
def shop(server):
    """Two pods of payments, one of checkout, and a pod that has been restarted twice."""
    server.items = [
        record(T + 1, "first", pod="web-0"),
        record(T + 2, "proxied", pod="web-0", container="proxy"),
        record(T + 3, "second", pod="web-1", severity="error"),
        record(T + 4, "third", pod="web-01"),
        record(T + 5, "api", pod="web-5989d49775-2rmz9", container="api", app="web"),
        record(T + 6, "cart", namespace="checkout", pod="cart-0", app="cart", tier="front"),
        record(T + 7, "run 0", pod="loop-0", restart="0"),
        record(T + 8, "run 1", pod="loop-0", restart="1"),
        record(T + 9, "run 2", pod="loop-0", restart="2"),
    ]
    return server


def test_everything_of_all_namespaces(logs, shop):
    status, out, _ = logs()
    assert status == 0
    assert out.splitlines()[0] == "payments web-0 app first"
    assert "checkout cart-0 app cart\n" in out
    assert len(out.splitlines()) == 9


@pytest.mark.parametrize(
    ("arguments", "lines"),
    [
        (["-n", "payments", "web-0"], ["web-0 app first", "web-0 proxy proxied"]),
        (["-n", "payments", "web-0", "-c", "app"], ["web-0 app first"]),
        (["-n", "payments", "web-0", "app"], ["web-0 app first"]),
        (["-n", "payments", "-c", "p.*"], ["web-0 proxy proxied"]),
        (["pod/web-1"], ["payments web-1 app second"]),
        (["deployment/web"], ["payments web-5989d49775-2rmz9 api api"]),
        (["sts/cart"], ["checkout cart-0 app cart"]),
        (["-l", "app=web"], ["payments web-5989d49775-2rmz9 api api"]),
        (["-l", "app in (cart,x),tier"], ["checkout cart-0 app cart"]),
        (["-A", "-i", "fir", "-i", "^cart$"],
         ["payments web-0 app first", "checkout cart-0 app cart"]),
        (["-n", "payments", "web", "-e", "ir", "-e", "d$"], ["web-5989d49775-2rmz9 api api"]),
        (['{pod="cart-0"}'], ["checkout cart-0 app cart"]),
        (['{namespace="payments"} |= "second"'], ["payments web-1 app second"]),
        (["-n", "payments", "^web-\\d$", "-i", "e"], ["web-0 proxy proxied", "web-1 app second"]),
        (["--limit", "2"], ["payments loop-0 app run 1", "payments loop-0 app run 2"]),
        (["--tail", "1", "-n", "payments", "loop-0"], ["loop-0 app run 2"]),
        (
            ["--tail", "1", "-n", "payments", "web-0"],
            ["web-0 app first", "web-0 proxy proxied"],
        ),
        (["-n", "payments", "loop-0", "--previous"], ["loop-0 app run 1"]),
        (["-n", "payments", "--previous", "--tail", "5"], ["loop-0 app run 1"]),
        (["--since-time", "2023-11-14T22:13:20.000000008Z", "-n", "payments"],
         ["loop-0 app run 1", "loop-0 app run 2"]),
        (["--until", "2023-11-14T22:13:20.000000002Z"], ["payments web-0 app first"]),
    ],
)  # fmt: skip
def test_lines_are_those_that_were_named(logs, shop, arguments, lines):
    status, out, _ = logs(*arguments)
    assert status == 0
    assert lines == out.splitlines()


def test_a_name_that_is_no_pods_fits_anywhere(logs, shop):
    _, out, _ = logs("-n", "payments", "eb-0")
    assert out.splitlines() == ["web-0 app first", "web-0 proxy proxied", "web-01 app third"]


def test_timestamps_stand_before_the_line(logs, shop):
    _, out, _ = logs("pod/web-1", "--timestamps")
    assert out == "2023-11-14T22:13:20.000000003Z payments web-1 app second\n"


def test_raw_is_byte_for_byte(logs, server, capsysbinary):
    item = record(T, "\ufffd\x1b[2J")
    item["record"]["line_base64"] = "/xtbMko="
    server.items = [item]
    assert run(["logs", "-o", "raw"]) == 0
    assert capsysbinary.readouterr().out == b"\xff\x1b[2J\n"


def test_jsonl_is_an_object_a_line(logs, shop):
    _, out, _ = logs("web-1", "-o", "jsonl")
    assert [json.loads(line) for line in out.splitlines()] == [
        {
            "timestamp": "2023-11-14T22:13:20.000000003Z",
            "severity": "error",
            "line": "second",
            "labels": {
                "namespace": "payments",
                "pod": "web-1",
                "pod_uid": "u",
                "container": "app",
                "restart": "0",
                "stream": "stdout",
            },
            "position": T + 3,
        }
    ]


def test_fields_are_asked_for_behind_the_filters(logs, shop):
    for arguments in (["web-0", "-i", "first"], ['{pod="web-0"}'], ["web-0", "--tail", "1"]):
        status, _, _ = logs(*arguments, "-o", "jsonl", "--fields")
        assert status == 0
        query = [params["query"] for path, params in shop.requests if "query" in params][-1]
        assert query.endswith("\n| fields")


def test_json_is_an_array(logs, shop):
    _, out, _ = logs("-o", "json", "-n", "payments", "web-0")
    assert [r["line"] for r in json.loads(out)] == ["first", "proxied"]
    status, out, _ = logs("-o", "json", "{pod='none'}".replace("'", '"'))
    assert (status, json.loads(out)) == (0, [])


def test_losses_are_shown_where_they_fall(logs, server):
    server.items = [
        record(T, "before"),
        loss(T + 10 * S, T + 13 * S, 1_258_291),
        record(T + 20 * S, "after"),
    ]
    _, out, _ = logs()
    assert out.splitlines() == [
        "payments web-0 app before",
        "payments web-0 app … 1.2 MiB not collected between 2023-11-14 22:13:30 and "
        "2023-11-14 22:13:33: rotated away",
        "payments web-0 app after",
    ]
    _, out, err = logs("-o", "raw")
    assert out == "before\nafter\n"
    assert "kelp: payments web-0 app … 1.2 MiB not collected between" in err
    _, out, _ = logs("-o", "jsonl")
    found = json.loads(out.splitlines()[1])["loss"]
    assert found["start"] == "2023-11-14T22:13:30.000000000Z"
    assert (found["size_bytes"], found["reason"]) == (1_258_291, "rotated_away")


def test_colours_are_for_terminals_alone(logs, shop):
    _, out, _ = logs("web-1")
    assert "\x1b" not in out
    _, out, _ = logs("web-1", "--color", "always")
    assert "\x1b[31msecond\x1b[0m" in out


def test_the_newest_lines_are_shown_where_nothing_says_how_many(logs, server):
    server.items = [record(T + i, str(i)) for i in range(1500)]
    status, out, err = logs()
    assert status == 0
    assert out.splitlines()[0] == "payments web-0 app 500"
    assert "kelp: the newest 1000 lines; for more: --since 1h" in err
    for arguments in (["--tail", "-1"], ["--limit", "0"], ["--since-time", "2000-01-01"]):
        _, out, err = logs(*arguments)
        assert len(out.splitlines()) == 1500
        assert "newest" not in err


def test_the_servers_warnings_are_told(logs, shop):
    shop.warnings = ["partial: budget"]
    assert logs()[2] == "kelp: warning: partial: budget\n"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["web-9"], 'kelp: no logs of a pod fit "web-9"; near it: web-0, web-01, web-1'),
        (["-n", "payment", "web-0"],
         'kelp: no logs of a namespace "payment"; near it: payments\n'),
        (["-n", "checkout", "web-0"],
         'kelp: no logs of a pod in namespace checkout fit "web-0"; there are: cart-0\n'),
        (["deployment/webb"], 'kelp: no logs of a pod fit "deployment/webb"; near it: web-'),
        (["web-1", "--previous"],
         "kelp: no earlier run of the containers that fit is stored\n"),
        (["web-9", "--previous"], 'kelp: no logs of a pod fit "web-9"; near it: '),
        (["svc/web"], "kelp: expected KIND/NAME with a KIND of pod, deployment, "),
        (["-i", "("], 'kelp: --include: expected a pattern (RE2); got "("'),
        (["-c", "*"], 'kelp: --container: expected a pattern (RE2); got "*"'),
        (["-l", "a=(", "web-0"], "kelp: expected a label selector such as "),
        (["--since", "x"], 'kelp: expected a duration such as 10m, 1h30m or 7d; got "x"\n'),
        (["--until", "x"], "kelp: expected a time such as 2026-11-20T10:11:12Z"),
        (['{a="b"} |||'], "kelp: line 1:3: no query; write one\n"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told(logs, shop, arguments, expected):
    status, out, err = logs(*arguments)
    assert (status, out) == (1, "")
    assert err.startswith(expected), err


@pytest.mark.parametrize(
    "arguments",
    [
        ["-f", "--until", "1h"],
        ["-f", "--previous"],
        ["--since", "1h", "--since-time", "10:11"],
        ["--tail", "5", "--limit", "5"],
        ["--limit", "-1"],
        ["--tail", "-2"],
        ["-n", "a", "-A"],
        ["web-0", "app", "-c", "app"],
        ["-n", "a", "{}"],
        ["--previous", "{}"],
        ["--fields"],
        ["--fields", "-o", "raw"],
    ],
)
def test_flags_that_do_not_go_together_are_usage_errors(logs, arguments):
    status, out, err = logs(*arguments)
    assert (status, out) == (2, "")
    assert "Error: " in err


def test_lines_that_do_not_fit_are_no_error(logs, shop):
    status, out, err = logs("-n", "payments", "web-0", "-i", "nowhere")
    assert (status, out) == (0, "")
    assert "kelp: no lines fit; there are logs of these pods" in err


def test_an_answer_that_is_cut_is_an_error(logs, shop):
    shop.cut_after = 2
    status, out, err = logs()
    assert status == 1
    assert len(out.splitlines()) == 2
    assert err == "kelp: the answer was cut on its way\n"


def test_a_wrong_token_is_told(logs, shop, monkeypatch):
    monkeypatch.setenv("KELP_TOKEN", "wrong")
    status, _, err = logs()
    assert status == 1
    assert err == f"kelp: the server at {shop.url} does not accept the token from $KELP_TOKEN\n"


def test_a_server_that_is_not_there_is_told(logs, server):
    status, _, err = logs("--url", "http://127.0.0.1:1")
    assert status == 1
    assert err == (
        "kelp: no Kelp server answers at http://127.0.0.1:1 (Connection refused): start one with "
        "`kelp up`, or name another with --url or $KELP_URL\n"
    )


def test_previous_is_told_for_each_container_by_itself(logs, shop):
    shop.items += [
        record(T + 20, "other 0", pod="other-0", restart="0"),
        record(T + 21, "other 1", pod="other-0", restart="1"),
    ]
    _, out, _ = logs("-n", "payments", "--previous")
    assert out.splitlines() == ["loop-0 app run 1", "other-0 app other 0"]
    _, out, _ = logs("-n", "payments", "--previous", "--limit", "1")
    assert out.splitlines() == ["other-0 app other 0"]
