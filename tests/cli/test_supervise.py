import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from kelp.base.clock import SystemClock
from kelp.base.errors import KelpError
from kelp.cli import supervise
from kelp.cli.children import ChildSpec, describe_exit, spawn
from kelp.cli.supervise import Supervisor
from tests.waiting import wait_until

SLEEPER = "import time; time.sleep(60)"
# Ends by SIGTERM as told, and writes down which signals came.
LISTENER = """
import signal, sys
def note(number, frame):
    with open(sys.argv[1], "a") as f:
        f.write(signal.Signals(number).name + " ")
    if number == signal.SIGTERM:
        sys.exit(0)
for n in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
    signal.signal(n, note)
open(sys.argv[1], "a").close()
while True:
    signal.pause()
"""
DEAF = """
import signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
open(sys.argv[1], "w").close()
time.sleep(60)
"""


def spec(name, code, *arguments, patience_s=5.0):
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return ChildSpec(name, command, os.environ, patience_s)


@pytest.fixture
def told():
    return []


@pytest.fixture
def supervisor(told):
    return Supervisor(SystemClock(), told.append)


def send_soon(*signals, when=lambda: True):
    """Send signals to this process, one after the other, once `when` is true."""
    # To its main thread: other tests' threads do not wait for them.
    main = threading.main_thread().ident

    def send():
        wait_until(when)
        for number in signals:
            signal.pthread_kill(main, number)

    threading.Thread(target=send, daemon=True).start()


def test_children_are_stopped_by_a_signal_and_told_to_reload(supervisor, tmp_path):
    log = tmp_path / "log"
    with supervisor.signals():
        supervisor.start(spec("listener", LISTENER, log))
        assert supervisor.wait_ready(log.exists, 10)
        send_soon(signal.SIGHUP)
        send_soon(signal.SIGTERM, when=lambda: "SIGHUP" in log.read_text())
        supervisor.run()
    assert log.read_text() == "SIGHUP SIGTERM "
    assert supervisor.stopped_by is signal.SIGTERM


def test_the_last_started_is_stopped_first(supervisor, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    ends = "import os, signal, sys, time\n" + LISTENER.replace(
        'f.write(signal.Signals(number).name + " ")', "f.write(str(__import__('time').time()))"
    )
    with supervisor.signals():
        supervisor.start(spec("a", ends, first))
        supervisor.start(spec("b", ends, second))
        supervisor.wait_ready(lambda: first.exists() and second.exists(), 10)
    assert float(second.read_text()) < float(first.read_text())


def test_a_child_that_does_not_listen_is_killed(told, tmp_path):
    deaf = tmp_path / "deaf"
    supervisor = Supervisor(SystemClock(), told.append, stop_s=0.3)
    with supervisor.signals():
        supervisor.start(spec("deaf one", DEAF, deaf, patience_s=0.2))
        supervisor.wait_ready(deaf.exists, 10)
        before = time.monotonic()
    assert time.monotonic() - before < 2
    assert told == ["the deaf one does not stop; it is killed"]


def test_time_that_one_child_does_not_need_is_the_next_ones(told, tmp_path):
    slow = LISTENER.replace("sys.exit(0)", "__import__('time').sleep(1) or sys.exit(0)")
    supervisor = Supervisor(SystemClock(), told.append, stop_s=10)
    with supervisor.signals():
        supervisor.start(spec("slow", slow, tmp_path / "slow", patience_s=0.1))
        supervisor.start(spec("quick", LISTENER, tmp_path / "quick", patience_s=5))
        supervisor.wait_ready(lambda: len(list(tmp_path.iterdir())) == 2, 20)
    assert told == []


def test_a_child_that_ends_is_started_again(supervisor, told, tmp_path, monkeypatch):
    monkeypatch.setattr(supervise, "RESTART_FIRST_S", 0.05)
    runs = tmp_path / "runs"
    code = "import sys, os; open(sys.argv[1], 'a').write('x'); os.kill(os.getpid(), 9)"
    with supervisor.signals():
        supervisor.start(spec("crasher", code, runs))
        send_soon(signal.SIGINT, when=lambda: runs.exists() and len(runs.read_text()) >= 3)
        supervisor.run()
    assert told[0].startswith("the crasher was killed by SIGKILL; starting it again in 0.")
    assert len(told) >= 2


def test_a_child_that_ends_before_it_was_ready_ends_all(supervisor):
    with supervisor.signals():
        supervisor.start(spec("sleeper", SLEEPER))
        supervisor.start(spec("loser", "raise SystemExit(3)"))
        pids = [c.process.pid for c in supervisor._children]
        with pytest.raises(KelpError, match="the loser ended with status 3 before it was ready"):
            supervisor.wait_ready(lambda: False, 10)
    assert not any(alive(pid) for pid in pids)


def test_what_takes_too_long_is_told(supervisor):
    with supervisor.signals():
        supervisor.start(spec("sleeper", SLEEPER))
        with pytest.raises(KelpError, match=r"expected Kelp to be ready within 0\.1 s; it is not"):
            supervisor.wait_ready(lambda: False, 0.1)


def test_a_signal_ends_the_waiting(supervisor):
    with supervisor.signals():
        supervisor.start(spec("sleeper", SLEEPER))
        send_soon(signal.SIGINT)
        assert supervisor.wait_ready(lambda: False, 10) is False


def test_signals_are_as_before_afterwards(supervisor):
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    with supervisor.signals():
        assert signal.SIGTERM in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    assert before == signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_children_die_with_their_parent(tmp_path):
    pid_file = tmp_path / "pid"
    code = f"""
import os, sys, time
from kelp.cli.children import ChildSpec, spawn
child = spawn(ChildSpec("c", [sys.executable, "-c", {SLEEPER!r}], os.environ))
open({str(pid_file)!r}, "w").write(str(child.pid))
time.sleep(60)
"""
    parent = subprocess.Popen([sys.executable, "-c", code])
    wait_until(lambda: pid_file.exists() and pid_file.read_text())
    child = int(pid_file.read_text())
    assert alive(child)
    parent.kill()
    parent.wait()
    wait_until(lambda: not alive(child))


def test_ctrl_c_of_the_terminal_reaches_the_parent_alone():
    child = spawn(spec("sleeper", SLEEPER))
    try:
        assert os.getpgid(child.pid) == child.pid
    finally:
        child.kill()
        child.wait()


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (0, "ended with status 0"),
        (3, "ended with status 3"),
        (-9, "was killed by SIGKILL"),
        (-250, "was killed by signal 250"),
    ],
)
def test_exits_are_described(code, expected):
    assert expected == describe_exit(code)


def alive(pid):
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"
