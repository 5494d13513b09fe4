"""The command `kelp`: finds the subcommand, and says what went wrong in one line.

Subcommands are imported when they are used, and their names and short helps stand here: `kelp logs`
must neither pay for the engine nor for Arrow. What a subcommand does stands in its own file.
"""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Sequence
from importlib import import_module

import click

from kelp import __version__
from kelp.base.errors import KelpError
from kelp.cli.interrupt import never_lose_interrupts

EXIT_ERROR = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130  # as a shell gives for a process that SIGINT ended
EXIT_BROKEN_PIPE = 141  # as for SIGPIPE: `kelp logs | head` is no error to tell of

# name → (module, what it does). The module holds a click command of that name.
COMMANDS = {
    "up": ("kelp.cli.up", "Start Kelp here: server, store and agent in one go."),
    "logs": ("kelp.cli.logs", "Show and follow logs by pod, workload, label or LogQL."),
    "query": ("kelp.cli.query", "Run a LogQL query, of logs or of numbers."),
    "labels": ("kelp.cli.labels", "List label names, or the values of one."),
    "series": ("kelp.cli.series", "List streams by selector."),
    "sql": ("kelp.cli.sql", "Run a read-only SQL query over the logs."),
    "parse": ("kelp.cli.parse", "Show what the agent would make of a file."),
    "trace": ("kelp.cli.trace", "Show where a log lies, and which bytes of it are stored."),
    "oom": ("kelp.cli.oom", "Show whom the kernel killed for want of memory."),
    "problems": ("kelp.cli.problems", "List what is broken, by node, workload and reason."),
    "node": ("kelp.cli.node", "Show what a node is doing, from anywhere or here, by pod."),
    "support-bundle": (
        "kelp.cli.support_bundle",
        "Put what a node says of itself into one redacted archive.",
    ),
    "server": ("kelp.cli.server", "Run the server: receives, stores, answers."),
    "agent": ("kelp.cli.agent", "Run the agent: collects this node's logs."),
    "config": ("kelp.cli.config", "Check and show the configuration."),
    "version": ("kelp.cli.version", "Print versions."),
}


class LazyGroup(click.Group):
    """A group that imports a subcommand only to run it or to show its help."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The subcommands in the order in which a newcomer needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of a subcommand; a usage error where there is no such name."""
        if cmd_name not in COMMANDS:
            near = difflib.get_close_matches(cmd_name, COMMANDS, n=1)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            ctx.fail(f"No such command '{cmd_name}'.{hint}")
        return load_command(cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the subcommands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


def load_command(name: str) -> click.Command:
    """The click command called `name` in its module."""
    module = import_module(COMMANDS[name][0])
    found = (v for v in vars(module).values() if isinstance(v, click.Command) and v.name == name)
    return next(found)


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="kelp")
def kelp() -> None:
    """Kelp collects, stores and searches every log that a Kubernetes cluster makes.

    `kelp up` starts it; `kelp logs` searches.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command line (default: this process's) and exit with its status."""
    never_lose_interrupts()
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """Run a command line; its exit status. Errors are told on standard error."""
    if "_KELP_COMPLETE" in os.environ:
        kelp.main(list(arguments), prog_name="kelp")
    try:
        with kelp.make_context("kelp", list(arguments)) as ctx:
            kelp.invoke(ctx)
        sys.stdout.flush()
    except click.exceptions.Exit as e:
        return e.exit_code
    except click.ClickException as e:
        e.show()
        return e.exit_code
    except KelpError as e:
        for line in str(e).splitlines():
            click.echo(f"kelp: {line}", err=True)
        return EXIT_ERROR
    except (KeyboardInterrupt, click.Abort):
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # What is left in the buffer has no reader; without this the interpreter says so at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_BROKEN_PIPE
    return 0


if __name__ == "__main__":
    main()
