"""The queries that are timed: the design's table, and ten heavier ones."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Query:
    """One row of a query table: a range or instant query, and its target where it has one."""

    name: str
    target_ms: float | None
    query: str
    instant: bool = False
    limit: int = 100
    step: str = "60"


def design_queries(needle: str) -> list[Query]:
    """The query table of the design."""
    everything = '{namespace=~".+"}'
    found = f'|= "{needle}"'
    by_level = 'sum by (level) (count_over_time({pod=~"web.*"} | json | level="error" [1m]))'
    return [
        Query("count lines with one 32-hex id", 50, count(f"{everything} {found}"), instant=True),
        Query("count lines with `permission denied`", 150,
              count(f'{everything} |= "permission denied"'), instant=True),
        Query("count lines matching `latency=8[0-9][0-9]ms`", 200,
              count(f'{everything} |~ "latency=8[0-9][0-9]ms"'), instant=True),
        Query("count a minute over all", 30, f"sum(count_over_time({everything}[1m]))"),
        Query("newest 100 with `retry`", 50, f'{everything} |= "retry"'),
        Query("newest 100 of a namespace", 30, '{namespace="payments"}'),
        Query("newest 100 of all", 30, everything),
        Query("json, level=error, sum by level, pods web.*", 100, by_level),
    ]  # fmt: skip


def count(selection: str) -> str:
    """How many lines of the whole corpus a log query selects; its 2,500 s lie within 42 minutes."""
    return f"sum(count_over_time({selection} [42m]))"


def heavy_queries() -> list[Query]:
    """Parsers, unwrap, quantiles, joins and wide ranges; to be watched."""
    web, java, ingress = '{pod=~"web.*"}', '{pod=~"java.*"}', '{pod=~"ingress.*"}'
    nginx = 'pattern `<ip> - - [<_>] "<method> <path> <_>" <status> <size> <_>`'
    latency = "regexp `latency=(?P<latency>[0-9]+ms)` | unwrap duration(latency)"
    return [
        Query("json: 95th percentile of duration_ms by level", None,
              "quantile_over_time(0.95, " + web + " | json | unwrap duration_ms [5m]) by (level)"),
        Query("json: average duration_ms of errors a minute", None,
              f'avg_over_time({web} | json | status=500 | unwrap duration_ms [1m]) by (pod)'),
        Query("json: topk users by lines", None,
              f"topk(10, sum by (user_id) (count_over_time({web} | json [42m])))", instant=True),
        Query("pattern: requests by status a minute", None,
              f"sum by (status) (count_over_time({ingress} | {nginx} [1m]))"),
        Query("pattern: bytes sent by method", None,
              f"sum by (method) (sum_over_time({ingress} | {nginx} | unwrap size [5m]))"),
        Query("regexp: slowest latency by pod", None,
              f"max_over_time({java} | regexp `latency=(?P<latency>[0-9]+)ms` "
              "| unwrap latency [5m]) by (pod)"),
        Query("line_format: newest 1,000", None,
              f'{web} | json | line_format "{{{{.level}}}} {{{{.msg | upper}}}}"', limit=1000),
        Query("share of errors by pod (division)", None,
              f'sum by (pod) (rate({web} | json | level="error" [5m]))'
              f" / sum by (pod) (rate({web}[5m]))"),
        Query("group_left: lines of a pod over those of its namespace", None,
              'sum by (namespace, pod) (rate({namespace=~".+"}[5m])) / on (namespace) '
              'group_left sum by (namespace) (rate({namespace=~".+"}[5m]))'),
        Query("bytes a second of everything, windows of 10 minutes each 10 s", None,
              'sum(bytes_rate({namespace=~".+"}[10m]))', step="10"),
        Query("unwrap duration(): median and spread of latencies", None,
              f"quantile_over_time(0.5, {java} | {latency} [5m]) by (pod)"
              f" / stddev_over_time({java} | {latency} [5m]) by (pod)"),
        Query("two parsers: lines by the version in a path", None,
              f'sum by (version) (rate({web} | json | line_format "{{{{.path}}}}" '
              "| pattern `/api/<version>/<_>` [5m]))"),
        Query("all labels: lines by pod, thread and level", None,
              f"count_over_time({java} | regexp `\\[(?P<thread>[a-z]+)[^ ]*\\] (?P<level>[A-Z]+)` "
              "[5m])"),
    ]  # fmt: skip
