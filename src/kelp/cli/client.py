"""The command line's way to a Kelp server: which one, with which token, and what its answers mean.

Where nothing is said, the server is found as a person would: a running `kelp up` of this user,
else the one that the configuration names. A token that lies on this machine is sent to a server on
this machine only; a server elsewhere must be given its own.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import msgspec

from kelp.base.config import load_config
from kelp.base.config_checks import is_loopback, split_listen
from kelp.base.errors import KelpError
from kelp.base.mask import mask_url
from kelp.base.settings import Settings
from kelp.base.token import read_token
from kelp.cli.instance import find_instance, instance_path

CONNECT_TIMEOUT_S = 5.0
# Longer than the server's own limits: it answers 408, 422 or 429 before.
READ_TIMEOUT_S = 150.0
# With follow=true the server says something each second.
FOLLOW_TIMEOUT_S = 10.0

Params = Mapping[str, str | int | list[str]]


class AwayError(KelpError):
    """The server cannot be reached, or its answer broke off: trying again may help."""


class RefusedError(KelpError):
    """The server does not do what was asked; the text is its own."""


@dataclass(frozen=True)
class Connection:
    """Where a server is and what it is shown."""

    url: str
    token: str = ""
    token_source: str = ""  # for the error where the server does not accept it
    ca_file: str = ""


def find_connection(
    url: str = "",
    token_file: str = "",
    ca_file: str = "",
    environ: Mapping[str, str] | None = None,
) -> Connection:
    """The server and the token to use, from flags and the environment; raises KelpError.

    Server: the flag, $KELP_URL, a running `kelp up`, the configuration. Token: the flag,
    $KELP_TOKEN, $KELP_TOKEN_FILE, that of the running `kelp up`, the configuration's.
    """
    environ = os.environ if environ is None else environ
    named = url or environ.get("KELP_URL", "")
    instance = None if named else find_instance(instance_path(environ))
    target = named or (instance.url if instance else configured_url(_settings(environ)))
    target = target.rstrip("/")
    if not target.startswith(("http://", "https://")):
        raise KelpError(f'expected http://host:port or https://host:port; got "{target}"')
    token, source = _given_token(token_file, environ) or _local_token(target, environ)
    return Connection(target, token, source, ca_file or environ.get("KELP_CA_FILE", ""))


def _settings(environ: Mapping[str, str]) -> Settings:
    return load_config(None, environ).settings


def configured_url(settings: Settings) -> str:
    """The address of this machine's server by its configuration."""
    scheme = "https" if settings.server.tls.cert_file else "http"
    return f"{scheme}://{reachable(settings.server.listen)}"


def reachable(listen: str) -> str:
    """host:port at which this machine finds a listener, also where it listens on every address."""
    host, port = split_listen(listen)
    if host in ("", "0.0.0.0", "::"):
        host = "127.0.0.1"
    return f"{f'[{host}]' if ':' in host else host}:{port}"


def _given_token(token_file: str, environ: Mapping[str, str]) -> tuple[str, str] | None:
    """(token, where it came from) as the user gave it."""
    if token_file:
        return read_token(Path(token_file)), token_file
    if environ.get("KELP_TOKEN"):
        return environ["KELP_TOKEN"], "$KELP_TOKEN"
    if environ.get("KELP_TOKEN_FILE"):
        return read_token(Path(environ["KELP_TOKEN_FILE"])), environ["KELP_TOKEN_FILE"]
    return None


def _local_token(target: str, environ: Mapping[str, str]) -> tuple[str, str]:
    """The token that a server on this machine left here; empty where there is none to read."""
    if not _is_local(target):
        return "", ""
    instance = find_instance(instance_path(environ))
    if instance and target == instance.url.rstrip("/"):
        path = Path(instance.token_file)
    else:
        settings = _settings(environ)
        path = settings.under_data_dir(settings.server.token_file, "token")
    try:
        if path.exists():
            return read_token(path), str(path)
    except OSError:  # a folder that this user may not look into
        pass
    return "", ""


def _is_local(url: str) -> bool:
    parts = httpx2.URL(url)
    host = f"[{parts.host}]" if ":" in parts.host else parts.host
    return is_loopback(f"{host}:{parts.port or 0}")


class Client:
    """Requests to one server; errors are KelpErrors that say what to do."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        headers = {"Authorization": f"Bearer {connection.token}"} if connection.token else {}
        self._http = httpx2.Client(
            base_url=connection.url,
            headers=headers,
            verify=_tls(connection.ca_file),
            # $HTTP_PROXY is for what lies elsewhere.
            trust_env=not _is_local(connection.url),
            timeout=httpx2.Timeout(READ_TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
        )

    def get(self, path: str, params: Params | None = None) -> Any:
        """The JSON of an answer."""
        return msgspec.json.decode(self.get_bytes(path, params))

    def get_bytes(self, path: str, params: Params | None = None) -> bytes:
        """The bytes of an answer."""
        with self._errors():
            response = self._http.get(path, params=dict(params or {}))
        self._check(response)
        return response.content

    def chunks(self, path: str, params: Params, timeout_s: float) -> Iterator[bytes]:
        """The bytes of an answer as they come; `timeout_s`: the longest silence."""
        timeout = httpx2.Timeout(timeout_s, connect=CONNECT_TIMEOUT_S)
        with (
            self._errors(),
            self._http.stream("GET", path, params=dict(params), timeout=timeout) as response,
        ):
            if response.status_code >= 400:
                response.read()
                self._check(response)
            yield from response.iter_bytes()

    def post(self, path: str, body: object, params: Params | None = None) -> bytes:
        """The bytes of the answer to a JSON body."""
        with self._errors():
            response = self._http.post(path, json=body, params=dict(params or {}))
        self._check(response)
        return response.content

    def stream(self, path: str, params: Params, timeout_s: float | None = None) -> Iterator[bytes]:
        """The lines of an answer as they come, without their newlines.

        A last line without a newline was cut on its way and is not given.
        """
        timeout = httpx2.Timeout(timeout_s or READ_TIMEOUT_S, connect=CONNECT_TIMEOUT_S)
        with (
            self._errors(),
            self._http.stream("GET", path, params=dict(params), timeout=timeout) as response,
        ):
            if response.status_code >= 400:
                response.read()
                self._check(response)
            open_line: list[bytes] = []  # in pieces: a line may be many chunks long
            for chunk in response.iter_bytes():
                first, *more = chunk.split(b"\n")
                open_line.append(first)
                if more:
                    yield b"".join(open_line)
                    yield from more[:-1]
                    open_line = [more[-1]]

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        url = mask_url(self._connection.url)
        try:
            yield
        except httpx2.ConnectError as e:
            if isinstance(e.__cause__, ssl.SSLError) or "CERTIFICATE" in str(e):
                raise KelpError(
                    f"the certificate of {url} is not trusted ({e}): name its authority with "
                    "--ca-file or $KELP_CA_FILE"
                ) from e
            raise AwayError(
                f"no Kelp server answers at {url} ({_reason(e)}): start one with `kelp up`, "
                "or name another with --url or $KELP_URL"
            ) from e
        except httpx2.TimeoutException as e:
            raise AwayError(f"the server at {url} did not answer in time") from e
        except httpx2.TransportError as e:
            raise AwayError(f"the connection to {url} broke: {_reason(e)}") from e
        except (httpx2.InvalidURL, UnicodeEncodeError) as e:
            raise KelpError(f'cannot use the address "{url}": {e}') from e

    def _check(self, response: httpx2.Response) -> None:
        if response.status_code < 400:
            return
        if response.status_code == 401:
            raise RefusedError(self._unauthorized())
        text = error_text(response.content) or f"HTTP {response.status_code}"
        if response.status_code in (429, 502, 503, 504):
            raise AwayError(f"the server cannot answer now: {text}")
        raise RefusedError(text)

    def _unauthorized(self) -> str:
        url = mask_url(self._connection.url)
        if not self._connection.token:
            return (
                f"the server at {url} wants a token, and none was found: name the file with "
                "--token-file or $KELP_TOKEN_FILE, or set $KELP_TOKEN "
                "(the server made it as DATA_DIR/token)"
            )
        return f"the server at {url} does not accept the token from {self._connection.token_source}"


def error_text(content: bytes) -> str:
    """What an answer says went wrong: Kelp's JSON object or Loki's plain text, as one line each."""
    try:
        error = msgspec.json.decode(content)["error"]
        text = str(error["message"])
        if error.get("expected"):
            text += f": expected {error['expected']}"
        if error.get("got"):
            text += f"; got {error['got']}"
        return f"{text}; {error['hint']}" if error.get("hint") else text
    except (msgspec.DecodeError, KeyError, TypeError):
        return content.decode("utf-8", "replace").strip()[:2000]


def _tls(ca_file: str) -> ssl.SSLContext | bool:
    if not ca_file:
        return True
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as e:
        raise KelpError(f"cannot use the authority in {ca_file}: {e}") from e


def _reason(error: BaseException) -> str:
    """What the operating system says, where it said something; else the library's words."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    return str(error) or type(error).__name__
