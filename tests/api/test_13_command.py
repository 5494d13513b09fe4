"""13 `kelp server` as a process: what it prints, signals, what it leaves behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2

from tests.waiting import wait_until

_PREFIX = "Kelp is listening on "


def command(folder: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "kelp", "server", "--data-dir", str(folder), *arguments]


def environment() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.startswith("KELP_")} | {
        "KELP_CONFIG": os.devnull
    }


@contextmanager
def started(folder: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    with subprocess.Popen(
        command(folder, "--listen", "127.0.0.1:0", *arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    ) as process:
        try:
            assert process.stdout
            line = process.stdout.readline()
            assert line.startswith(_PREFIX), process.communicate()
            yield process, line.removeprefix(_PREFIX).strip()
        finally:
            process.kill()


def test_it_says_where_it_is_serves_and_stops_within_five_seconds(tmp_path: Path) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        with started(tmp_path) as (process, url):
            token = tmp_path / "token"
            assert token.stat().st_mode & 0o777 == 0o600
            headers = {"Authorization": f"Bearer {token.read_text().strip()}"}
            body = {"streams": [{"stream": {"a": "b"}, "values": [[str(time.time_ns()), "x"]]}]}
            pushed = httpx2.post(f"{url}/loki/api/v1/push", json=body, headers=headers)
            assert pushed.status_code == 204
            # Whoever follows must not hold up the stop.
            asked = {"query": '{a="b"}', "follow": "true"}
            with httpx2.stream("GET", f"{url}/kelp/v1/logs", params=asked, headers=headers) as r:
                assert next(r.iter_lines())
                process.send_signal(number)
                assert process.wait(5) == 0


def test_what_was_pushed_is_there_after_a_kill(tmp_path: Path) -> None:
    at = str(time.time_ns())
    with started(tmp_path) as (process, url):
        headers = {"Authorization": f"Bearer {(tmp_path / 'token').read_text().strip()}"}
        body = {"streams": [{"stream": {"a": "b"}, "values": [[at, "kept"]]}]}
        assert httpx2.post(
            f"{url}/loki/api/v1/push", json=body, headers=headers
        ).status_code == 204  # fmt: skip
        process.send_signal(signal.SIGKILL)
        process.wait(5)
    with started(tmp_path) as (_, url):
        found = httpx2.get(f"{url}/kelp/v1/logs", params={"query": '{a="b"}'}, headers=headers)
        assert '"line":"kept"' in found.text


def test_hangup_reads_the_settings_again(tmp_path: Path) -> None:
    config = tmp_path / "kelp.yaml"
    config.write_text("log_level: info\n")
    with started(tmp_path / "data", "--config", str(config)) as (process, url):
        headers = {"Authorization": f"Bearer {(tmp_path / 'data' / 'token').read_text().strip()}"}

        def shown() -> str:
            return httpx2.get(f"{url}/config", headers=headers).text

        assert "max_entries: 5000" in shown()
        config.write_text("query:\n  max_entries: 17\n")
        process.send_signal(signal.SIGHUP)
        wait_until(lambda: "max_entries: 17" in shown())
        config.write_text("query:\n  max_entries: many\n")
        process.send_signal(signal.SIGHUP)
        refused = httpx2.post(f"{url}/-/reload", headers=headers)
        assert (refused.status_code, "kelp.yaml:2:16" in refused.text) == (400, True)
        assert "max_entries: 17" in shown()


def test_a_taken_port_and_a_taken_folder_are_one_line(tmp_path: Path) -> None:
    with started(tmp_path) as (_, url):
        taken = url.removeprefix("http://")
        for arguments, text in (
            (command(tmp_path / "other", "--listen", taken), f"cannot listen on {taken}"),
            (command(tmp_path, "--listen", "127.0.0.1:0"), str(tmp_path)),
            (command(tmp_path, "--listen", "0.0.0.0:0"), "server.listen"),
        ):
            found = subprocess.run(
                arguments,
                check=False,
                capture_output=True,
                text=True,
                env=environment(),
                timeout=30,
            )
            assert (found.returncode, len(found.stderr.splitlines())) == (1, 1), found.stderr
            assert text in found.stderr


def test_an_ipv6_address_and_a_name(tmp_path: Path) -> None:
    if not socket.has_ipv6:
        return
    arguments = command(tmp_path, "--listen", "[::1]:0")
    with subprocess.Popen(
        arguments, stdout=subprocess.PIPE, text=True, env=environment()
    ) as process:
        assert process.stdout
        url = process.stdout.readline().removeprefix(_PREFIX).strip()
        assert url.startswith("http://[::1]:")
        assert httpx2.get(f"{url}/ready").status_code == 200
        process.terminate()
        assert process.wait(5) == 0
