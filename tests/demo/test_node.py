import gzip
import re
import shutil
from collections import Counter, defaultdict

import pytest

from kelp.demo.kubelet import MAX_LOG_FILES
from kelp.demo.node import SimulatedNode

S = 1_000_000_000
START = 1_700_000_000 * S
POD = re.compile(r"([a-z-]+)_([a-z0-9-]+)_([0-9a-f-]{36})")
LINE = re.compile(
    rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z) (stdout|stderr) ([PF]) ([^\n]*)\n"
)


def live(root, seconds, seed=1):
    node = SimulatedNode(root, START, seed)
    node.run_until(START + seconds * S)
    node.close()


def content(path):
    data = path.read_bytes()
    return gzip.decompress(data) if path.suffix == ".gz" else data


def records(data):
    """(stream, body) of whole records, in order; every byte must be CRI."""
    found, parts = [], defaultdict(bytes)
    at = 0
    for m in LINE.finditer(data):
        assert m.start() == at, data[at : at + 100]
        at = m.end()
        parts[m[2]] += m[4]
        if m[3] == b"F":
            found.append((m[2].decode(), parts.pop(m[2])))
    assert at == len(data)
    assert not parts
    return found


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """The pods tree after six minutes of life."""
    root = tmp_path_factory.mktemp("pods")
    live(root, 350)
    return root


def test_every_byte_is_cri(tree):
    files = [p for p in tree.rglob("*") if p.is_file()]
    assert len(files) > 30
    total = 0
    for path in files:
        total += len(records(content(path)))
    assert 40 < total / 350 < 200


def test_there_are_several_namespaces_and_names_as_kubernetes_makes_them(tree):
    found = [POD.fullmatch(p.name) for p in tree.iterdir()]
    assert all(found)
    assert {m[1] for m in found} == {"payments", "checkout", "kube-system", "monitoring"}
    names = {m[2] for m in found}
    assert {"web-0", "web-1", "prometheus-0"} <= names
    assert sum(bool(re.fullmatch(r"cart-[a-z0-9]{10}-[a-z0-9]{5}", n)) for n in names) == 2


def test_files_were_rotated_and_compressed_late(tree):
    for folder in tree.glob("payments_web-0_*/proxy"):
        names = sorted(p.name for p in folder.iterdir())
        assert names[0] == "0.log"
        assert 3 <= len(names) <= MAX_LOG_FILES
        compressed = [n.endswith(".gz") for n in names]
        assert compressed == [False, *[True] * (len(names) - 2), False]


def test_crash_loops_leave_two_runs(tree):
    (folder,) = tree.glob("checkout_report-builder-*/builder")
    runs = sorted(int(p.name.partition(".")[0]) for p in folder.iterdir())
    assert len(runs) == 2
    assert runs[1] == runs[0] + 1
    assert runs[1] >= 4
    assert b"memory is short" in content(folder / f"{runs[0]}.log")
    (folder,) = tree.glob("payments_web-0_*/app")
    assert b"certificate has expired" in content(folder / "0.log")
    assert b"payments web starts, run 1" in content(folder / "1.log")


def test_lines_longer_than_a_fragment_come_in_parts(tree):
    (folder,) = tree.glob("checkout_search-indexer-*/indexer")
    data = b"".join(content(p) for p in folder.iterdir())
    assert data.count(b" stdout P ") > 10
    assert max(len(body) for _, body in records(data)) > 32 * 1024


def test_an_order_can_be_followed_by_its_trace_id(tree):
    where = defaultdict(set)
    for path in tree.rglob("*"):
        if path.is_file():
            pod = path.parent.parent.name.split("_")
            for trace in re.findall(rb"trace_id\W{1,4}([0-9a-f]{32})", content(path)):
                where[trace].add((pod[0], re.sub(r"-[a-z0-9]{10}-.*|-\d$", "", pod[1])))
    places = Counter(frozenset(p) for p in where.values())
    whole = frozenset(
        {
            ("checkout", "cart"),
            ("checkout", "checkout-api"),
            ("payments", "web"),
            ("payments", "payments-api"),
            ("payments", "ledger"),
        }
    )
    assert places[whole] > 100


def test_stack_traces_of_three_runtimes_stand_line_by_line(tree):
    data = b"".join(content(p) for p in tree.rglob("*") if p.is_file())
    assert b" F \tat com.example.ledger.BookingService.book(BookingService.java:41)\n" in data
    assert b' F   File "/srv/checkout/views.py", line 131, in place_order\n' in data
    assert b" F goroutine 184 [running]:\n" in data


def test_jobs_come_each_minute_and_only_the_last_stay(tree):
    pods = sorted(p.name for p in tree.glob("payments_reconcile-*"))
    assert 3 <= len(pods) <= 4
    assert "reconciled" in content(tree / pods[0] / "reconcile" / "0.log").decode()


def test_the_same_seed_writes_the_same_bytes(tmp_path):
    def snapshot(seed):
        root = tmp_path / "pods"
        live(root, 45, seed)
        files = {
            str(p.relative_to(root)): content(p) for p in sorted(root.rglob("*")) if p.is_file()
        }
        shutil.rmtree(root)
        return files

    assert snapshot(3) == snapshot(3)
    assert snapshot(3) != snapshot(4)


def test_a_rollout_replaces_pods_and_their_folders(tmp_path):
    node = SimulatedNode(tmp_path, START, 1)

    def carts():
        return {p.name for p in tmp_path.glob("checkout_cart-*")}

    node.run_until(START + 119 * S)
    before = carts()
    node.run_until(START + 121 * S)
    assert len(carts()) == 3
    node.run_until(START + 130 * S)
    node.close()
    assert len(carts()) == 2
    assert not before & carts()
