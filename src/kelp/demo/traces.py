"""Stack traces, each several lines long, in the manner of three runtimes."""

from __future__ import annotations

JAVA_TIMEOUT = """\
java.sql.SQLTransientConnectionException: ledger-pool - Connection is not available, \
request timed out after 3000ms
\tat com.zaxxer.hikari.pool.HikariPool.createTimeoutException(HikariPool.java:696)
\tat com.zaxxer.hikari.pool.HikariPool.getConnection(HikariPool.java:197)
\tat com.example.ledger.BookingRepository.insert(BookingRepository.java:88)
\tat com.example.ledger.BookingService.book(BookingService.java:41)
\tat java.base/java.lang.Thread.run(Thread.java:1583)
Caused by: org.postgresql.util.PSQLException: FATAL: remaining connection slots are reserved
\tat org.postgresql.core.v3.QueryExecutorImpl.receiveErrorResponse(QueryExecutorImpl.java:2713)
\t... 4 more"""

PYTHON_CERTIFICATE = """\
Traceback (most recent call last):
  File "/app/main.py", line 214, in refresh_provider
    session.connect(provider.url)
  File "/app/provider/client.py", line 57, in connect
    raise ProviderError(f"TLS handshake with {self.host} failed") from error
provider.client.ProviderError: TLS handshake with psp.example.com failed: certificate has expired"""

PYTHON_STOCK = """\
Traceback (most recent call last):
  File "/srv/checkout/views.py", line 131, in place_order
    reservation = stock.reserve(order.items)
  File "/srv/checkout/stock.py", line 48, in reserve
    raise OutOfStock(item.sku)
checkout.stock.OutOfStock: SKU-40128"""

GO_PANIC = """\
panic: runtime error: invalid memory address or nil pointer dereference
[signal SIGSEGV: segmentation violation code=0x1 addr=0x18 pc=0x6f1c3a]

goroutine 184 [running]:
main.(*Indexer).flush(0xc0001b2000, {0xc000412000, 0x3e8, 0x400})
\t/src/indexer/flush.go:73 +0x1ba
main.(*Indexer).run(0xc0001b2000)
\t/src/indexer/run.go:41 +0x8c
created by main.main in goroutine 1
\t/src/indexer/main.go:29 +0x165"""
