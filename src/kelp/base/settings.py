"""Every setting of Kelp, with its default and its reason.

One file (`kelp.yaml`) holds them all; `kelp.base.config` reads it, lays the environment over it
(`KELP_AGENT_PODS_DIR` is `agent.pods_dir`) and reports errors by line. Units stand in names.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, field

Bytes = Annotated[int, Meta(ge=0)]
Seconds = Annotated[float, Meta(ge=0)]
Count = Annotated[int, Meta(ge=1)]


def default_data_dir() -> str:
    """/var/lib/kelp for root, $XDG_DATA_HOME/kelp (~/.local/share/kelp) for everyone else."""
    if os.geteuid() == 0:
        return "/var/lib/kelp"
    home = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return str(Path(home) / "kelp")


def default_node() -> str:
    """The machine's host name."""
    return socket.gethostname()


class Section(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A mapping in kelp.yaml; unknown keys are refused."""


class ServerTls(Section):
    """TLS of the server's listener; off while cert_file is empty."""

    cert_file: str = ""
    """The server's certificate with its chain, PEM."""
    key_file: str = ""
    """The private key of cert_file, PEM."""
    client_ca_file: str = ""
    """Where set, a client must show a certificate of this authority (mTLS)."""


class Server(Section):
    """`kelp server`: receives, stores, answers."""

    listen: str = "127.0.0.1:3170"
    """host:port. Loopback until told otherwise, for what is served is everybody's logs."""
    insecure_listen: bool = False
    """Allow a non-loopback address without TLS (behind a TLS-terminating proxy)."""
    tls: ServerTls = field(default_factory=ServerTls)
    token_file: str = ""
    """The API token; empty: DATA_DIR/token, made on first start with mode 0600."""
    max_request_bytes: Bytes = 64 << 20
    """A larger request body is refused with 413 before it is read whole."""
    inbox_max_bytes: Bytes = 2 << 30
    """Received and durable, not yet in the store. At the limit agents get 429 and wait."""
    insert_interval_s: Seconds = 0.5
    """How long segments gather for one insert: long enough against a flood of parts, short
    enough that what was received is found within 2 s."""
    insert_max_bytes: Bytes = 128 << 20
    """Records of one insert at the most, in memory; at full speed the server needs some eight
    times as much in all. Smaller inserts are merged more often, which costs CPU."""


class Retention(Section):
    """How long the records of a dataset and namespace are kept; the first rule that fits counts."""

    days: Annotated[float, Meta(gt=0)]
    """Records older than this go."""
    dataset: str = "*"
    """The dataset meant; "*" stands for all."""
    namespace: str = "*"
    """The namespace meant; "*" stands for all."""


class Store(Section):
    """Where records are kept."""

    url: str = ""
    """chdb:///path (embedded), http:// or https://user:password@host:port/database (ClickHouse);
    empty: chdb://DATA_DIR/store."""
    cluster: str = ""
    """ClickHouse cluster name: DDL runs ON CLUSTER, tables are replicated and distributed."""
    retention_days: Annotated[float, Meta(gt=0)] = 30
    """For what no rule of `retention` names."""
    retention: list[Retention] = []
    """Rules by dataset and namespace; the first that fits counts."""
    max_bytes: Bytes = 0
    """Size of the embedded store at which its oldest records go; 0: no limit."""
    delete_delay_s: Seconds = 60.0
    """A deletion is done so long after it was asked for (Loki: delete_request_cancel_period): time
    to cancel it, and by then what was received before it is in the store."""
    encryption_key_file: str = ""
    """File with 32 hex digits: the embedded store is encrypted (AES-128-CTR) with that key."""


class Query(Section):
    """What a single query may cost; a request can ask for less, never for more."""

    timeout_s: Seconds = 60.0
    """A query that runs longer is stopped."""
    max_memory_bytes: Bytes = 4 << 30
    """Memory of the engine for one query; beyond it the query fails and says so."""
    max_scanned_rows: Bytes = 10_000_000_000
    """Rows that one query may read."""
    max_scanned_bytes: Bytes = 1 << 40
    """Uncompressed bytes that one query may read."""
    max_entries: Count = 5000
    """Upper bound of `limit`, as Loki's max_entries_limit_per_query."""
    max_series: Count = 10_000
    """Series in the answer of a metric query."""
    max_concurrent: Count = 8
    """More wait for their turn; the engine uses all cores for each."""
    derive_service_name: bool = True
    """Add the label service_name where a stream has none (Loki: discover_service_name)."""
    derive_detected_level: bool = True
    """Add detected_level to every record (Loki: discover_log_levels)."""


class Spool(Section):
    """The agent's durable queue."""

    dir: str = ""
    """Empty: DATA_DIR/spool."""
    max_bytes: Bytes = 1 << 30
    """At the limit the agent stops reading: the data waits in the node's own files."""
    segment_bytes: Bytes = 8 << 20
    """Read bytes that close a segment; larger ones compress better and cost memory."""
    flush_interval_s: Seconds = 0.5
    """A segment is closed at this age at the latest: what a reader waits for a new line."""
    fsync: Literal["always", "never"] = "always"
    """never: survives the agent's death, not the machine's."""
    encryption_key_file: str = ""
    """File with 64 hex digits: segments lie encrypted (AES-256-GCM) in the spool."""
    encrypt: bool = True
    """With a key file: false opens what lies encrypted and writes plain, to switch it off."""


class Ship(Section):
    """Where segments go."""

    url: str = ""
    """The Kelp server; empty: http://127.0.0.1:3170."""
    token_file: str = ""
    """Bearer token; empty: DATA_DIR/token."""
    ca_file: str = ""
    """Authority of the server's certificate; empty: the system's."""
    cert_file: str = ""
    """The agent's own certificate, for mTLS."""
    key_file: str = ""
    """The private key of cert_file."""
    timeout_s: Seconds = 30.0
    """A request without an answer is given up after this, and tried again."""
    backoff_max_s: Seconds = 30.0
    """Retries double from 0.1 s up to this, each with full jitter; Retry-After goes before."""


class File(Section):
    """Plain log files: a log with its rotated files, each line a record."""

    path: str
    """Absolute; `*`, `?` and `[…]` fit within a part. Rotated files (`.1`, `.2.gz`, `-20261120`)
    belong to the live one and need no pattern."""
    dataset: str = "node"
    """The label `dataset` of its records."""
    labels: dict[str, str] = {}
    """Further labels of its records."""


_FILES = {
    "node": (
        "kubelet.log", "kube-proxy.log", "kube-apiserver.log", "kube-scheduler.log",
        "kube-controller-manager.log", "etcd.log", "containerd.log", "docker.log", "syslog",
        "messages",
    ),
    "kernel": ("kern.log",),
    "audit": (
        "audit.log", "audit/audit.log", "kubernetes/audit.log", "kubernetes/audit/audit.log",
        "kube-apiserver/audit.log",
    ),
}  # fmt: skip


def default_files() -> list[File]:
    """the usual logs of a node's services under /var/log (docs/reference/sources.md)"""
    return [File(path=f"/var/log/{n}", dataset=d) for d, names in _FILES.items() for n in names]


def default_units() -> list[str]:
    """["kubelet", "containerd", "crio", "docker"]"""
    return ["kubelet", "containerd", "crio", "docker"]


class Journal(Section):
    """What the node's units write to journald, read by journalctl."""

    enabled: bool = True
    """Where there is no journalctl the source is off by itself."""
    units: list[str] = field(default_factory=default_units)
    """Units by name or pattern (`kube*`); `kubelet` is `kubelet.service`. By default what
    Kubernetes runs on; `["*"]` takes all. A pattern makes journalctl read the whole journal."""
    kernel: bool = False
    """Take the kernel's lines out of the journal. Off, for `agent.kmsg` reads them at their source;
    on where the agent may not read /dev/kmsg."""
    start: Literal["boot", "all", "now"] = "boot"
    """Where the first start begins; later ones go on where the last one was. A node's journal can
    be years old, and what is asked of is mostly this boot."""
    command: str = "journalctl"
    """Name or path of journalctl: it must be able to read what the node's journald writes."""
    directory: str = ""
    """Folder of the journal's files; empty: journalctl's own choice. In a container the node's
    /var/log/journal, mounted."""


class Kmsg(Section):
    """The kernel's own log, /dev/kmsg."""

    enabled: bool = True
    """Where the agent may not read it (it takes root or CAP_SYSLOG) the source is off by itself."""
    path: str = "/dev/kmsg"
    """The device."""


def default_api_units() -> list[str]:
    """["kubelet", "containerd"]"""
    return ["kubelet", "containerd"]


def default_nodes() -> list[str]:
    """["*"]"""
    return ["*"]


class NodeLogs(Section):
    """Journals of nodes that no agent runs on, through the API server (NodeLogQuery)."""

    enabled: bool = False
    """Off, for an agent on the node reads more of it at less cost. One agent of the cluster has it
    on: docs/how-to/managed-clusters.md."""
    nodes: list[str] = field(default_factory=default_nodes)
    """Nodes by name or pattern."""
    units: list[str] = field(default_factory=default_api_units)
    """Services by name; kubelets know no patterns."""
    poll_interval_s: Seconds = 10.0
    """How often each unit of each node is asked for. Every time the kubelet runs journalctl."""
    lookback_s: Seconds = 3600.0
    """How far back the first reading of a journal begins; later ones go on where the last was."""
    max_concurrent: Annotated[int, Meta(ge=1, le=64)] = 4
    """Questions under way at once, each with up to 4 MiB of answer in memory; beside them up to
    8 MiB of answers wait."""
    kubeconfig: str = ""
    """The way to the API server; empty: $KUBECONFIG, ~/.kube/config, else the pod's service
    account."""


class Multiline(Section):
    """How lines of a container become records; the first rule that fits it counts.

    Exactly one of the three patterns (RE2) is set; containers without a rule have their stack
    traces recognised.
    """

    namespace: str = "*"
    """Glob; "*" stands for all."""
    pod: str = "*"
    """Glob; "*" stands for all."""
    container: str = "*"
    """Glob; "*" stands for all."""
    start_pattern: str = ""
    """A line in which it is found begins a record; the lines behind belong to it."""
    continue_pattern: str = ""
    """A line in which it is found belongs to the one before."""
    unfinished_pattern: str = ""
    """A line in which it is found goes on in the next one."""


class FormatRule(Section):
    """What the lines of some containers or files are; the first rule that fits counts."""

    format: str
    """Name of a format, as in docs/reference/formats.md; `text`: of none."""
    namespace: str = "*"
    """Glob; "*" stands for all."""
    pod: str = "*"
    """Glob; "*" stands for all."""
    container: str = "*"
    """Glob; "*" stands for all."""
    filename: str = "*"
    """Glob of the label `filename`; "*" stands for all."""


class Agent(Section):
    """`kelp agent`: collects on a node."""

    listen: str = "127.0.0.1:3171"
    """/metrics, /healthz, /readyz and /-/reload."""
    node: str = field(default_factory=default_node)
    """The label `node` of every record; in a pod the node's name by the downward API."""
    cluster: str = ""
    """The label `cluster` of every record; empty: no such label."""
    pods_dir: str = "/var/log/pods"
    """Where the kubelet keeps containers' logs."""
    containers_dir: str = "/var/log/containers"
    """Links to containers' logs; those are read that do not lead to pods_dir (docker without the
    kubelet's pods folder). Empty: none."""
    kubernetes: Literal["auto", "on", "off"] = "auto"
    """Ask the API server for the annotations of the node's pods (`kelp.dev/format`). auto: in a pod
    with a service account. The agent's start waits a second for the first answer at the most,
    and nothing is lost without any."""
    poll_interval_s: Seconds = 0.25
    """How often files that grow are looked at."""
    scan_interval_s: Seconds = 10.0
    """The periodic scan beside inotify, for folders that inotify cannot see."""
    inotify: bool = True
    """Wake up on changes; without it the periodic scan alone finds new files."""
    max_open_files: Count = 2048
    """Open descriptors at the most; the least recently grown file is closed first."""
    max_held_bytes: Bytes = 1 << 30
    """Deleted log files that stay on the disk, being open, until they are read. Beyond it the
    oldest are given up and counted as lost: the node's disk is worth more than their rest."""
    max_read_bytes: Bytes = 4 << 20
    """Read from all files before a batch is made of it: bounds the agent's memory."""
    max_record_bytes: Bytes = 16 << 20
    """A longer record is cut here, marked with its missing bytes, and counted."""
    partial_timeout_s: Seconds = 60.0
    """A record whose last fragment does not come is given out as it is after this."""
    files: list[File] = field(default_factory=default_files)
    """Plain log files; `[]` for none. Of the default ones those are left out that a syslog daemon
    copies from the journal or the kernel's log, where these are read."""
    zone: str = ""
    """Zone of times in plain files that name none (Europe/Berlin); empty: the machine's. In a
    container the node's own has to be named."""
    journal: Journal = field(default_factory=Journal)
    kmsg: Kmsg = field(default_factory=Kmsg)
    node_logs: NodeLogs = field(default_factory=NodeLogs)
    join_traces: bool = True
    """Make one record of a stack trace's lines. Off: every line is a record, save where a rule of
    `multiline` says otherwise."""
    trace_timeout_s: Seconds = 1.0
    """A trace whose next line does not come is given out after this: long enough for a runtime
    that prints line by line, short enough for whoever waits for the last line."""
    multiline: list[Multiline] = []
    """Rules by container, of namespace, pod and container; the first that fits counts."""
    recognise_formats: bool = True
    """Find out what the lines of a stream are (JSON, klog, ingress-nginx …). The stream's labels
    `format` and `dataset` follow from it, and so do the fields that queries know. Off: only what
    `formats` or an annotation names."""
    formats: list[FormatRule] = []
    """Formats by container or file, where recognising fails. A pod's annotation
    `kelp.dev/format`, or `kelp.dev/format.CONTAINER`, goes before it."""
    oom_count_interval_s: Seconds = 5.0
    """How often the cgroups' counters of kills are looked at, so that a kill whose kernel message
    was lost is still counted; 0: never."""
    node_metrics: bool = True
    """Tell the node's own figures on /metrics too, under node-exporter's names. Off where a
    node-exporter runs and is scraped beside it, lest each figure be counted twice."""
    answer_asks: bool = True
    """Answer what is asked of this node through the server: `kelp node … NODE`, `kelp
    support-bundle NODE`. The agent asks for questions, so it needs no open port; what it can tell
    is what those commands show, without arguments that look like secrets, and never a log. Off
    where the server's users may not know of the node."""
    proc_dir: str = "/proc"
    """The node's proc file system: in a container without hostPID where the node's is mounted."""
    sys_dir: str = "/sys"
    """The node's sys file system, likewise."""
    spool: Spool = field(default_factory=Spool)
    ship: Ship = field(default_factory=Ship)


class Settings(Section):
    """The whole of kelp.yaml."""

    data_dir: str = field(default_factory=default_data_dir)
    """State of the server and of the agent, and the API token."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """What Kelp writes about itself, on standard error."""
    server: Server = field(default_factory=Server)
    store: Store = field(default_factory=Store)
    query: Query = field(default_factory=Query)
    agent: Agent = field(default_factory=Agent)

    def under_data_dir(self, configured: str, name: str) -> Path:
        """The path that a setting names, or DATA_DIR/name where it is empty."""
        return Path(configured) if configured else Path(self.data_dir) / name
