import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from kelp.base.errors import KelpError
from kelp.cli.logs_select import (
    Matcher,
    line_filters,
    parse_label_selector,
    parse_target,
    quote,
    selector,
)


@pytest.mark.parametrize(
    ("target", "fits", "fits_not"),
    [
        ("pod/web-0", ["web-0"], ["web-01", "aweb-0", "web-1"]),
        ("deployment/web", ["web-5989d49775-2rmz9", "web-689f46d88b-kvn79"],
         ["web-0", "web-frontend-2rmz9", "web-api-5989d49775-2rmz9", "web-2rmz9"]),
        ("deploy/web", ["web-5989d49775-2rmz9"], ["web-0"]),
        ("deployments.apps/web", ["web-5989d49775-2rmz9"], ["web-0"]),
        ("deployments.v1.apps/web", ["web-5989d49775-2rmz9"], ["web-0"]),
        ("statefulset/web", ["web-0", "web-12"], ["web-2rmz9", "web-0-1"]),
        ("sts/web", ["web-0"], ["web-"]),
        ("daemonset/agent", ["agent-svjpp"], ["agent-0", "agent-svjppx"]),
        ("ds/agent", ["agent-svjpp"], []),
        ("job/nightly-29920374", ["nightly-29920374-69gg6", "nightly-29920374-0-69gg6"],
         ["nightly-29920375-69gg6"]),
        ("cronjob/nightly", ["nightly-29920374-69gg6"], ["nightly-69gg6"]),
        ("rs/web-5989d49775", ["web-5989d49775-2rmz9"], ["web-689f46d88b-2rmz9"]),
        ("POD/a.b", ["a.b"], ["axb"]),
        ("ds/" + "x" * 60, ["x" * 58 + "-svjpp"], ["x" * 60 + "-svjpp"]),
        ("web", ["web-0", "aweb"], ["wb"]),
        ("^web-\\d$", ["web-0"], ["web-01", "aweb-0"]),
        ("a|b", ["xax", "b"], ["c"]),
    ],
)  # fmt: skip
def test_targets_fit_the_pods_that_they_name(target, fits, fits_not):
    pattern = re2.compile(parse_target(target).pattern)
    assert fits == [name for name in fits if pattern.fullmatch(name)]
    assert [name for name in fits_not if pattern.fullmatch(name)] == []


@pytest.mark.parametrize("text", ["service/web", "pod/", "/web", "pod/a/b"])
def test_a_kind_without_pods_is_refused(text):
    with pytest.raises(KelpError, match="expected KIND/NAME with a KIND of pod, deployment"):
        parse_target(text)


def test_a_query_for_numbers_is_sent_to_its_command():
    with pytest.raises(KelpError, match=r"is it a query for numbers. `kelp query` answers those"):
        parse_target('sum(rate({app="web"}[1m]))')


def test_a_pattern_that_is_none_is_refused():
    with pytest.raises(KelpError, match=r'POD: expected a pattern \(RE2\); got "web\(": .+'):
        parse_target("web(")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("app=web", ['app="web"']),
        ("app==web", ['app="web"']),
        (" app = web , tier != db ", ['app="web"', 'tier!="db"']),
        ("app in (a, b.c),x", ['app=~`a|b\\.c`', 'x!=""']),
        ("app notin (a)", ['app!~"a"']),
        ("!canary", ['canary=""']),
        ("app.kubernetes.io/name=web", ['app_kubernetes_io_name="web"']),
        ("9a=", ['_9a=""']),
        ("inner,notinner", ['inner!=""', 'notinner!=""']),
        ("", []),
    ],
)  # fmt: skip
def test_label_selectors_are_kubectls(text, expected):
    assert expected == [str(m) for m in parse_label_selector(text)]


@pytest.mark.parametrize("text", ["app=(", "a b", ",", "app in (a", "=x", "a=b,,c", "a in b"])
def test_a_label_selector_that_is_none_is_refused(text):
    with pytest.raises(KelpError, match="expected a label selector such as"):
        parse_label_selector(text)


@given(st.text(max_size=40))
def test_any_text_is_a_label_selector_or_an_error(text):
    try:
        parse_label_selector(text)
    except KelpError as e:
        assert "expected a label selector" in str(e)


def test_a_selector_always_has_a_condition_that_an_empty_label_fails():
    assert selector([]) == '{pod=~".+"}'
    assert selector([Matcher("app", "!=", "x")]) == '{pod=~".+", app!="x"}'
    assert selector([Matcher("app", "=", "")]) == '{pod=~".+", app=""}'
    assert selector([Matcher("app", "=", "x")]) == '{app="x"}'


def test_line_filters_take_any_of_include_and_none_of_exclude():
    assert line_filters([], []) == ""
    assert line_filters(["a", "b.c"], ["d", "e"]) == ' |~ "(?:a)|(?:b.c)" !~ "d" !~ "e"'


def test_strings_are_quoted_so_that_nothing_is_lost():
    assert quote("a") == '"a"'
    assert quote(r"\d") == r"`\d`"
    assert quote('"') == r'"\""'
    assert quote("`\\") == r'"`\\"'
