from kelp.cli.table import table


def test_columns_are_as_wide_as_their_values_and_numbers_stand_right():
    rows = [["payments", 12, 1.5], ["a", 3, None], ["日本", 1234, 2.0]]
    assert list(table(["namespace", "n", "rate"], rows)) == [
        "namespace     n  rate",
        "payments     12   1.5",
        "a             3     ∅",
        "日本       1234     2",
    ]


def test_values_stay_on_their_line():
    assert list(table(["a"], [["x\ny\x1b[2J"]])) == ["a", "x\\ny\\x1b[2J"]


def test_no_rows_are_a_header():
    assert list(table(["a", "b"], [])) == ["a  b"]


def test_floats_are_shown_whole():
    cells = list(table(["v"], [[0.1], [1e300], [float("nan")], [float("inf")], [1e16]]))
    assert [c.strip() for c in cells] == ["v", "0.1", "1e+300", "nan", "inf", "1e+16"]
