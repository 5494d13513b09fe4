import pytest

from kelp.base.cgroup import Place, container_of_name, locate, unit_of

UID = "6f1c3a52-08de-4b6c-9a41-77d0c2e94b10"
U = UID.replace("-", "_")
ID = "ab" * 32
OUTER = "cd" * 32


def container(qos, runtime, uid=UID):
    return Place(uid, ID, qos, runtime, "container")


IN_PODS = {
    f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{U}.slice"
    f"/cri-containerd-{ID}.scope": container("Burstable", "containerd"),
    f"/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{U}.slice"
    f"/crio-{ID}.scope": container("BestEffort", "cri-o"),
    f"/kubepods.slice/kubepods-pod{U}.slice/docker-{ID}.scope": container("Guaranteed", "docker"),
    f"/kubepods.slice/kubepods-pod{U}.slice/crio-{ID}.scope/container": container(
        "Guaranteed", "cri-o"
    ),
    f"/kubepods.slice/kubepods-pod{U}.slice/crio-conmon-{ID}.scope": container(
        "Guaranteed", "cri-o"
    ),
    f"/kubepods/burstable/pod{UID}/{ID}": container("Burstable", None),
    f"/kubepods/besteffort/pod{UID}/{ID}": container("BestEffort", None),
    f"/kubepods/pod{UID}/{ID}": container("Guaranteed", None),
    f"/kubepods/pod{UID}/crio-{ID}": container("Guaranteed", "cri-o"),
    f"/kubepods/burstable/pod{UID}/{ID}/docker/{OUTER}": container("Burstable", None),
    # a static pod's uid is a hash
    "/kubepods/burstable/pod0123456789abcdef0123456789abcdef/" + ID: container(
        "Burstable", None, "0123456789abcdef0123456789abcdef"
    ),
    # kind: the node is a docker container, its kubelet has a root of its own
    f"/docker/{OUTER}/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice"
    f"/kubelet-kubepods-burstable-pod{U}.slice/cri-containerd-{ID}.scope": container(
        "Burstable", "containerd"
    ),
    f"/docker/{OUTER}/kubelet/kubepods/besteffort/pod{UID}/{ID}": container("BestEffort", None),
    f"/system.slice/docker-{OUTER}.scope/kubelet.slice/kubelet-kubepods.slice"
    f"/kubelet-kubepods-pod{U}.slice/cri-containerd-{ID}.scope": container(
        "Guaranteed", "containerd"
    ),
    # the kubelet with systemd, containerd with cgroupfs
    f"/system.slice/containerd.service/kubepods-burstable-pod{U}.slice:cri-containerd:{ID}": (
        container("Burstable", "containerd")
    ),
    f"/kubepods.slice/kubepods-pod{U}.slice": Place(UID, None, "Guaranteed", None, "pod"),
    f"/kubepods/burstable/pod{UID}": Place(UID, None, "Burstable", None, "pod"),
}


@pytest.mark.parametrize("path", IN_PODS)
def test_a_path_in_a_pod(path):
    assert locate(path) == IN_PODS[path]


OUTSIDE = {
    f"/docker/{ID}": "docker",
    f"/docker/buildkit/{ID}": "docker",
    f"/system.slice/docker-{ID}.scope": "docker",
    f"/ecs/0123456789abcdef0123456789abcdef/{ID}": "docker",
    f"/ecstasks.slice/ecstasks-0123.slice/docker-{ID}.scope": "docker",
    f"/machine.slice/libpod-{ID}.scope/container": "podman",
    f"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{ID}.scope": "podman",
    f"/libpod_parent/libpod-{ID}": "podman",
    f"/system.slice/nerdctl-{ID}.scope": "containerd",
    f"/default/{ID}": "containerd",
    f"/jobs/{ID}": None,
}


@pytest.mark.parametrize("path", OUTSIDE)
def test_a_container_outside_of_pods(path):
    assert locate(path) == Place(None, ID, None, OUTSIDE[path], "container")


@pytest.mark.parametrize(
    ("path", "qos", "scope"),
    [
        ("/kubepods.slice/kubepods-besteffort.slice", "BestEffort", "qos"),
        ("/kubepods/burstable", "Burstable", "qos"),
        ("/kubepods.slice", None, "kubepods"),
        ("/kubepods", None, "kubepods"),
        ("/", None, "other"),
        ("", None, "other"),
        (None, None, "other"),
        ("/user.slice/user-0.slice/session-3.scope", None, "other"),
        ("/burstable", None, "other"),
        ("/podcasts/podium", None, "other"),
        (f"/somewhere/pod{UID}", None, "other"),
        ("/system.slice/docker.service", None, "other"),
    ],
)
def test_a_path_of_no_container(path, qos, scope):
    assert locate(path) == Place(qos_class=qos, scope=scope)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (f"docker-{ID}.scope", (ID, "docker")),
        (f"crio-{ID}.scope", (ID, "cri-o")),
        (ID, (ID, None)),
        ("cafe0123cafe", None),
        ("/", None),
        ("user.slice", None),
        (None, None),
    ],
)
def test_a_cpusets_name(name, expected):
    assert container_of_name(name) == expected


def test_the_unit_is_the_innermost_service():
    assert unit_of("/user.slice/user@1000.service/app.slice/db.service/x") == "db.service"
    assert unit_of("/init.scope") is None
