"""Kernel lines as Lines, for tests."""

import numpy as np
import pyarrow as pa

from kelp.agent.assemble.oom import KillLedger, Names, Source, bare_line, line_in_file
from kelp.agent.assemble.oom.joiner import OomJoiner
from kelp.model.lines import Lines
from kelp.model.raw import Instance

START_NS = 1_795_169_472_000_000_000
KMSG = Instance("kmsg:b1", {"dataset": "kernel", "node": "n1", "boot_id": "b1"})
SYSLOG = Instance("/var/log/syslog", {"dataset": "node", "filename": "/var/log/syslog"})


def kernel_lines(texts, first=0, instance=KMSG, apart_ns=1_000_000, marks=None):
    """Each text a record, a millisecond after the one before."""
    n = len(texts)
    return Lines(
        instances=[instance] * n,
        instance=np.arange(n, dtype=np.int32),
        stream=np.zeros(n, np.uint8),
        timestamp=START_NS + (first + np.arange(n, dtype=np.int64)) * apart_ns,
        position=np.arange(first, first + n, dtype=np.uint64),
        body=pa.array([t.encode() for t in texts], pa.binary()),
        marks=marks or {},
        observed_ns=START_NS + (first + n) * apart_ns,
        told=np.full(n, 13, np.uint8),
        told_first=True,
    )


def who_is(pod_uid, container_id):
    return Names("shop", "web-1", "app" if container_id else "") if pod_uid else Names()


class Joining:
    """A joiner with its ledger, that can be started again from its checkpoints."""

    def __init__(self, in_file=False, max_bytes=1 << 20):
        datasets = frozenset({"kernel", "node"} if in_file else {"kernel"})
        self.source = Source(line_in_file if in_file else bare_line, datasets, max_bytes)
        self.ledger = KillLedger()
        self.checkpoints = {}
        self.start()

    def start(self):
        self.joiner = OomJoiner(self.source, who_is, self.ledger, self.checkpoints)

    def commit(self):
        for key, value in self.joiner.changes().items():
            if value is None:
                del self.checkpoints[key]
            else:
                self.checkpoints[key] = value

    def join(self, lines):
        return records(self.joiner.join(lines))

    def expire(self, now_ns=START_NS + 10**12):
        late = self.joiner.expire(now_ns)
        return [] if late is None else records(late)


def records(lines):
    """(position, body, marks, told) of each."""
    return [
        (int(lines.position[i]), lines.body[i].as_py().decode(), dict(lines.marks.get(i, {})),
         int(lines.told[i]) if lines.told is not None else 0)
        for i in range(len(lines))
    ]  # fmt: skip
