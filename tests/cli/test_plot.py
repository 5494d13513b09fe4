from kelp.cli.plot import Line, plot

NOW = 1_700_000_000 * 10**9


def test_a_series_is_drawn_to_its_scale():
    line = Line("up", {float(1_700_000_000 + i): float(i) for i in range(10)})
    lines = list(plot([line], width=24, now_ns=NOW, height=2))
    assert lines[0] == "up"
    assert lines[1].startswith("           9 ┤")
    assert lines[1].endswith("▁▃▄▆█")
    assert lines[2].startswith("           0 ┤ ▂▄▅▇")
    assert len(lines) == 4


def test_a_time_without_a_value_is_a_gap():
    values = {float(i): 1.0 for i in range(100) if not 40 <= i < 60}
    (_, bar, _) = plot([Line("x", values)], width=114, now_ns=NOW, height=1)
    drawn = bar.partition("┤")[2]
    assert 15 < drawn.count(" ") < 25
    assert drawn.startswith("████")


def test_few_points_are_as_wide_as_their_steps():
    (_, bar, _) = plot([Line("x", {0.0: 1.0, 60.0: 1.0})], width=34, now_ns=NOW, height=1)
    assert bar.count("█") > 10


def test_one_point_and_no_point_and_no_number():
    assert list(plot([Line("x", {5.0: 3.0})], width=40, now_ns=NOW))
    assert list(plot([], width=40, now_ns=NOW)) == []
    assert list(plot([Line("x", {5.0: float("nan"), 6.0: 1.0})], width=40, now_ns=NOW))


def test_negative_values_have_their_scale():
    lines = list(plot([Line("x", {0.0: -5.0, 1.0: 5.0})], width=40, now_ns=NOW, height=4))
    assert lines[1].startswith("           5 ┤")
    assert lines[4].startswith("          -5 ┤")
