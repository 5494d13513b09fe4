"""What kubelet and runtime do to the files under /var/log/pods.

As seen on a node of Kubernetes 1.36 with containerd: a log that is too large is renamed with the
time behind its name and opened anew; the one renamed before is compressed only then (`.tmp`, then
`.gz`), and the oldest goes. A restart begins N+1.log; of the runs before only the last one's logs
stay. A deleted pod's folder is gone a moment after its containers ended.
"""

from __future__ import annotations

import gzip
import shutil
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from kelp.demo.logfile import ContainerLog
from kelp.demo.names import Names
from kelp.demo.schedule import Program, Schedule

# The kubelet's defaults are 10Mi, 5 files and 10 s; a demo wants to show rotation within minutes.
MAX_LOG_BYTES = 256 * 1024
MAX_LOG_FILES = 4
MONITOR_INTERVAL_S = 10.0
# From the end of a pod's containers to the end of its folder.
REMOVAL_DELAY_S = 1.5


@dataclass
class Pod:
    """A pod on this node with its containers' logs."""

    namespace: str
    name: str
    uid: str
    folder: Path
    containers: dict[str, ContainerLog]
    schedule: Schedule
    running: bool = True
    ended: set[str] = field(default_factory=set)  # containers that wait for their next run

    def out(self, container: str, text: str | bytes) -> None:
        """The container printed a line (or several) to its stdout."""
        self._write(container, "stdout", text)

    def err(self, container: str, text: str | bytes) -> None:
        """The container printed a line (or several) to its stderr."""
        self._write(container, "stderr", text)

    def _write(self, container: str, stream: str, text: str | bytes) -> None:
        if self.running and container not in self.ended:
            self.containers[container].write(self.schedule.now_ns, stream, text)


class Kubelet:
    """Makes, rotates and removes the logs of this node's pods under `root`."""

    def __init__(self, root: Path, schedule: Schedule, names: Names) -> None:
        self.root = root
        self.pods: list[Pod] = []
        self._schedule = schedule
        self._names = names

    def create(self, namespace: str, name: str, containers: list[str]) -> Pod:
        """Start a pod; its folders and first files are there when this returns."""
        uid = self._names.uid()
        folder = self.root / f"{namespace}_{name}_{uid}"
        logs = {}
        for container in containers:
            (folder / container).mkdir(parents=True)
            logs[container] = ContainerLog(folder / container)
        pod = Pod(namespace, name, uid, folder, logs, self._schedule)
        self.pods.append(pod)
        return pod

    def restart(self, pod: Pod, container: str) -> None:
        """Start a container again; the logs of all but the run before go."""
        log = pod.containers[container]
        log.start_again()
        pod.ended.discard(container)
        for path in log.folder.iterdir():
            if int(path.name.partition(".")[0]) < log.restart - 1:
                path.unlink()

    def delete(self, pod: Pod) -> Program:
        """End a pod, and a moment later its folder."""
        pod.running = False
        for log in pod.containers.values():
            log.close()
        self.pods.remove(pod)
        yield REMOVAL_DELAY_S
        shutil.rmtree(pod.folder)

    def monitor(self) -> Program:
        """Look at the sizes of logs from time to time and rotate, for ever."""
        while True:
            yield MONITOR_INTERVAL_S
            for pod in self.pods:
                for log in pod.containers.values():
                    if log.size() > MAX_LOG_BYTES:
                        self.rotate(log)

    def rotate(self, log: ContainerLog) -> None:
        """Rotate one log as the kubelet's log manager does, in its order of steps."""
        rotated = sorted(log.folder.glob(f"{log.restart}.log.*"))
        # One place is for the current file, one for the file that is renamed below.
        for oldest in rotated[: max(0, len(rotated) - (MAX_LOG_FILES - 2))]:
            oldest.unlink()
            rotated.remove(oldest)
        for path in rotated:
            if path.suffix != ".gz":
                compress(path)
        when = datetime.fromtimestamp(self._schedule.now_ns // 10**9, UTC)
        log.flush()
        log.path.rename(log.path.with_name(f"{log.path.name}.{when:%Y%m%d-%H%M%S}"))
        log.reopen()

    def flush(self) -> None:
        """Hand everything that was written to the operating system."""
        for pod in self.pods:
            for log in pod.containers.values():
                log.flush()

    def close(self) -> None:
        """Let go of all files; they stay as they are."""
        for pod in self.pods:
            for log in pod.containers.values():
                log.close()
        self.pods.clear()


def compress(path: Path) -> None:
    """Replace a rotated file by its .gz, by way of a .tmp file."""
    temporary = path.with_name(path.name + ".tmp")
    with gzip.open(temporary, "wb") as out, path.open("rb") as source:
        shutil.copyfileobj(source, out)
    temporary.rename(path.with_name(path.name + ".gz"))
    path.unlink()
