"""What the network says: Calico's flows, DNS, L7 and BGP, its components, and Cilium's Hubble."""

from __future__ import annotations

from kelp.base.formats.format import Format, Rest

_CALICO = "https://docs.tigera.io/calico-enterprise/latest/observability/elastic/"

_SYSLOG = r"(?:[A-Z][a-z]{2} [ 0-9][0-9] [0-9:]{8} (?P<host>[^ ]+) [^ ]+: )?"
# runit's stamp, before lines of its services.
_SVLOGD = r"(?:(?P<time>[0-9]{4}-[0-9]{2}-[0-9]{2}_[0-9:.]+) )?"

_FLOW = {
    "source_ip": "address that it came from",
    "source_port": "its port",
    "source_namespace": "namespace of the pod that it came from",
    "source_pod": "that pod, or what else it was",
    "destination_ip": "address that it went to",
    "destination_port": "its port",
    "destination_namespace": "namespace of the pod that it went to",
    "destination_pod": "that pod, or what else it was",
    "protocol": "tcp, udp …",
    "verdict": "what became of it: allow, deny, FORWARDED, DROPPED …",
}


def _flow(*names: str) -> dict[str, str]:
    return {name: _FLOW[name] for name in names}


def _ports(side: str) -> tuple[str, ...]:
    """Of Hubble: a flow in an envelope, or bare."""
    protocols = ("TCP", "UDP", "SCTP")
    return tuple(f"{before}l4_{p}_{side}_port" for before in ("flow_", "") for p in protocols)


FORMATS = (
    Format(
        name="calico-flow",
        title="Calico's flow logs",
        source=_CALICO + "flow/datatypes",
        dataset="flow",
        rest=Rest.JSON,
        keys=(
            ("source_namespace", "dest_namespace", "action", "reporter"),
            ("source_ip", "dest_ip", "action", "reporter"),
        ),
        aliases={
            "source_pod": ("source_name",),
            "destination_ip": ("dest_ip",),
            "destination_port": ("dest_port",),
            "destination_namespace": ("dest_namespace",),
            "destination_pod": ("dest_name",),
            "protocol": ("proto",),
            "verdict": ("action",),
        },
        event_time="start_time",
        fields=_flow(
            "source_pod", "destination_ip", "destination_port", "destination_namespace",
            "destination_pod", "protocol", "verdict",
        ),
        examples=(
            b'{"start_time":1795169472,"end_time":1795169772,"source_ip":"10.244.1.19",'
            b'"source_name":"web-0","source_namespace":"shop","source_port":42106,'
            b'"dest_ip":"10.244.2.4","dest_name":"db-0","dest_namespace":"shop","dest_port":5432,'
            b'"proto":"tcp","action":"deny","reporter":"dst","bytes_in":388,"bytes_out":0}',
        ),
    ),
    Format(
        name="calico-dns",
        title="Calico's DNS logs",
        source=_CALICO + "dns/dns-logs",
        dataset="dns",
        rest=Rest.JSON,
        keys=(("qname", "qtype", "rcode"),),
        aliases={
            "source_ip": ("client_ip",),
            "source_pod": ("client_name",),
            "source_namespace": ("client_namespace",),
        },
        event_time="start_time",
        fields=_flow("source_ip", "source_pod", "source_namespace"),
        examples=(
            b'{"start_time":"2026-11-20T10:11:12Z","end_time":"2026-11-20T10:12:12Z","type":"log",'
            b'"count":5,"client_name":"web-0","client_namespace":"shop","client_ip":"10.244.1.19",'
            b'"qname":"db.shop.svc","qclass":"IN","qtype":"A","rcode":"NXDomain"}',
        ),
    ),
    Format(
        name="calico-l7",
        title="Calico's L7 logs",
        source=_CALICO + "l7/datatypes",
        dataset="flow",
        rest=Rest.JSON,
        keys=(("src_namespace", "dest_namespace", "response_code"), ("duration_mean", "url")),
        aliases={
            "source_pod": ("src_name_aggr",),
            "source_namespace": ("src_namespace",),
            "destination_pod": ("dest_name_aggr",),
            "destination_namespace": ("dest_namespace",),
            "status": ("response_code",),
            "path": ("url",),
        },
        event_time="start_time",
        fields=_flow(
            "source_pod", "source_namespace", "destination_pod", "destination_namespace"
        )
        | {"status": "the answer's status", "path": "the URL that was asked for"},
        examples=(
            b'{"start_time":1795169472,"end_time":1795169772,"duration_mean":4,"count":2,'
            b'"src_name_aggr":"web-*","src_namespace":"shop","dest_name_aggr":"db-*",'
            b'"dest_namespace":"shop","method":"GET","url":"db/users","response_code":"200"}',
        ),
    ),
    Format(
        name="calico-denied",
        title="What Felix reports of flows to syslog",
        source="https://docs.tigera.io/calico-enterprise/latest/reference/component-resources/node/felix/configuration",
        dataset="flow",
        patterns=(rf"{_SYSLOG}(?P<level>[A-Z]+) <nil> <nil>: +(?P<rest>action=.*)",),
        begins="ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        rest=Rest.LOGFMT,
        aliases={
            "source_ip": ("srcIP",),
            "source_port": ("srcPort",),
            "destination_ip": ("dstIP",),
            "destination_port": ("dstPort",),
            "protocol": ("proto",),
            "verdict": ("action",),
        },
        fields=_flow(
            "source_ip", "source_port", "destination_ip", "destination_port", "protocol", "verdict"
        )
        | {"host": "the host that it happened on", "level": "INFO, mostly"},
        examples=(
            b"Nov 20 10:11:12 node-1 calico-felix[3124]: INFO <nil> <nil>:  "
            b'action="deny" dstIP="192.0.2.7" dstPort="443" policy="hep-external" proto="6" '
            b'srcIP="10.0.1.10" srcPort="57312" tier="security"',
        ),
    ),
    Format(
        name="calico",
        title="Calico's components: Felix, confd, Typha, the IPAM and CNI plugins",
        source="https://docs.tigera.io/calico/latest/operations/troubleshoot/component-logs",
        patterns=(
            r"(?P<time>[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8}\.[0-9]{3}) \[(?P<level>[A-Z]+)\]"
            r"\[(?P<pid>[0-9]+)\] (?P<file>[^ ]+) (?P<line>[0-9]+): (?P<message>(?s:.*))",
        ),
        begins="0123456789",
        event_time="time",
        fields={
            "time": "when, UTC",
            "level": "DEBUG, INFO, WARNING …",
            "pid": "process",
            "file": "file of the source",
            "line": "line in that file",
            "message": "what is said",
        },
        examples=(
            b"2026-11-20 10:11:12.414 [INFO][81] felix/int_dataplane.go 1891: Received "
            b"*proto.HostMetadataUpdate update from calculation graph",
        ),
    ),
    Format(
        name="bird",
        title="BIRD, the BGP daemon of calico-node",
        source="https://bird.network.cz/?get_doc&v=20",
        dataset="bgp",
        patterns=(
            rf"{_SVLOGD}bird6?: (?P<session>[A-Za-z0-9]+_[0-9a-f_]+|device[0-9]+|kernel[0-9]+"
            r"|direct[0-9]+|static[0-9]+): (?:State changed to (?P<state>[a-z]+)|(?P<message>.*))",
            rf"{_SVLOGD}bird6?: (?P<message>.*)",
        ),
        begins="b0123456789",
        event_time="time",
        fields={
            "time": "when, where runit writes it",
            "session": "name of the protocol's instance: Mesh_10_0_0_7 is a peer's",
            "state": "the session's new state: start, feed, up, down",
            "message": "what else is said",
        },
        examples=(
            b"2026-11-20_10:11:12.95776 bird: Mesh_10_39_1_219: State changed to down",
            b"bird: Mesh_172_18_0_1: Received: Connection rejected",
            b"bird: Reconfigured",
        ),
    ),
    Format(
        name="hubble",
        title="Flows of Cilium's Hubble (its exporter, hubble observe -o json)",
        source="https://docs.cilium.io/en/stable/observability/hubble/configuration/export/",
        dataset="flow",
        rest=Rest.JSON,
        keys=(
            ("flow.verdict",),
            ("flow.IP", "flow.l4"),
            ("verdict", "Type", "source", "destination"),  # without its envelope
            ("lost_events.source", "node_name"),
        ),
        aliases={
            "source_ip": ("flow_IP_source", "IP_source"),
            "source_port": _ports("source"),
            "source_namespace": ("flow_source_namespace",),
            "source_pod": ("flow_source_pod_name", "source_pod_name"),
            "destination_ip": ("flow_IP_destination", "IP_destination"),
            "destination_port": _ports("destination"),
            "destination_namespace": ("flow_destination_namespace",),
            "destination_pod": ("flow_destination_pod_name", "destination_pod_name"),
            "verdict": ("flow_verdict",),
            "flow_time": ("time",),
            "drop_reason": ("flow_drop_reason_desc", "drop_reason_desc"),
            "qname": ("flow_l7_dns_query", "l7_dns_query"),
            "method": ("flow_l7_http_method", "l7_http_method"),
            "path": ("flow_l7_http_url", "l7_http_url"),
            "status": ("flow_l7_http_code", "l7_http_code"),
        },
        event_time="flow_time",
        fields=_flow(
            "source_ip", "source_port", "source_namespace", "source_pod", "destination_ip",
            "destination_port", "destination_namespace", "destination_pod", "verdict",
        )
        | {
            "drop_reason": "why it was dropped",
            "flow_time": "when the flow was seen",
            "qname": "the name that was asked for (DNS)",
            "method": "the request's method (HTTP)",
            "path": "the URL that was asked for (HTTP)",
            "status": "the answer's status (HTTP)",
        },
        examples=(
            b'{"flow":{"time":"2026-11-20T10:11:12.510175415Z","verdict":"DROPPED","IP":{"source":'
            b'"10.244.1.60","destination":"10.244.1.5","ipVersion":"IPv4"},"l4":{"TCP":'
            b'{"source_port":44916,"destination_port":80}},"source":{"namespace":"shop","pod_name":'
            b'"web-0"},"destination":{"namespace":"shop","pod_name":"db-0"},'
            b'"drop_reason_desc":"POLICY_DENIED"},"node_name":"node-1"}',
            b'{"time":"2026-11-20T10:11:12.510175415Z","verdict":"FORWARDED","IP":{"source":'
            b'"10.244.1.60","destination":"10.244.1.5"},"l4":{"UDP":{"source_port":44916,'
            b'"destination_port":53}},"source":{"namespace":"shop"},"destination":{},'
            b'"Type":"L3_L4","Summary":"UDP"}',
        ),
    ),
)  # fmt: skip
