"""What every part of a plan needs while one query is answered."""

from __future__ import annotations

from dataclasses import dataclass

from kelp.base.settings import Query as QuerySettings
from kelp.server.ports import Dialect, Scope
from kelp.server.query.logql.expressions import RangeAggregation
from kelp.server.query.metric.windows import Windows
from kelp.server.query.plan.grouping import Kept
from kelp.server.query.run import Run
from kelp.server.query.streams import Selected, StreamResolver


@dataclass(frozen=True, slots=True)
class Context:
    """One query of one caller."""

    run: Run
    scope: Scope
    streams: StreamResolver
    dialect: Dialect
    settings: QuerySettings


@dataclass(frozen=True, slots=True)
class RangeQuestion:
    """One range aggregation of a query, over the streams that were found for it."""

    node: RangeAggregation
    windows: Windows
    context: Context
    kept: Kept
    selected: Selected
