"""Settings out of kelp.yaml, the environment and flags, each later one over the earlier ones.

A file is composed rather than loaded, so that every key and value keeps its line and column, and
all that is wrong in it is told at once: `kelp.yaml:4:11: expected int >= 0; got "x"`. Whoever
starts Kelp wants to know where a value came from: `Config.origins` remembers it for each key.
What the settings mean together is checked in kelp.base.config_checks; whether the files and
addresses that they name exist is for the part that opens them to say.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import yaml

from kelp.base.config_checks import check
from kelp.base.config_schema import (
    ENV_PREFIX,
    expectation,
    keys,
)
from kelp.base.config_yaml import (
    WrongValueError,
    build,
    compose,
    convert_text,
    did_you_mean,
    leaves,
)
from kelp.base.errors import ConfigError
from kelp.base.settings import Settings

# Read by the command line, not settings.
COMMAND_VARIABLES = frozenset(
    {"KELP_CONFIG", "KELP_URL", "KELP_TOKEN", "KELP_TOKEN_FILE", "KELP_CA_FILE"}
)
# Kubernetes gives every pod the addresses of its namespace's Services; one named "kelp" or
# "kelp-server" makes such variables, which are nobody's settings.
_SERVICE_VARIABLE = re.compile(
    r"_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)\w*)?)$"
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Config:
    """Settings, and where each came from."""

    settings: Settings
    file: Path | None  # the file that was read
    origins: dict[str, str]  # key → "default", "kelp.yaml:4:11", "KELP_…" or "flag"
    warnings: list[str] = field(default_factory=list)


class ConfigProblemsError(ConfigError):
    """Everything that is wrong with the configuration, a line each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True)
class _Value:
    value: object
    origin: str


def load_settings(
    path: Path | None,
    environ: Mapping[str, str],
    overrides: Mapping[str, object] | None = None,
) -> Settings:
    """The settings alone; see load_config. Warnings go to the log."""
    config = load_config(path, environ, overrides)
    for warning in config.warnings:
        _log.warning("%s", warning)
    return config.settings


def load_config(
    path: Path | None,
    environ: Mapping[str, str],
    overrides: Mapping[str, object] | None = None,
) -> Config:
    """Settings by this order: defaults < file < environment < overrides.

    `path` None: the first of find_config_file; no file at all is fine. `overrides` maps dotted
    keys to values, as flags give them; None there means that the flag was not given.
    Raises ConfigProblemsError, which lists all that is wrong.
    """
    file = path if path is not None else find_config_file(environ)
    problems: list[str] = []
    values: dict[str, _Value] = {}
    if file is not None:
        values |= _read_file(file, problems)
    values |= _read_environment(environ, problems)
    values |= _read_overrides(overrides or {}, problems)
    if problems:
        raise ConfigProblemsError(problems)
    settings = build(Settings, {path: v.value for path, v in values.items()})
    assert isinstance(settings, Settings)
    origins = {k.path: values[k.path].origin if k.path in values else "default" for k in keys()}
    problems = [f"{_where(origins, key)}: {text}" for key, text in check(settings)]
    if problems:
        raise ConfigProblemsError(problems)
    return Config(settings, file, origins, unknown_variables(environ))


def find_config_file(environ: Mapping[str, str]) -> Path | None:
    """$KELP_CONFIG, else kelp.yaml in $XDG_CONFIG_HOME/kelp (~/.config/kelp), else in /etc/kelp.

    A file that $KELP_CONFIG names must exist; the others are read where they are there.
    """
    if environ.get("KELP_CONFIG"):
        return Path(environ["KELP_CONFIG"])
    candidates = [Path("/etc/kelp/kelp.yaml")]
    if environ.get("XDG_CONFIG_HOME"):
        candidates.insert(0, Path(environ["XDG_CONFIG_HOME"], "kelp", "kelp.yaml"))
    elif environ.get("HOME"):
        candidates.insert(0, Path(environ["HOME"], ".config", "kelp", "kelp.yaml"))
    return next((c for c in candidates if c.is_file()), None)


def unknown_variables(environ: Mapping[str, str]) -> list[str]:
    """A warning for each KELP_ variable that sets nothing.

    Warned of rather than refused: others set variables too (see _SERVICE_VARIABLE), and a pod must
    not fail to start for them.
    """
    known = {k.env for k in keys()} | COMMAND_VARIABLES
    names = [n for n in environ if n.startswith(ENV_PREFIX) and n not in known]
    return [
        f"environment variable {name} sets nothing in Kelp{did_you_mean(name, known)}"
        for name in sorted(names)
        if not _SERVICE_VARIABLE.search(name)
    ]


def _where(origins: dict[str, str], key: str) -> str:
    origin = origins[key]
    return key if origin == "default" else f"{origin}: {key}"


# --- the file


def _read_file(path: Path, problems: list[str]) -> dict[str, _Value]:
    try:
        root = compose(path.read_bytes())
    except OSError as e:
        raise ConfigProblemsError([f"cannot read the configuration {path}: {e.strerror}"]) from e
    except WrongValueError as e:
        raise ConfigProblemsError([f"{_at(path, e.mark)}: {e}"]) from e
    values = {}
    for found in leaves(root, Settings, ""):
        if isinstance(found, WrongValueError):
            problems.append(f"{_at(path, found.mark)}: {found}")
        else:
            key, mark, value = found
            values[key] = _Value(value, _at(path, mark))
    return values


def _at(path: Path, mark: yaml.Mark | None) -> str:
    if mark is None:
        return str(path)
    return f"{path}:{mark.line + 1}:{mark.column + 1}"


# --- the environment and flags


def _read_environment(environ: Mapping[str, str], problems: list[str]) -> dict[str, _Value]:
    values = {}
    for key in keys():
        text = environ.get(key.env, "")
        if not text:  # as templates leave it that have nothing to say
            continue
        try:
            values[key.path] = _Value(convert_text(text, key.annotation), key.env)
        except WrongValueError as e:
            problems.append(f"{key.env}: {e}")
    return values


def _read_overrides(overrides: Mapping[str, object], problems: list[str]) -> dict[str, _Value]:
    known = {k.path: k for k in keys()}
    values = {}
    for path, given in overrides.items():
        if given is None:
            continue
        if path not in known:
            raise KeyError(f"no setting is called {path}")  # a mistake in Kelp, not the user's
        value = str(given) if isinstance(given, Path) else given
        try:
            converted = msgspec.convert(value, known[path].annotation, strict=False)
            values[path] = _Value(converted, "flag")
        except msgspec.ValidationError:
            wanted = expectation(known[path].annotation)
            problems.append(f"flag for {path}: expected {wanted}; got {json.dumps(value)}")
    return values
