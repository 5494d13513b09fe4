"""What the services of a node say when something goes wrong: kubelet, kube-proxy, the runtime.

Reasons are those that the kubelet gives in Events and in a container's state (its packages
pkg/kubelet/events and images), for they are what `kubectl describe` shows; the node problem
detector's for the runtime. Lines are klog's, structured since 1.21 or so and in sentences before,
and containerd's, CRI-O's and Docker's logfmt. The first rule that fits counts.
"""

from __future__ import annotations

from kelp.base.problems.rule import Rule
from kelp.model.severity import ERROR, WARN

_CRITICAL = ERROR + 1


def _rule(
    said_by: str, reason: str, severity: int, words: tuple[str, ...], pattern: str, example: str
) -> Rule:  # fmt: skip
    return Rule(
        reason=reason,
        severity=severity,
        said_by=said_by,
        words=words,
        pattern=pattern,
        example=example,
    )


# In klog's text quotes within a value are escaped, and so they may be in a JSON line.
NODE_RULES = (
    # pkg/kubelet/eviction/eviction_manager.go
    _rule(
        "kubelet", "Evicted", ERROR, ("evicted successfully", "pod is evicted", "Evicted pod"),
        r"viction manager: pod .*evicted successfully",
        'I1120 10:11:12.131415    8996 eviction_manager.go:614] "Eviction manager: pod is evicted '
        'successfully" pod="shop/orders-api-5989d49775-2rmz9"',
    ),
    _rule(
        "kubelet", "EvictionThresholdMet", WARN,
        ("attempting to reclaim", "must evict pod", "cannot evict a critical"),
        r"viction manager: (?:attempting to reclaim|must evict pod\(s\) to reclaim)"
        r'(?:\W.*?resourceName\W{1,6}(?P<resource>[a-zA-Z][\w.-]+)'
        r"| (?P<resource2>[a-zA-Z][\w.-]+))"
        r"|viction manager: cannot evict a critical",
        'W1120 10:11:12.131415    8996 eviction_manager.go:369] "Eviction manager: attempting to '
        'reclaim" resourceName="memory"',
    ),
    # pkg/kubelet/nodestatus/setters.go, pkg/kubelet/kubelet_node_status.go
    _rule(
        "kubelet", "NodeNotReady", _CRITICAL, ("Node became not ready", "NodeNotReady"),
        r"Node became not ready|(?:event|status)\W{1,5}NodeNotReady"
        r"|Recording NodeNotReady event",
        'I1120 10:11:12.131415    8996 setters.go:604] "Node became not ready" node="n1" '
        'condition={"type":"Ready","status":"False","reason":"KubeletNotReady"}',
    ),
    _rule(
        "kubelet", "NodeHasDiskPressure", ERROR, ("NodeHasDiskPressure",), "NodeHasDiskPressure",
        'I1120 10:11:12.131415    8996 kubelet_node_status.go:689] "Recording event message for '
        'node" node="n1" event="NodeHasDiskPressure"',
    ),
    _rule(
        "kubelet", "NodeHasInsufficientMemory", ERROR,
        ("NodeHasInsufficientMemory", "NodeHasMemoryPressure"),
        "NodeHasInsufficientMemory|NodeHasMemoryPressure",
        'I1120 10:11:12.131415    8996 kubelet_node_status.go:689] "Recording event message for '
        'node" node="n1" event="NodeHasInsufficientMemory"',
    ),
    _rule(
        "kubelet", "NodeHasInsufficientPID", ERROR, ("NodeHasInsufficientPID",),
        "NodeHasInsufficientPID",
        'I1120 10:11:12.131415    8996 kubelet_node_status.go:689] "Recording event message for '
        'node" node="n1" event="NodeHasInsufficientPID"',
    ),
    # pkg/kubelet/pleg/generic.go. "pleg has yet to be successful" is said at every start.
    _rule(
        "kubelet", "PLEGUnhealthy", _CRITICAL, ("PLEG is not healthy",),
        r"PLEG is not healthy: pleg was last seen active (?P<since>[\w.]+) ago"
        r"|PLEG is not healthy, |PLEG is not healthy$",
        'E1120 10:11:12.131415    8996 kubelet.go:2661] "Skipping pod synchronization" err="PLEG '
        'is '
        'not healthy: pleg was last seen active 3m5.300154471s ago; threshold is 3m0s"',
    ),
    # pkg/kubelet/runtime.go
    _rule(
        "kubelet", "ContainerRuntimeDown", _CRITICAL,
        ("container runtime is down", "ontainer runtime sanity check failed",
         "container runtime not ready"),
        r"container runtime is down|[Cc]ontainer runtime sanity check failed"
        r"|container runtime not ready: RuntimeReady=false",
        'E1120 10:11:12.131415    8996 kubelet.go:2661] "Skipping pod synchronization" '
        'err="container runtime is down"',
    ),
    _rule(
        "kubelet", "NetworkNotReady", ERROR, ("etwork plugin is not ready", "network not ready"),
        r"network is not ready: |container runtime network not ready|[Nn]etwork plugin is not "
        r"ready",
        'E1120 10:11:12.131415    8996 kubelet.go:2900] "Container runtime network not ready" '
        'networkReady="NetworkReady=false reason:NetworkPluginNotReady message:Network plugin '
        'returns error: cni plugin not initialized" err="container runtime network not ready"',
    ),
    _rule(
        "kubelet", "SystemOOM", ERROR, ("ystem OOM encountered", "Got sys oom event"),
        r"System OOM encountered, victim process: (?P<process>[^,]+), pid: (?P<pid>\d+)"
        r"|System OOM encountered|Got sys oom event",
        'I1120 10:11:12.131415    8996 oom_watcher_linux.go:85] "Got sys oom event" '
        'event={"Pid":1}',
    ),
    # containerd's and CRI-O's word of a kill within a container
    _rule(
        "runtime", "TaskOOM", ERROR, ("TaskOOM event", "OOM detected for container"),
        r'TaskOOM event .*?[cC]ontainer_?[iI][dD]\W{1,6}(?P<container_id>[0-9a-f]{12,64})'
        r"|TaskOOM event|OOM detected for container",
        'time="2026-11-20T10:11:12.131415161Z" level=info msg="TaskOOM event '
        'container_id:\\"e438a8c9ebcc71e1bef6c8ea6fc70e86a72933f8207cc53fc7e6b7a889ae7db5\\""',
    ),
    # pkg/kubelet/kuberuntime, pkg/kubelet/images/types.go, container states
    _rule(
        "kubelet", "CrashLoopBackOff", ERROR, ("CrashLoopBackOff",),
        r'CrashLoopBackOff(?:: \W{0,6}back-off (?P<backoff>\w{1,12}) restarting)?',
        'E1120 10:11:12.131415    8996 pod_workers.go:1324] "Error syncing pod, skipping" '
        'err="failed to \\"StartContainer\\" for \\"app\\" with CrashLoopBackOff: \\"back-off 10s '
        'restarting failed container=app pod=web-1_shop(edd45293-adec-46c9-a0a8-88b0e751d07c)\\"" '
        'pod="shop/web-1" podUID="edd45293-adec-46c9-a0a8-88b0e751d07c"',
    ),
    _rule(
        "kubelet", "ErrImageNeverPull", ERROR, ("ErrImageNeverPull",),
        r"ErrImageNeverPull(?:: \W{0,6}Container image \W{0,8}(?P<image>[^\s\\\"]+))?",
        'E1120 10:11:12.131415    8996 pod_workers.go:1324] "Error syncing pod, skipping" '
        'err="failed to \\"StartContainer\\" for \\"c\\" with ErrImageNeverPull: \\"Container '
        'image '
        '\\\\\\"registry.example.com/none:9\\\\\\" is not present with pull policy of Never\\"" '
        'pod="team-b/no-image"',
    ),
    _rule(
        "kubelet", "InvalidImageName", ERROR, ("InvalidImageName",),
        r"InvalidImageName",
        'E1120 10:11:12.131415    8996 pod_workers.go:1324] "Error syncing pod, skipping" '
        'err="failed to \\"StartContainer\\" for \\"c\\" with InvalidImageName: \\"Failed to apply '
        'default image tag\\"" pod="team-b/bad"',
    ),
    _rule(
        "kubelet", "ImagePullBackOff", ERROR, ("ImagePullBackOff",),
        r"ImagePullBackOff(?:: \W{0,6}Back-off pulling image \W{0,8}(?P<image>[^\s\\\"]+))?",
        'E1120 10:11:12.131415    8996 pod_workers.go:1324] "Error syncing pod, skipping" '
        'err="failed to \\"StartContainer\\" for \\"c\\" with ImagePullBackOff: \\"Back-off '
        'pulling '
        'image \\\\\\"127.0.0.1:5/none:9\\\\\\"\\"" pod="team-b/pull-fails"',
    ),
    _rule(
        "kubelet, runtime", "ErrImagePull", ERROR,
        ("ErrImagePull", "ailed to pull image", "PullImage "),
        r"ErrImagePull(?:: \W{0,6}failed to pull and unpack image \W{0,8}"
        r'(?P<image>[^\s\\"]+))?'
        r'|[Ff]ailed to pull image\b.*? image="(?P<image2>[^"]+)"'
        r'|[Ff]ailed to pull image|PullImage from image service failed'
        r'|PullImage \\?"(?P<image3>[^"\\]+)\\?" failed',
        'E1120 10:11:12.131415    8996 kuberuntime_image.go:43] "Failed to pull image" err="failed '
        'to resolve reference: connection refused" image="127.0.0.1:5/none:9"',
    ),
    _rule(
        "kubelet", "CreateContainerConfigError", ERROR, ("CreateContainerConfigError",),
        r'CreateContainerConfigError(?:: \W{0,6}(?P<cause>[^"\\]+))?',
        'E1120 10:11:12.131415    8996 pod_workers.go:1324] "Error syncing pod, skipping" '
        'err="failed to \\"StartContainer\\" for \\"c\\" with CreateContainerConfigError: '
        '\\"secret '
        'absent not found\\"" pod="team-b/no-secret"',
    ),
    _rule(
        "kubelet", "CreateContainerError", ERROR, ("CreateContainerError",),
        r"CreateContainerError",
        'E1120 10:11:12.131415    8996 pod_workers.go:1324] "Error syncing pod, skipping" '
        'err="failed to \\"StartContainer\\" for \\"c\\" with CreateContainerError: \\"context '
        'deadline exceeded\\"" pod="team-b/slow"',
    ),
    _rule(
        "kubelet", "RunContainerError", ERROR, ("RunContainerError",),
        r"RunContainerError",
        'E1120 10:11:12.131415    8996 pod_workers.go:1324] "Error syncing pod, skipping" '
        'err="failed to \\"StartContainer\\" for \\"c\\" with RunContainerError: \\"failed to '
        'start '
        'containerd task\\"" pod="team-b/broken"',
    ),
    # pkg/kubelet/prober; the event's reason is Unhealthy
    _rule(
        "kubelet", "Unhealthy", WARN, ("Probe failed", " probe failed", " probe for ",
         "ness probe, will be restarted", "tup probe, will be restarted", " probe errored",
         "Probe errored"),
        r'"Probe (?:failed|errored)[^"]*" probeType="(?P<probe>\w{1,16})"'
        r"|\"msg\":\"Probe (?:failed"
        r"|errored)[^\"]*\".*?\"probeType\":\"(?P<probe4>\w{1,16})\""
        r"|(?P<probe2>Liveness|Readiness|Startup) probe for .+?(?:failed|errored)"
        r"|failed (?P<probe3>liveness|startup) probe, will be restarted"
        r"|(?P<probe5>Liveness|Readiness|Startup) probe (?:failed|errored)",
        'I1120 10:11:12.131415    8996 prober.go:122] "Probe failed" probeType="Readiness" '
        'pod="team-b/unhealthy" podUID="2d5a5413-b7da-446c-be71-cbc0cc202aa1" containerName="c" '
        'probeResult="failure" output="dial tcp 10.78.0.9:8080: connect: connection refused"',
    ),
    # pkg/volume/util/operationexecutor, pkg/kubelet/volumemanager
    _rule(
        "kubelet", "FailedMount", ERROR,
        ("MountVolume.", "nable to attach or mount volumes", "unmounted volumes="),
        r'MountVolume\.\w{1,24} failed for volume \W{0,6}(?P<volume>[^\s\\"]+)'
        r"|[Uu]nable to attach or mount volumes|unmounted volumes=\[(?P<volume2>[^\]]+)\]",
        'E1120 10:11:12.131415    8996 nestedpendingoperations.go:348] Operation for "{}" failed. '
        'Error: MountVolume.SetUp failed for volume "v" (UniqueName: "u") pod "no-config" (UID: '
        '"81db90a7-29b6-444d-8371-2810bb5e386b") : configmap "absent" not found',
    ),
    _rule(
        "kubelet", "FailedAttachVolume", ERROR, ("AttachVolume.",),
        r'AttachVolume\.\w{1,24} failed for volume \W{0,6}(?P<volume>[^\s\\"]+)',
        'E1120 10:11:12.131415    8996 nestedpendingoperations.go:348] Error: AttachVolume.Attach '
        'failed for volume "pvc-1" : rpc error',
    ),
    # before the others about pods, which quote it
    _rule(
        "any", "CertificateExpired", ERROR,
        ("certificate has expired", "is expired", "certificate expired"),
        r"certificate (?:has )?expired|certificate\b.*\bis expired",
        'E1120 10:11:12.131415    8996 kubelet_node_status.go:96] "Unable to register node with '
        'API '
        'server" err="tls: failed to verify certificate: x509: certificate has expired or is not '
        'yet valid: current time 2026-11-20T10:11:12Z is after 2026-11-19T00:00:00Z"',
    ),
    _rule(
        "any", "CertificateExpiring", WARN,
        ("will expire", "about to expire", "expires in ", "expires soon", "expiring soon"),
        r"[Cc]ertificate\b.*(?:will expire|about to expire|expires in |expires soon|expiring soon)",
        "W1120 10:11:12.131415       1 tlsconfig.go:178] the serving certificate will expire in 3 "
        "days",
    ),
    _rule(
        "kubelet", "CertificateRotationFailed", ERROR,
        ("requesting a signed certificate", "certificate request was not signed",
         "annot create certificate signing request"),
        r"[Ff]ailed while requesting a signed certificate|certificate request was not signed"
        r"|[Cc]annot create certificate signing request",
        'E1120 10:11:12.131415    8996 certificate_manager.go:562] "Failed while requesting a '
        'signed '
        'certificate from the control plane" err="connection refused"',
    ),
    # pkg/kubelet/images/image_gc_manager.go
    _rule(
        "kubelet", "FreeDiskSpaceFailed", ERROR,
        ("garbage collect required amount", "over the high threshold"),
        r"[Ff]ailed to garbage collect required amount|[Dd]isk usage on image filesystem is over "
        r"the"
        r" high threshold",
        'I1120 10:11:12.131415    8996 image_gc_manager.go:383] "Disk usage on image filesystem is '
        'over the high threshold, trying to free bytes down to the low threshold" usage=91',
    ),
    # sandboxes, by the kubelet and by the runtime
    _rule(
        "kubelet, runtime", "FailedCreatePodSandBox", ERROR,
        ("sandbox for pod", "PodSandbox for pod failed", "RunPodSandbox "),
        r"[Ff]ailed to create (?:pod )?sandbox for pod|CreatePodSandbox for pod failed"
        r"|RunPodSandbox from runtime service failed|RunPodSandbox for .+failed, error",
        'E1120 10:11:12.131415    8996 kuberuntime_sandbox.go:72] "Failed to create sandbox for '
        'pod" '
        'err="rpc error: code = Unknown" pod="shop/web-1"',
    ),
    _rule(
        "runtime", "CorruptDockerOverlay2", _CRITICAL, ("readlink /var/lib/docker/overlay2",),
        r"returned error: readlink /var/lib/docker/overlay2.*: invalid argument",
        "returned error: readlink /var/lib/docker/overlay2: invalid argument",
    ),
    _rule(
        "runtime", "CorruptDockerImage", ERROR, ("failed to register layer: rename",),
        r"failed to register layer: rename /var/lib/docker/image/.+: directory not empty",
        "Error trying v2 registry: failed to register layer: rename /var/lib/docker/image/a "
        "/var/lib/docker/image/b: directory not empty",
    ),
    _rule(
        "runtime", "ContainerStartFailed", ERROR,
        ("OCI runtime ", "ontainerd task"),
        r"OCI runtime (?:create|start|exec) failed|[Ff]ailed to (?:create|start) containerd task",
        'time="2026-11-20T10:11:12Z" level=error msg="StartContainer for \\"9b1\\" failed" '
        'error="failed to create containerd task: failed to create shim task: OCI runtime create '
        'failed: runc create failed"',
    ),
    # pkg/kubelet/kubelet_node_status.go, staging/src/k8s.io/component-helpers/apimachinery/lease
    _rule(
        "kubelet", "NodeStatusUpdateFailed", ERROR,
        ("Error updating node status", "ailed to update lease", "nable to update node status",
         "ailed to ensure lease exists"),
        r"Error updating node status, will retry|[Uu]nable to update node status"
        r"|[Ff]ailed to (?:update lease|ensure lease exists)",
        'E1120 10:11:12.131415    8996 kubelet_node_status.go:529] "Error updating node status, '
        'will '
        'retry" err="error getting node \\"n1\\": timeout"',
    ),
    # pkg/proxy
    _rule(
        "kube-proxy", "ProxyRulesFailed", ERROR,
        ("ailed to execute iptables-restore", "ailed to run iptables-restore", "iptables-restore",
         "nft transaction failed", "ailed to sync endpoint"),
        r"[Ff]ailed to (?:execute|run) iptables-restore|iptables-restore.*failed"
        r"|nft transaction failed",
        'E1120 10:11:12.131415       1 proxier.go:1564] "Failed to execute iptables-restore" '
        'err="exit status 4" ipFamily="IPv4"',
    ),
    # systemd, of any unit
    _rule(
        "systemd", "ServiceFailed", ERROR, ("Failed with result",),
        r"(?P<unit>[\w@.:-]+\.service): Failed with result '(?P<result>[\w-]+)'",
        "containerd.service: Failed with result 'exit-code'.",
    ),
    _rule(
        "any", "NoSpaceLeft", ERROR, ("no space left on device", "No space left on device"),
        r"[Nn]o space left on device",
        'E1120 10:11:12.131415    8996 kubelet.go:1] "Failed" err="write /var/lib/kubelet/x: no '
        'space left on device"',
    ),
    _rule(
        "any", "TooManyOpenFiles", ERROR, ("oo many open files",),
        r"[Tt]oo many open files",
        'E1120 10:11:12.131415    8996 watcher.go:1] "inotify_init: too many open files"',
    ),
)  # fmt: skip
