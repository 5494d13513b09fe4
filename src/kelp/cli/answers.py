"""What an agent answers when it is asked of its node: the reports of `kelp node`, and the bundle.

The agent knows no reports, and reports know no agent; they meet here. What is asked for is loaded
when it is asked for the first time: most agents are never asked, and each megabyte counts there.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from kelp.base.clock import Clock, SystemClock
from kelp.base.errors import KelpError
from kelp.base.settings import Settings
from kelp.wire.asks import Ask

if TYPE_CHECKING:
    from kelp.agent.main import Agent, Answers
    from kelp.base.redact import Redactor
    from kelp.node.host.reading import Roots

REPORTS = ("top", "ps", "iostat", "vmstat", "ss", "route", "pressure", "cgroups")
BUNDLE = "support-bundle"
# Of the caller's time: the file that is begun last may take some of it, and the way there.
_OF_TIME = 0.75


def answers(clock: Clock | None = None) -> Answers:
    """For the agent's constructor."""
    from kelp.agent.main import Answers  # noqa: PLC0415 - Arrow, see cli.agent

    now = clock or SystemClock()
    one_bundle = threading.Lock()
    return Answers([*REPORTS, BUNDLE], lambda ask, agent: _answer(ask, agent, now, one_bundle))


def roots_of(settings: Settings) -> Roots:
    """Where the node's file systems are, by the agent's settings."""
    from kelp.node.host.reading import Roots  # noqa: PLC0415 - see the module

    agent = settings.agent
    return Roots(Path(agent.proc_dir), Path(agent.sys_dir), Path(agent.pods_dir))


def redactor_of(settings: Settings, roots: Roots) -> Redactor:
    """One that knows Kelp's own secrets, and the ids of the node's containers."""
    from kelp.agent.own import secrets_of  # noqa: PLC0415 - see the module
    from kelp.base.redact import Redactor  # noqa: PLC0415
    from kelp.node.host.identifiers import container_ids  # noqa: PLC0415

    return Redactor(secrets_of(settings, os.environ), container_ids(roots))


def _answer(ask: Ask, agent: Agent, clock: Clock, one_bundle: threading.Lock) -> Iterable[bytes]:
    from kelp.agent.ask import RefusedAskError  # noqa: PLC0415 - see the module
    from kelp.node.host.question import QuestionError  # noqa: PLC0415

    if ask.report == BUNDLE:
        return _bundle(ask, agent, clock, one_bundle)
    try:
        return _report(ask, agent.settings, clock)
    except QuestionError as e:
        raise RefusedAskError(str(e)) from e


def _bundle(ask: Ask, agent: Agent, clock: Clock, one_bundle: threading.Lock) -> Iterator[bytes]:
    """One at a time: each takes memory, of which the agent has little."""
    from kelp.agent.ask import RefusedAskError  # noqa: PLC0415 - see the module
    from kelp.cli.bundle import Bundle  # noqa: PLC0415

    if ask.parameters:
        raise RefusedAskError(f"{BUNDLE} takes no parameters; got {', '.join(ask.parameters)}")
    if not one_bundle.acquire(blocking=False):
        raise KelpError("another bundle is being made; ask again when it is done")
    try:
        bundle = Bundle(agent.settings, agent.own_files(), "agent")
        yield from bundle.pieces(clock, ask.timeout_s * _OF_TIME)
    finally:
        one_bundle.release()


def _report(ask: Ask, settings: Settings, clock: Clock) -> list[bytes]:
    from kelp.node.host.looks import answer  # noqa: PLC0415 - see the module
    from kelp.node.host.question import QuestionError, question_of  # noqa: PLC0415

    parameters = dict(ask.parameters)
    given = parameters.pop("interval_s", "0")
    try:
        interval_s = float(given)
    except ValueError:
        raise QuestionError(f'expected interval_s to be seconds; got "{given}"') from None
    roots = roots_of(settings)
    show = redactor_of(settings, roots).arguments
    return [answer(question_of(ask.report, parameters), interval_s, roots, clock, show)]
