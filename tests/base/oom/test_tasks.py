import pytest
from msgspec import UNSET

from kelp.base.oom.kill import TaskRow
from kelp.base.oom.tasks import MAX_ROWS, TaskTable

from .found import only
from .reports import memcg_6


def rows(*lines, head=None):
    table = TaskTable()
    if head:
        table.columns = tuple(head.split())
    for pid, rest in lines:
        table.add(pid, rest)
    return table.rows()


def test_the_head_names_the_columns():
    head = "uid tgid total_vm rss cpu oom_adj oom_score_adj"
    assert rows((7, "0 7 10 20 1 -17 -1000 udevd"), head=head) == [
        TaskRow(
            7,
            uid=0,
            tgid=7,
            total_vm=10,
            rss=20,
            cpu=1,
            oom_adj=-17,
            oom_score_adj=-1000,
            name="udevd",
        )
    ]


@pytest.mark.parametrize(
    ("numbers", "column", "value"),
    [
        ("0 7 10 20 3 0 5", "nr_ptes", 3),
        ("0 7 10 20 12288 0 5", "pgtables_bytes", 12288),
        ("0 7 10 20 3 4 0 5", "nr_pmds", 4),
        ("0 7 10 20 3 4 2 0 5", "nr_puds", 2),
        ("0 7 10 20 18 2 0 12288 0 5", "rss_anon", 18),
    ],
)
def test_without_a_head_the_count_of_columns_tells(numbers, column, value):
    (row,) = rows((7, f"{numbers} a b"))
    assert (row.name, row.rss, row.oom_score_adj) == ("a b", 20, 5)
    assert getattr(row, column) == value


def test_without_a_head_a_name_may_look_like_a_number():
    found = rows((7, "0 7 10 20 4096 0 5 77 x"), (8, "0 8 10 20 8192 0 5 sh"))
    assert [row.name for row in found] == ["77 x", "sh"]
    assert [row.nr_ptes for row in found] == [UNSET, UNSET]


def test_a_name_keeps_its_blanks():
    head = "uid tgid total_vm rss pgtables_bytes swapents oom_score_adj"
    found = rows((7, "0 7 10 20 4096 0             0   a  b "), (8, "0 8 1 2 4096 0 0 "), head=head)
    assert [row.name for row in found] == ["  a  b ", ""]


def test_a_row_that_is_cut_off_is_left_out():
    head = "uid tgid total_vm rss pgtables_bytes swapents oom_score_adj"
    assert rows((7, "0 7 10 20 40"), (8, "0 8 1 2 x 0 0 n"), head=head) == []


def test_a_vendors_column_is_left_out():
    head = "uid tgid total_vm rss nr_ptes swapents file-rss oom_score_adj"
    assert rows((7, "0 7 10 20 3 4 5 6 x"), head=head)[0].oom_score_adj == 6


def test_a_table_has_an_end():
    table = TaskTable()
    for pid in range(MAX_ROWS + 10):
        table.add(pid, "0 7 10 20 4096 0 5 x")
    assert len(table.rows()) == MAX_ROWS


def test_threads_are_rows_too():
    lines = memcg_6()
    at = next(i for i, line in enumerate(lines) if line.endswith("pause"))
    lines.insert(
        at,
        "[   4244]  1000  4242    25000    16003    16000        3         0   196608        0"
        "           993 T: worker 1",
    )
    thread = only(lines).task_table[0]
    assert (thread.pid, thread.tgid, thread.name) == (4244, 4242, "T: worker 1")
