import signal
import subprocess
import sys

from tests.waiting import wait_until


def test_the_writer_says_when_it_is_ready_and_ends_when_told(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-m", "kelp.demo", str(tmp_path / "pods"), "--past-s", "30",
         "--ready-file", str(tmp_path / "ready")],
        stderr=subprocess.PIPE,
    )  # fmt: skip
    wait_until((tmp_path / "ready").exists)
    (log,) = (tmp_path / "pods").glob("payments_web-0_*/proxy/0.log")
    assert log.stat().st_size > 0
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=10)
    assert (process.returncode, err) == (0, b"")
    assert log.read_bytes().endswith(b"\n")
