"""Each rule finds its example and the other forms of it, and ordinary lines have no problem."""

from pathlib import Path

import pytest

from kelp.base.problems import FINDERS, PROBLEM, all_rules
from kelp.model.severity import WARN

SHARED = Path(__file__).parents[3].parent / "shared" / "data"

RULES = list(all_rules())


def problem(where, line):
    found = FINDERS[where].of(line.encode())
    return found and found.attributes


def reason(where, line):
    found = problem(where, line)
    return found and found[PROBLEM]


@pytest.mark.parametrize(("where", "rule"), RULES, ids=lambda v: getattr(v, "reason", v))
def test_an_example_gives_its_reason(where, rule):
    found = FINDERS[where].of(rule.example.encode())
    assert rule.reason == found.attributes[PROBLEM]
    assert rule.severity == found.severity >= WARN
    assert any(word in rule.example for word in rule.words)


OTHER_FORMS = [
    # the kernel's, of other versions and drivers
    ("kernel", "BUG: kernel NULL pointer dereference, address: 0000000000000000", "KernelOops"),
    ("kernel", "divide error: 0000 [#1] SMP", "KernelOops"),
    ("kernel", "general protection fault, probably for non-canonical address 0x1", "KernelOops"),
    ("kernel", "Internal error: Oops: 96000004 [#1] PREEMPT SMP", "KernelOops"),
    ("kernel", "BTRFS info (device sda2: state EA): forced readonly", "FilesystemIsReadOnly"),
    ("kernel", "EXT4-fs (dm-0): Remounting filesystem read-only", "FilesystemIsReadOnly"),
    ("kernel", "blk_update_request: I/O error, dev vda, sector 2048 op 0x0:(READ)", "IOError"),
    ("kernel", "critical medium error, dev sdc, sector 7 op 0x0:(READ) flags 0x0", "IOError"),
    ("kernel", "ata3.00: exception Emask 0x0 SAct 0x1 SErr 0x0 action 0x6 frozen", "IOError"),
    ("kernel", "nvme nvme0: I/O 23 QID 4 timeout, aborting", "IOError"),
    ("kernel", "r8125 0000:22:04.0 eth4: NETDEV WATCHDOG: CPU: 3: transmit queue 0 timed out",
     "NICReset"),
    ("kernel", "e1000e 0000:00:19.0 eno1: Detected Hardware Unit Hang:", "NICReset"),
    ("kernel", "igb 0000:01:00.0 eth0: Reset adapter", "NICReset"),
    ("kernel", "igb 0000:01:00.0 eth0: igb: eth0 NIC Link is Down", "NICLinkDown"),
    ("kernel", "mlx5_core 0000:03:00.0 ens1f0: Link down", "NICLinkDown"),
    ("kernel", "bond0: (slave eth1): link status definitely down, disabling slave", "NICLinkDown"),
    ("kernel", "nf_conntrack: table full, dropping packet", "ConntrackFull"),
    ("kernel", "mce: [Hardware Error]: Machine check events logged", "MachineCheck"),
    ("kernel", "rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:", "RCUStall"),
    ("kernel", "traps: app[9] general protection fault ip:55d sp:7ff error:0 in app[55d+1000]",
     "Segfault"),
    ("kernel", 'type=SECCOMP msg=audit(1.2:3): auid=0 uid=0 pid=4 comm="x" exe="/x" sig=31 '
     "arch=c000003e syscall=41 compat=0", "SeccompDenied"),
    ("kernel", "md/raid1:md0: Disk failure on sdb1, disabling device.", "IOError"),
    ("kernel", "sd 0:0:0:0: [sda] tag#3 Sense Key : Medium Error [current]", "IOError"),
    ("kernel", "sd 2:0:0:0: [sdb] tag#1 FAILED Result: hostbyte=DID_NO_CONNECT", "IOError"),
    ("kernel", "Aborting journal on device dm-0-8.", "Ext4Error"),
    ("kernel", "[Hardware Error]: Corrected error, no action required.", "MachineCheck"),
    # the kubelet's sentences before structured logging, and klog as JSON
    ("node", "W0412 09:28:14.744599   14260 eviction_manager.go:333] eviction manager: attempting "
     "to reclaim ephemeral-storage", "EvictionThresholdMet"),
    ("node", "I0412 09:28:14.769517   14260 eviction_manager.go:344] eviction manager: must evict "
     "pod(s) to reclaim ephemeral-storage", "EvictionThresholdMet"),
    ("node", "I0412 09:28:15.1   14260 eviction_manager.go:563] eviction manager: pod "
     "web-1_shop(edd45293-adec-46c9-a0a8-88b0e751d07c) is evicted successfully", "Evicted"),
    ("node", "I0721 10:13:09.879728    1082 setters.go:577] Node became not ready: {Type:Ready "
     "Status:False Reason:KubeletNotReady Message:PLEG is not healthy: pleg was last seen active "
     "3m0.352359086s ago; threshold is 3m0s}", "NodeNotReady"),
    ("node", "I0313 16:02:43.934473    1450 kubelet.go:1778] skipping pod synchronization - [PLEG "
     "is not healthy: pleg was last seen active 3m5.3s ago; threshold is 3m0s]", "PLEGUnhealthy"),
    ("node", "I0809 06:39:44.340592   13117 prober.go:106] Liveness probe for "
     '"api-8ff9c65d-plj4d_prod(344ce7ef-9afc-11e8-bf1e-9457a56b2f81):api" failed (failure): Get '
     "http://10.2.1.8:6766/warmup: net/http: request canceled", "Unhealthy"),
    ("node", '{"ts":1700000000000.1,"caller":"prober/prober.go:107","msg":"Probe failed","v":0,'
     '"probeType":"Liveness","pod":{"name":"web-1","namespace":"shop"},"containerName":"app"}',
     "Unhealthy"),
    ("node", 'time="2026-11-21T00:53:25.97Z" level=info msg="TaskOOM event &TaskOOM{ContainerID:'
     'b575c734e61a6dca58834b00e9cf712909ae7d50,XXX_unrecognized:[],}"', "TaskOOM"),
    ("node", 'time="2026-11-21T00:53:24Z" level=error msg="RunPodSandbox for '
     "&PodSandboxMetadata{Name:web-1,Uid:edd45293-adec-46c9-a0a8-88b0e751d07c,Namespace:shop,"
     'Attempt:0,} failed, error" error="cni"', "FailedCreatePodSandBox"),
    ("node", "Part of the existing bootstrap client certificate in /etc/kubernetes/kubelet.conf is "
     "expired: 2026-11-19 00:00:00 +0000 UTC", "CertificateExpired"),
    ("node", '"Recording status change event message for node" status="NodeNotReady" node="n1"',
     "NodeNotReady"),
    # containers, by language
    ("container", "sh: line 3: API_KEY: unbound variable", "MissingEnvironmentVariable"),
    ("container", "KeyError: 'DATABASE_URL'", "MissingEnvironmentVariable"),
    ("container", "required key PORT missing value", "MissingEnvironmentVariable"),
    ("container", 'env: environment variable "HOME_URL" should not be empty',
     "MissingEnvironmentVariable"),
    ("container", "Missing environment variable: REDIS_URL", "MissingEnvironmentVariable"),
    ("container", "Could not resolve placeholder 'db.url' in value \"${db.url}\"",
     "MissingEnvironmentVariable"),
    ("container", "Error: Cannot find module 'express'", "MissingModule"),
    ("container", "Caused by: java.lang.ClassNotFoundException: org.postgresql.Driver",
     "MissingModule"),
    ("container", "app: error while loading shared libraries: libssl.so.3: cannot open shared "
     "object file: No such file or directory", "MissingModule"),
    ("container", "cannot load such file -- bundler/setup (LoadError)", "MissingModule"),
    ("container", "Error: getaddrinfo ENOTFOUND redis.shop.svc", "NameLookupFailed"),
    ("container", "java.net.UnknownHostException: kafka-0.kafka", "NameLookupFailed"),
    ("container", "psycopg2.OperationalError: could not translate host name \"db\" to address",
     "NameLookupFailed"),
    ("container", "Error: connect ECONNREFUSED 10.96.0.1:443", "ConnectionRefused"),
    ("container", "java.net.ConnectException: Connection refused (Connection refused)",
     "ConnectionRefused"),
    ("container", "PermissionError: [Errno 13] Permission denied: '/data/x'", "PermissionDenied"),
    ("container", "Error: EACCES: permission denied, open '/app/log'", "PermissionDenied"),
]  # fmt: skip


@pytest.mark.parametrize(("where", "line", "expected"), OTHER_FORMS)
def test_other_forms_of_the_same(where, line, expected):
    assert expected == reason(where, line)


CAUGHT = [
    ("kernel", "EXT4-fs error (device sda1): ext4_find_entry:1455: inode #2", {"device": "sda1"}),
    ("kernel", "nvme nvme0: I/O 23 QID 4 timeout, aborting", {"device": "nvme0"}),
    ("node", "eviction manager: must evict pod(s) to reclaim ephemeral-storage",
     {"resource": "ephemeral-storage"}),
    ("node", '{"msg":"Eviction manager: attempting to reclaim","v":0,"resourceName":"memory"}',
     {"resource": "memory"}),
    ("container", "Error: connect ECONNREFUSED 10.96.0.1:443", {"address": "10.96.0.1:443"}),
    ("container", "Error: getaddrinfo ENOTFOUND redis.shop.svc", {"host": "redis.shop.svc"}),
    ("container", "Missing environment variable: REDIS_URL", {"name": "REDIS_URL"}),
    ("container", "Error: EACCES: permission denied, open '/app/log'", {"path": "/app/log"}),
]  # fmt: skip


@pytest.mark.parametrize(("where", "line", "expected"), CAUGHT)
def test_what_it_is_about_is_caught(where, line, expected):
    found = problem(where, line)
    assert {f"problem_{k}": v for k, v in expected.items()}.items() <= found.items()


POD = {"problem_namespace": "shop", "problem_pod": "web-1"}
UID = "edd45293-adec-46c9-a0a8-88b0e751d07c"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (f'"Probe failed" probeType="Liveness" pod="shop/web-1" podUID="{UID}" containerName="app"',
         POD | {"problem_pod_uid": UID, "problem_container": "app"}),
        ('{"msg":"Probe failed","probeType":"Liveness","pod":{"name":"web-1","namespace":"shop"},'
         '"containerName":"app"}', POD | {"problem_container": "app"}),
        (f"CrashLoopBackOff: back-off 10s restarting failed container=app pod=web-1_shop({UID})",
         POD | {"problem_pod_uid": UID, "problem_container": "app"}),
        (f"RunPodSandbox for &PodSandboxMetadata{{Name:web-1,Uid:{UID},Namespace:shop,}} failed, "
         "error", POD | {"problem_pod_uid": UID}),
    ],
)  # fmt: skip
def test_the_pod_that_a_service_speaks_of(line, expected):
    assert expected.items() <= problem("node", line).items()


ORDINARY = [
    ("kernel", "eth0: NIC Link is Up 10 Gbps, Flow Control: RX/TX"),
    ("kernel", "EXT4-fs (sda1): mounted filesystem with ordered data mode. Quota mode: none."),
    ("kernel", "XFS (sda1): Mounting V5 Filesystem"),
    ("kernel", "mce: CPU supports 20 MCE banks"),
    ("kernel", "sd 0:0:0:0: [sda] tag#3 Sense Key : Illegal Request [current]"),
    ("node", '"Rotating certificates" expired="no"'),
    ("kernel", "EDAC MC: Ver: 3.0.0"),
    ("kernel", 'audit: type=1400 audit(1.2:3): apparmor="STATUS" operation="profile_load"'),
    ("node", 'FLAG: --eviction-hard=""'),
    ("node", '"SyncLoop (PLEG): event for pod" pod="shop/bigline" event={}'),
    ("node", '"Skipping pod synchronization" err="[container runtime status check may not have '
     'completed yet, PLEG is not healthy: pleg has yet to be successful]"'),
    ("node", '"Recording event message for node" node="n1" event="NodeHasNoDiskPressure"'),
    ("node", '"Certificate expiration is 2027-11-20 10:11:12 +0000 UTC, rotation deadline is"'),
    ("node", '"MountVolume.SetUp succeeded for volume \\"v\\"" pod="shop/web-1"'),
    ("container", "ERROR order 4711 was refused by the customer"),
    ("container", "ERROR KeyError: 'customer_id'"),
    ("container", "ERROR the environment is variable"),
]  # fmt: skip


@pytest.mark.parametrize(("where", "line"), ORDINARY)
def test_ordinary_lines_have_none(where, line):
    assert reason(where, line) is None


def test_the_first_rule_that_fits_counts():
    line = "Kernel panic - not syncing: Fatal exception; Oops: 0000 [#1] SMP"
    assert reason("kernel", line) == "KernelPanic"


@pytest.mark.skipif(not SHARED.exists(), reason="no ../shared/data here")
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("divide_zero", ["KernelOops"]),
        ("docker_hung", ["TaskHung"]),
        ("null_pointer", ["KernelOops", "KernelOops"]),
        ("oom_kill", ["OOMKilling"]),
        ("readonly_filesystem", ["FilesystemIsReadOnly"]),
        ("au_opts_verify", []),
    ],
)
def test_samples_of_the_node_problem_detector(name, expected):
    path = SHARED / "oom" / "node-problem-detector" / f"{name}.log"
    found = [reason("kernel", line) for line in path.read_text().splitlines()]
    assert expected == [r for r in found if r]


@pytest.mark.skipif(not SHARED.exists(), reason="no ../shared/data here")
def test_a_real_kubelet_tells_of_what_the_api_server_knows():
    lines = (SHARED / "real-k8s" / "logs" / "kubelet.log").read_text().splitlines()
    found = {(p[PROBLEM], p.get("problem_pod")) for line in lines if (p := problem("node", line))}
    assert {
        ("CrashLoopBackOff", "payment-worker"),
        ("CrashLoopBackOff", "report-builder"),
        ("ErrImageNeverPull", "no-image"),
        ("ErrImagePull", "pull-fails"),
        ("FailedMount", "no-config"),
        ("Unhealthy", "unhealthy"),
    } <= found
