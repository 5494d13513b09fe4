"""`kelp query --explain`: the plan as a tree, with the SQL and the estimate."""

from kelp.cli.query_explain import explain_lines

ANSWER = {
    "query": 'sum by (pod)(rate({app="web"} |= "x" | json [1m]))',
    "plan": {
        "operation": "sum",
        "of": [
            {
                "operation": "rate",
                "range_ns": 60_000_000_000,
                "offset_ns": 0,
                "selector": '{app="web"}',
                "in_sql": ["a", "b"],
                "row_by_row": [],
            }
        ],
    },
    "sql": ["SELECT 1"],
    "estimate": {"rows": 21984, "bytes": 5_557_453},
}


def test_the_plan_is_a_tree():
    assert list(explain_lines(ANSWER)) == [
        'sum by (pod)(rate({app="web"} |= "x" | json [1m]))',
        "  sum",
        "    rate",
        "      range: 60 s",
        "      offset: 0 s",
        '      selector: {app="web"}',
        "      in sql: a  b",
        "reads about 21,984 rows, 5.3 MiB before compression",
        "SQL 1:",
        "  SELECT 1",
    ]


def test_small_reads_are_in_bytes():
    answer = ANSWER | {"estimate": {"rows": 2, "bytes": 300}, "sql": []}
    assert list(explain_lines(answer))[-1] == "reads about 2 rows, 300 bytes before compression"
