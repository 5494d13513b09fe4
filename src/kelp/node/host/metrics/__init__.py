"""The node's figures as Prometheus metrics, under node-exporter's names.

Dashboards and alerts for those names are everywhere; a name of our own would need all of them anew.
What node-exporter counts by default and a node's trouble is seen by is here, not all that it has.

Names and labels: https://github.com/prometheus/node_exporter (collector/*_linux.go)
"""

from kelp.node.host.metrics.collector import NodeCollector

__all__ = ["NodeCollector"]
