"""The local Realtime server as Python sees it: started and stopped by `async with`, in the caller's event loop."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import threading
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, Self

import uvicorn

from jackfield.errors import ConfigurationError
from jackfield_local.app import WebSocketProtocol, make_app
from jackfield_local.auth import Keyring
from jackfield_local.calls import Calls
from jackfield_local.clock import CLOCK_URL, clock_server
from jackfield_local.connection import Connection
from jackfield_local.doors import Doors
from jackfield_local.embedded import EmbeddedServer, LocalServerError
from jackfield_local.faults import Faults
from jackfield_local.interfaces import HostedServer, Recognizer, Responder, Synthesizer
from jackfield_local.live_calls import LiveCalls
from jackfield_local.mcp_host import McpHost
from jackfield_local.reception import Reception
from jackfield_local.rest import Secrets
from jackfield_local.session import Services
from jackfield_local.sip.rest import PhoneCalls
from jackfield_local.tones import PhraseRecognizer, ToneSynthesizer

if TYPE_CHECKING:
    from jackfield_local.sip.door import SipDoor

__all__ = ["DEFAULT_PACE", "LocalServer", "LocalServerError", "serve_in_thread"]

DEFAULT_PACE: Final = 8.0
"""How many times faster than realtime audio is sent."""

_PING_SECONDS: Final = 20.26
_PONG_SECONDS: Final = 60.0
_LARGEST_FRAME: Final = 32 * 1024 * 1024
"""Bytes: 15 MiB of audio in one event are allowed, which base64 makes a third more."""

_GRACE_SECONDS: Final = 0.4
_THREADS: Final = 4


class LocalServer:
    """A Realtime API on this machine.

    `responder` thinks: a `RuleResponder` where none is given. `recognizer` hears and `synthesizer` speaks; "auto"
    takes those of the speech extras where these are installed, and None does without: transcripts are then the
    responder's phrases in order, and speech is tones. `api_key` is the only key that is good; None: any that isn't
    empty. `port` 0 picks a free one. `pace` is the speed of audio in multiples of realtime, 0 as fast as possible.
    `session_seconds` is how long a session lasts. `models` and `deployments` restrict the names that exist. `record`
    off keeps no `connections`, for servers that run long. A `host` that others can reach needs `allow_remote`.

    `mcp_servers` are the hosted MCP servers that sessions may use, by `server_label`, `server_url` or `connector_id`;
    `clock.CLOCK_URL` leads to one that is always there. When a response's hosted calls are over, the answer waits for a
    `response.create`, as it does with the API; with `mcp_follow_up` "server" the server begins it of its own accord.

    With `sip`, calls come in at `sip_uri`, over UDP and TCP; `sip_port` 0 picks a free port. They are announced to
    `webhook_url`, signed with `webhook_secret`, and ring for `ring_seconds` until they are accepted. Where no audio
    comes for `silent_seconds`, the caller is taken to be gone.

    Raises `ConfigurationError` for what can't be.
    """

    def __init__(
        self,
        *,
        responder: Responder | None = None,
        recognizer: Recognizer | Literal["auto"] | None = "auto",
        synthesizer: Synthesizer | Literal["auto"] | None = "auto",
        api_key: str | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        allow_remote: bool = False,
        pace: float = DEFAULT_PACE,
        session_seconds: float = 3600.0,
        models: Collection[str] | None = None,
        deployments: Collection[str] | None = None,
        mcp_servers: Mapping[str, HostedServer] | None = None,
        mcp_follow_up: Literal["server", "client"] = "client",
        record: bool = True,
        sip: bool = False,
        sip_port: int = 0,
        webhook_url: str | None = None,
        webhook_secret: str = "",
        ring_seconds: float = 30.0,
        silent_seconds: float = 60.0,
    ) -> None:
        if not allow_remote and not _is_loopback(host):
            raise ConfigurationError(
                f"Host {host!r} is reachable from other machines, and this server is made for tests and trials. "
                "Use 127.0.0.1, or say allow_remote=True (--allow-remote)."
            )
        if api_key == "":
            raise ConfigurationError("The API key is empty. Give one, or none to accept any key.")
        if pace < 0 or session_seconds <= 0:
            raise ConfigurationError("pace must be 0 or more, and session_seconds more than 0.")
        if mcp_follow_up not in ("server", "client"):
            raise ConfigurationError(f"mcp_follow_up is {mcp_follow_up!r}. It is 'server' or 'client'.")
        for name, hosted in (mcp_servers or {}).items():
            if not isinstance(hosted, HostedServer):
                raise ConfigurationError(
                    f"MCP server {name!r} is {hosted!r}, which has no list_tools and call_tool. "
                    "Give a FunctionServer, or an object of your own with both."
                )
        self.connections: list[Connection] = []
        self.faults = Faults()
        self._opened = asyncio.Event()
        self._record = record
        self._host = host
        self._port = port
        self._pace = pace
        self._responder = responder
        self._recognizer = recognizer
        self._synthesizer = synthesizer
        self._mcp = McpHost({CLOCK_URL: clock_server(), **(mcp_servers or {})})
        self._executor: ThreadPoolExecutor | None = None
        self._serving: asyncio.Task[None] | None = None
        self._calls = LiveCalls()
        reception = Reception(
            keyring=Keyring(api_key),
            faults=self.faults,
            opened=self._note,
            services=self._services,
            models=models,
            deployments=deployments,
            session_seconds=session_seconds,
            mcp_follow_up=mcp_follow_up,
            record=record,
        )
        self._sip_port = sip_port
        self._sip = (
            _sip_door(
                reception,
                self._calls,
                webhook=None if webhook_url is None else (webhook_url, webhook_secret),
                ring_seconds=ring_seconds,
                silent_seconds=silent_seconds,
            )
            if sip
            else None
        )
        self._uvicorn = EmbeddedServer(
            uvicorn.Config(
                make_app(
                    Doors(reception, self._calls),
                    Secrets(reception.keyring),
                    Calls(reception, self._calls, local_only=_is_loopback(host)),
                    PhoneCalls(reception, self._calls),
                ),
                ws=WebSocketProtocol,
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                ws_max_size=_LARGEST_FRAME,
                ws_ping_interval=_PING_SECONDS,
                ws_ping_timeout=_PONG_SECONDS,
            )
        )

    @property
    def url(self) -> str:
        """The WebSocket URL, without a model: `ws://127.0.0.1:PORT/v1/realtime`."""
        return f"ws://{self._address}/v1/realtime"

    @property
    def http_url(self) -> str:
        """The base URL of the API, as `OPENAI_BASE_URL` has it: `http://127.0.0.1:PORT/v1`."""
        return f"http://{self._address}/v1"

    @property
    def azure_endpoint(self) -> str:
        """The endpoint of an Azure resource: `http://127.0.0.1:PORT`."""
        return f"http://{self._address}"

    @property
    def takes_phone_calls(self) -> bool:
        """Whether there is a `sip_uri`."""
        return self._sip is not None

    @property
    def sip_uri(self) -> str:
        """What a phone calls: `sip:proj_local@127.0.0.1:PORT`; with `;transport=tcp` it does so over TCP."""
        if self._sip is None:
            raise LocalServerError("This server takes no phone calls. Start it with sip=True.")
        return self._sip.uri

    @property
    def port(self) -> int:
        """The port that the server listens on."""
        return self._port

    async def connection(self, number: int = 0) -> Connection:
        """Wait for the connection of that number, counted from 0, and return its record."""
        while len(self.connections) <= number:
            await self._opened.wait()
        return self.connections[number]

    async def __aenter__(self) -> Self:
        listener = self._listen()
        try:
            self._executor = ThreadPoolExecutor(_THREADS, thread_name_prefix="jackfield-local")
            await self._choose_parts()
            self._serving = asyncio.create_task(self._uvicorn.serve(sockets=[listener]), name="jackfield-local")
            await self._uvicorn.wait_started(self._serving)
            await self._open_sip()
        except BaseException:
            listener.close()
            await self._stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._stop()

    async def _stop(self) -> None:
        """Stop within a few seconds at the most, also where clients hold on to their sockets."""
        await self._calls.close()
        if self._sip is not None:
            await self._sip.close()
        serving, self._serving = self._serving, None
        if serving is not None:
            self._uvicorn.should_exit = True
            await asyncio.wait([serving], timeout=_GRACE_SECONDS)
            if not serving.done():
                self._uvicorn.abort_connections()
            await serving
        executor, self._executor = self._executor, None
        if executor is not None:
            # A recogniser that is at work on a thread can't be stopped; its result goes nowhere.
            executor.shutdown(wait=False, cancel_futures=True)

    async def _open_sip(self) -> None:
        if self._sip is None:
            return
        try:
            await self._sip.open(self._host if self._host != "localhost" else "127.0.0.1", self._sip_port)
        except OSError as error:
            raise LocalServerError(
                f"Cannot take phone calls on {self._host}:{self._sip_port}: {error}. "
                "Choose another port, or 0 for a free one."
            ) from error

    async def _choose_parts(self) -> None:
        loop = asyncio.get_running_loop()
        if self._responder is None:
            from jackfield_local.responders import RuleResponder

            self._responder = RuleResponder()
        if self._recognizer == "auto":
            from jackfield_local.speech import default_recognizer

            self._recognizer = await loop.run_in_executor(self._executor, default_recognizer)
        if self._synthesizer == "auto":
            from jackfield_local.speech import default_synthesizer

            self._synthesizer = await loop.run_in_executor(self._executor, default_synthesizer)

    def _services(self) -> Services:
        assert self._responder is not None and self._executor is not None
        assert self._recognizer != "auto" and self._synthesizer != "auto"
        return Services(
            responder=self._responder,
            recognizer=self._recognizer or PhraseRecognizer(),
            synthesizer=self._synthesizer or ToneSynthesizer(),
            executor=self._executor,
            pace=self._pace,
            mcp=self._mcp,
        )

    def _note(self, connection: Connection) -> None:
        if self._record:
            self.connections.append(connection)
            self._opened.set()
            self._opened = asyncio.Event()

    def _listen(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        try:
            listener = socket.create_server((self._host, self._port), family=family, backlog=128)
        except OSError as error:
            raise LocalServerError(
                f"Cannot listen on {self._host}:{self._port}: {error}. Choose another port, or 0 for a free one."
            ) from error
        # asyncio does so by itself for sockets whose protocol it is told, and `create_server` doesn't tell. Without it,
        # small answers wait for the client's delayed acknowledgement, some 40 ms.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener.setblocking(False)
        self._port = listener.getsockname()[1]
        return listener

    @property
    def _address(self) -> str:
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{host}:{self._port}"


@contextlib.contextmanager
def serve_in_thread(**options: Any) -> Iterator[LocalServer]:
    """Run a `LocalServer` with these options on a thread of its own, for programs that have no event loop.

    Read its URLs and, when clients are done, its `connections`; what is awaited belongs to the server's own loop.
    """
    server = LocalServer(**options)
    started = threading.Event()
    failure: list[BaseException] = []
    stop: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def serve() -> None:
        async with server:
            stopping = asyncio.Event()
            stop.append((asyncio.get_running_loop(), stopping))
            started.set()
            await stopping.wait()

    def run() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:  # noqa: BLE001 - it is raised again, on the thread that asked for the server
            failure.append(error)
        finally:
            started.set()

    thread = threading.Thread(target=run, name="jackfield-local-server", daemon=True)
    thread.start()
    started.wait()
    if failure:
        raise LocalServerError(f"The server could not be started: {failure[0]}") from failure[0]
    try:
        yield server
    finally:
        loop, stopping = stop[0]
        loop.call_soon_threadsafe(stopping.set)
        thread.join()
        if failure:
            raise LocalServerError(f"The server failed: {failure[0]}") from failure[0]


def _sip_door(
    reception: Reception,
    calls: LiveCalls,
    *,
    webhook: tuple[str, str] | None,
    ring_seconds: float,
    silent_seconds: float,
) -> SipDoor:
    try:
        from jackfield_local.sip.door import SipDoor
        from jackfield_local.sip.webhooks import Webhook
    except ImportError as error:
        raise ConfigurationError(f"Phone calls can't be taken: {error}. Install jackfield-local[sip].") from error
    if ring_seconds <= 0 or silent_seconds <= 0:
        raise ConfigurationError("ring_seconds and silent_seconds must be more than 0.")
    return SipDoor(
        reception,
        calls,
        webhook=None if webhook is None else Webhook(*webhook),
        ring_seconds=ring_seconds,
        silent_seconds=silent_seconds,
    )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
