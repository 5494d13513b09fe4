"""The cluster's own pods: DNS, the proxy, metrics and monitoring, and a CronJob each minute."""

from __future__ import annotations

from collections import deque

from kelp.demo import formats
from kelp.demo.kubelet import Pod
from kelp.demo.schedule import Program
from kelp.demo.workloads import Workload, World, daemon_set, deployment, stateful_set

DNS_PER_S = 12.0
FINISHED_JOBS_KEPT = 3  # successfulJobsHistoryLimit
JOB_STEPS = 5

_HOSTS = (
    "payments-api.payments.svc.cluster.local.",
    "ledger.payments.svc.cluster.local.",
    "web.payments.svc.cluster.local.",
    "psp.example.com.",
)


def programs(world: World) -> list[Program]:
    """What goes on for ever."""
    return [
        dns(world, deployment(world, "kube-system", "coredns", ["coredns"], 2)),
        proxy(world, daemon_set(world, "kube-system", "kube-proxy", ["kube-proxy"]).pods[0]),
        metrics(world, deployment(world, "kube-system", "metrics-server", ["metrics-server"], 1)),
        prometheus(world, stateful_set(world, "monitoring", "prometheus", ["prometheus"], 1)),
        exporter(world, daemon_set(world, "monitoring", "node-exporter", ["node-exporter"])),
        reconciliation(world),
    ]


def dns(world: World, coredns: Workload) -> Program:
    """CoreDNS with the log plugin."""
    while True:
        yield world.random.expovariate(DNS_PER_S)
        host = world.random.choice(_HOSTS)
        kind = world.random.choice(("A", "AAAA"))
        code = "NXDOMAIN" if world.random.random() < 0.05 else "NOERROR"
        line = (
            f"[INFO] {world.names.pod_ip()}:{world.random.randrange(30000, 60000)} - "
            f'{world.random.randrange(65536)} "{kind} IN {host} udp 54 false 512" '
            f"{code} qr,aa,rd 106 0.000{world.random.randrange(100, 999)}s"
        )
        coredns.pick().out("coredns", line)


def proxy(world: World, pod: Pod) -> Program:
    """kube-proxy, which says little."""
    while True:
        line = formats.klog_line(
            world.now_ns, "I", "proxier.go:820", '"Syncing iptables rules" ipFamily="IPv4"'
        )
        pod.err("kube-proxy", line)
        yield 30.0


def metrics(world: World, server: Workload) -> Program:
    """metrics-server, which cannot always reach a node."""
    while True:
        yield world.random.uniform(5.0, 20.0)
        letter, message = "I", '"Scraped node" node="node-1"'
        if world.random.random() < 0.3:
            letter = "E"
            message = '"Failed to scrape node" err="context deadline exceeded" node="node-2"'
        line = formats.klog_line(world.now_ns, letter, "scraper.go:149", message)
        server.pick().err("metrics-server", line)


def prometheus(world: World, server: Workload) -> Program:
    """Prometheus in logfmt."""
    block = 0
    while True:
        yield 15.0
        block += 1
        duration = f"{world.random.randrange(20, 900)}ms"
        line = formats.logfmt_line(
            world.now_ns, "info", "Head GC completed", component="tsdb", duration=duration
        )
        if block % 4 == 0:
            line = formats.logfmt_line(
                world.now_ns,
                "warn",
                "Error on ingesting samples that are too old",
                scrape_pool="pods",
                num_dropped=world.random.randrange(1, 40),
            )
        server.pick().err("prometheus", line)


def exporter(world: World, nodes: Workload) -> Program:
    """node-exporter, at debug."""
    while True:
        for collector in ("cpu", "diskstats", "filesystem", "meminfo", "netdev"):
            line = formats.logfmt_line(
                world.now_ns,
                "debug",
                "collector succeeded",
                name=collector,
                duration_seconds=f"{world.random.random() / 100:.6f}",
            )
            nodes.pick().err("node-exporter", line)
        yield 15.0


def reconciliation(world: World) -> Program:
    """A CronJob's pod each minute; of those that finished, the last few stay."""
    jobs = Workload(world, "payments", "reconcile", ["reconcile"])
    finished: deque[Pod] = deque()
    while True:
        minute = world.now_ns // 60_000_000_000
        yield 60.0 - (world.now_ns / 1e9) % 60.0
        pod = jobs.start(f"reconcile-{minute + 1}-{world.names.suffix()}")
        for step in range(1, JOB_STEPS + 1):
            yield world.random.uniform(0.5, 2.0)
            message = f"account batch {step}/{JOB_STEPS} reconciled"
            pod.out("reconcile", formats.python_line(world.now_ns, "INFO", "reconcile", message))
        finished.append(pod)
        if len(finished) > FINISHED_JOBS_KEPT:
            jobs.stop(finished.popleft())
