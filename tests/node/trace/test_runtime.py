"""The kubelet's and the runtimes' configuration of logs."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from kelp.node.trace.runtime import Setting, read_configuration


def written(root: Path, **files: str) -> dict[tuple[str, str], tuple[str, str]]:
    """(program, key) → (value, source) of a node with these files; no note may come."""
    put(root, files)
    found = read_configuration(root)
    assert found.notes == []
    return {(s.program, s.key): (s.value, s.source) for s in found.settings}


def put(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / _PATHS[name]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


_PATHS = {
    "kubelet": "var/lib/kubelet/config.yaml",
    "flags": "var/lib/kubelet/kubeadm-flags.env",
    "containerd": "etc/containerd/config.toml",
    "crio": "etc/crio/crio.conf",
    "crio_d": "etc/crio/crio.conf.d/10.conf",
    "docker": "etc/docker/daemon.json",
}


def test_a_machine_without_any_has_none(tmp_path: Path) -> None:
    assert written(tmp_path) == {}


def test_the_kubelet_has_defaults_for_what_its_file_leaves_out(tmp_path: Path) -> None:
    found = written(tmp_path, kubelet="kind: KubeletConfiguration\ncontainerLogMaxFiles: 3\n")
    assert ("3", "/var/lib/kubelet/config.yaml") == found["kubelet", "containerLogMaxFiles"]
    assert ("10Mi", "default") == found["kubelet", "containerLogMaxSize"]
    assert ("10s", "default") == found["kubelet", "containerLogMonitorInterval"]


def test_a_flag_counts_before_the_file(tmp_path: Path) -> None:
    found = written(
        tmp_path,
        kubelet="containerLogMaxSize: 1Mi\n",
        flags='KUBELET_KUBEADM_ARGS="--container-log-max-size=50Mi --node-ip 1.2.3.4"\n',
    )
    assert ("50Mi", "/var/lib/kubelet/kubeadm-flags.env") == found["kubelet", "containerLogMaxSize"]


def test_containerd_of_both_versions(tmp_path: Path) -> None:
    key = ("containerd", "max_container_log_line_size")
    for number, plugin in enumerate(("io.containerd.grpc.v1.cri", "io.containerd.cri.v1.runtime")):
        text = f"[plugins.'{plugin}']\nmax_container_log_line_size = {number}\n"
        found = written(tmp_path, containerd=text)
        assert (str(number), "/etc/containerd/config.toml") == found[key]
    assert ("16384", "default") == written(tmp_path, containerd="version = 3\n")[key]


def test_crio_and_docker(tmp_path: Path) -> None:
    found = written(
        tmp_path,
        crio="[crio.runtime]\nlog_size_max = 1\n",
        crio_d="[crio.runtime]\nlog_size_max = 8192\n",
        docker='{"log-opts": {"max-size": "10m", "max-file": "3"}}',
    )
    assert ("8192", "/etc/crio/crio.conf.d/10.conf") == found["crio", "log_size_max"]
    assert ("10m", "/etc/docker/daemon.json") == found["docker", "max-size"]
    assert ("json-file", "default") == found["docker", "log-driver"]


def test_what_cannot_be_read_is_a_note(tmp_path: Path) -> None:
    put(tmp_path, {"kubelet": "{", "containerd": "=", "docker": "[1]", "crio": "x"})
    found = read_configuration(tmp_path)
    assert found.settings == []
    assert len(found.notes) == 4
    assert any("expected keys with values; got list" in n for n in found.notes)


@given(st.sampled_from(sorted(_PATHS)), st.text() | st.binary().map(lambda b: b.decode("latin1")))
def test_no_text_of_a_file_is_too_much(name: str, text: str) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        put(Path(folder), {name: text.replace("\ud800", "")})
        found = read_configuration(Path(folder))
        assert all(isinstance(s, Setting) for s in found.settings)
