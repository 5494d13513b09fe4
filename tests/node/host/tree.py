"""Made trees of /proc, /sys and /var/log/pods, for what this machine does not have."""

from __future__ import annotations

from pathlib import Path

from kelp.node.host.reading import Roots

UID = "6f1c3a52-08de-4b6c-9a41-77d0c2e94b10"
ID = "ab" * 32
POD_V1 = f"/kubepods/burstable/pod{UID}"
POD_V2 = (
    f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{UID.replace('-', '_')}.slice"
)
CONTAINER_V1 = f"{POD_V1}/{ID}"
CONTAINER_V2 = f"{POD_V2}/cri-containerd-{ID}.scope"

STAT = """\
cpu  400 0 200 1400 0 0 0 0 0 0
cpu0 400 0 200 1400 0 0 0 0 0 0
intr 5000 1 2
ctxt 9000
btime 1795000000
processes 77
procs_running 2
procs_blocked 1
"""
STATUS = "Name:\tx\nUid:\t0\t0\t0\t0\nRssFile:\t8 kB\nRssShmem:\t4 kB\n"


class Tree:
    """Roots in a folder of the test's own, with one CPU and an uptime of 20 s."""

    def __init__(self, folder: Path) -> None:
        self.roots = Roots(folder / "proc", folder / "sys", folder / "log" / "pods")
        self.proc = self.roots.proc
        self.write("proc/stat", STAT)
        self.write("proc/uptime", "20.00 14.00\n")
        self.write("proc/loadavg", "0.50 0.40 0.30 2/99 4242\n")
        self.write("proc/meminfo", "MemTotal:  1000 kB\nMemFree: 300 kB\nMemAvailable: 600 kB\n"
                   "Buffers: 50 kB\nCached: 250 kB\nSReclaimable: 100 kB\nSwapTotal: 80 kB\n"
                   "SwapFree: 60 kB\nHugePages_Total: 4\n")  # fmt: skip

    def write(self, path: str, text: str) -> Path:
        file = self.roots.proc.parent / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def pod(self, namespace: str = "shop", name: str = "web-0", uid: str = UID) -> None:
        (self.roots.pods / f"{namespace}_{name}_{uid}").mkdir(parents=True)

    def container(self, name: str, container_id: str = ID) -> None:
        self.write(f"log/containers/web-0_shop_{name}-{container_id}.log", "")

    def process(
        self,
        pid: int,
        name: str = "srv",
        *,
        ppid: int = 1,
        state: str = "S",
        cgroup: str = "0::/\n",
        command: str = "",
        ticks: int = 0,
        start: int = 100,
        network: int | None = None,
        descriptors: tuple[str, ...] = (),
    ) -> Path:
        """One process; of `network` (the namespace's inode), with sockets in its descriptors."""
        self.write(f"proc/{pid}/stat", stat_line(pid, name, state, ppid, ticks, start))
        self.write(f"proc/{pid}/status", STATUS)
        self.write(f"proc/{pid}/cmdline", command.replace(" ", "\0") + ("\0" if command else ""))
        self.write(f"proc/{pid}/cgroup", cgroup)
        folder = self.proc / str(pid)
        (folder / "fd").mkdir(exist_ok=True)
        for number, target in enumerate(descriptors, 3):
            (folder / "fd" / str(number)).symlink_to(target)
        if network is not None:
            (folder / "ns").mkdir()
            (folder / "ns" / "net").symlink_to(f"net:[{network}]")
        return folder


def stat_line(pid: int, name: str, state: str, ppid: int, ticks: int, start: int) -> str:
    """/proc/PID/stat with 52 fields; 3 MiB virtual, 10 pages resident, 2 threads."""
    head = f"{pid} ({name}) {state} {ppid} 1 1 0 -1 4194304 0 0 0 0 {ticks} 0 0 0 20 0 2 0"
    return f"{head} {start} 3145728 10 " + " ".join(["0"] * 28) + "\n"


class FakeClock:
    """Time that passes only when it is slept."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def now_ns(self) -> int:
        return int((1_795_000_020 + self.seconds - 1000) * 1e9)

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds
