"""The shop: orders that pass through pods of two namespaces under one trace id.

An order goes from checkout/cart and checkout/checkout-api through payments/web (nginx and an app),
payments/payments-api and payments/ledger. Most are paid; some find the ledger's database full,
which shows as one story in five containers: a good thing to search for.
"""

from __future__ import annotations

from dataclasses import dataclass

from kelp.demo import formats, traces
from kelp.demo.kubelet import Pod
from kelp.demo.schedule import Program
from kelp.demo.workloads import Workload, World, deployment, roll_out, stateful_set

ORDERS_PER_S = 4.0
PAGES_PER_S = 22.0
LEDGER_FAILS = 0.02
OUT_OF_STOCK = 0.01
ROLLOUT_INTERVAL_S = 120.0

_AGENTS = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15",
    "curl/8.9.1",
)
_PAGES = ("/", "/pay", "/pay/methods", "/static/app.css", "/static/app.js", "/healthz")
_BOOKING = "com.example.ledger.BookingService"


@dataclass
class Order:
    """One order on its way."""

    trace_id: str
    number: str
    cents: int
    client: str
    agent: str

    @property
    def amount(self) -> str:
        """In euros, as the programs print it."""
        return f"{self.cents / 100:.2f}"


class Shop:
    """The workloads of the namespaces checkout and payments that serve requests."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.cart = deployment(world, "checkout", "cart", ["cart"], 2)
        self.checkout = deployment(world, "checkout", "checkout-api", ["api"], 2)
        self.web = stateful_set(world, "payments", "web", ["app", "proxy"], 2)
        self.api = deployment(world, "payments", "payments-api", ["api"], 2)
        self.ledger = deployment(world, "payments", "ledger", ["ledger"], 1)
        self._orders = 40_000

    def programs(self) -> list[Program]:
        """What goes on for ever."""
        return [self.visitors(), self.customers(), self.rollouts(self.cart)]

    def visitors(self) -> Program:
        """People who look at pages, and probes."""
        while True:
            yield self.world.random.expovariate(PAGES_PER_S)
            page = self.world.random.choice(_PAGES)
            status = 404 if self.world.random.random() < 0.01 else 200
            agent = "kube-probe/1.36" if page == "/healthz" else self._agent()
            size = self.world.random.randrange(200, 20_000)
            client = self.world.names.client_ip()
            line = formats.access_line(
                self.world.now_ns, client, f"GET {page} HTTP/1.1", status, size, agent
            )
            self.web.pick().out("proxy", line)

    def customers(self) -> Program:
        """Orders come in, and each goes its way."""
        while True:
            yield self.world.random.expovariate(ORDERS_PER_S)
            self._orders += 1
            order = Order(
                trace_id=self.world.names.trace_id(),
                number=f"ORD-{self._orders}",
                cents=self.world.random.randrange(199, 25_000),
                client=self.world.names.client_ip(),
                agent=self._agent(),
            )
            self.world.schedule.spawn(self.order(order))

    def rollouts(self, workload: Workload) -> Program:
        """A new version from time to time."""
        while True:
            yield ROLLOUT_INTERVAL_S
            self.world.schedule.spawn(roll_out(workload))

    def order(self, order: Order) -> Program:
        """From the cart to the checkout; then it is paid."""
        fields = {"trace_id": order.trace_id, "order": order.number}
        items = self.world.random.randrange(1, 6)
        line = formats.pino_line(self.world.now_ns, 30, "checkout started", **fields, items=items)
        self.cart.pick().out("cart", line)
        yield self._seconds(0.01)
        checkout = self.checkout.pick()
        if self.world.random.random() < OUT_OF_STOCK:
            message = f"order {order.number} refused trace_id={order.trace_id}"
            text = formats.python_line(self.world.now_ns, "ERROR", "checkout.views", message)
            checkout.err("api", f"{text}\n{traces.PYTHON_STOCK}")
            return
        message = f"order {order.number} placed amount={order.amount} trace_id={order.trace_id}"
        checkout.err(
            "api", formats.python_line(self.world.now_ns, "INFO", "checkout.views", message)
        )
        yield self._seconds(0.01)
        yield from self.payment(order)

    def payment(self, order: Order) -> Program:
        """Through web and payments-api to the ledger and back."""
        web, api, ledger = self.web.pick(), self.api.pick(), self.ledger.pick()
        fields = {"order": order.number, "trace_id": order.trace_id}
        text = formats.json_line(
            self.world.now_ns, "info", "payment requested", **fields, amount=order.amount
        )
        web.out("app", text)
        yield self._seconds(0.005)
        api.err("api", formats.logfmt_line(self.world.now_ns, "info", "authorizing", **fields))
        yield self._seconds(0.03)
        failed = self.world.random.random() < LEDGER_FAILS
        if failed:
            yield 3.0
            self._spring(ledger, "ERROR", f"booking of {order.number} failed", order)
            ledger.out("ledger", traces.JAVA_TIMEOUT)
            text = formats.logfmt_line(
                self.world.now_ns, "error", "ledger: 503 Service Unavailable", **fields
            )
        else:
            self._spring(ledger, "INFO", f"booked {order.number} {order.amount} EUR", order)
            text = formats.logfmt_line(self.world.now_ns, "info", "authorized", **fields)
        yield self._seconds(0.004)
        api.err("api", text)
        yield self._seconds(0.003)
        level, message = ("error", "payment failed") if failed else ("info", "payment accepted")
        web.out("app", formats.json_line(self.world.now_ns, level, message, **fields))
        request, status = "POST /pay HTTP/1.1", 502 if failed else 201
        web.out(
            "proxy",
            formats.access_line(self.world.now_ns, order.client, request, status, 431, order.agent),
        )

    def _spring(self, ledger: Pod, level: str, message: str, order: Order) -> None:
        thread = f"http-nio-8080-{self.world.random.randrange(1, 9)}"
        text = f"{message} trace_id={order.trace_id}"
        line = formats.spring_line(self.world.now_ns, level, thread, _BOOKING, text)
        ledger.out("ledger", line)

    def _agent(self) -> str:
        return self.world.random.choice(_AGENTS)

    def _seconds(self, mean: float) -> float:
        return self.world.random.expovariate(1 / mean)
