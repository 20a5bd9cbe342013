"""Local MCP servers, as the mcp package makes them: programs, and services on loopback. Nothing of them is left."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import subprocess
import sys
import traceback
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from jackfield import RealtimeAgent, RunContextWrapper, ToolContext
from jackfield.errors import ToolError, ToolTimeoutError
from jackfield.mcp import MCPServer, MCPServerSse, MCPServerStdio, MCPServerStreamableHttp, mcp_function_tools
from jackfield.testing.conformance import no_leaks, settled
from jackfield_local import Call, LocalServer, Reply, ResponseContext, Say
from jackfield_local.conformance.sockets import tcp_server
from support.programs import run_example

PATIENCE = 60.0
"""Seconds after which a test that waits has failed. Nothing is measured by it."""

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "mcp_tools.py"

SECRET = "canary-3f9a7c"

SERVER = '''
"""python server.py stdio | http | older | sse | quiet

`older` knows no protocol of 2026, `quiet` tells of no changes. A service prints its port.
"""

import asyncio, os, socket, sys

from mcp import MCPError
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import INTERNAL_ERROR, METHOD_NOT_FOUND

door = sys.argv[1]
app = MCPServer("peer", log_level="CRITICAL")
met = asyncio.Barrier(2)
subscriptions = set()


@app.tool()
def add(first: int, second: int = 2) -> int:
    """Add two numbers."""
    return first + second


@app.tool()
def refuse() -> str:
    raise ToolError("no such city")


@app.tool()
async def meet(name: str) -> str:
    await met.wait()
    return name


@app.tool()
async def hang() -> str:
    await asyncio.Event().wait()


@app.tool()
def die() -> str:
    os._exit(3)


@app.tool()
def surroundings(variable: str) -> list[str]:
    return [str(os.getpid()), os.getcwd(), os.environ.get(variable, "")]


@app.tool()
async def grow(name: str, context: Context) -> str:
    app.add_tool(lambda: "grown", name=name)
    if door == "older":
        await context.session.send_tool_list_changed()
    elif door != "quiet":
        await context.notify_tools_changed()
    return name


@app.tool()
async def grow_unheard(name: str) -> str:
    app.add_tool(lambda: "grown", name=name)
    for subscription in subscriptions:
        subscription.cancel()
    return name


async def watch_subscriptions(context, call_next):
    if context.method != "subscriptions/listen":
        return await call_next(context)
    subscription = asyncio.ensure_future(call_next(context))
    subscriptions.add(subscription)
    try:
        await asyncio.wait({subscription})
    finally:
        subscriptions.remove(subscription)
        subscription.cancel()
    if subscription.cancelled():
        raise MCPError(INTERNAL_ERROR, "no more of that")
    return subscription.result()


async def as_before_2026(context, call_next):
    if context.method == "server/discover":
        raise MCPError(METHOD_NOT_FOUND, "Method not found")
    return await call_next(context)


def guarded(service):
    """Refuse what asks for it, and never answer a farewell that asks for that."""

    async def serve(scope, receive, send):
        query = scope.get("query_string", b"")
        if scope["type"] == "http" and b"status=" in query:
            status = int(query.partition(b"status=")[2][:3])
            await send({"type": "http.response.start", "status": status, "headers": []})
            await send({"type": "http.response.body", "body": b""})
        elif scope["type"] == "http" and scope["method"] == "DELETE" and b"stuck" in query:
            await asyncio.Event().wait()
        else:
            await service(scope, receive, send)

    return serve


if door == "stdio":
    app.run("stdio")
else:
    import uvicorn

    app.middleware.append(as_before_2026 if door == "older" else watch_subscriptions)
    service = app.sse_app() if door == "sse" else app.streamable_http_app()
    listening = socket.create_server(("127.0.0.1", 0))
    print(listening.getsockname()[1], flush=True)
    uvicorn.Server(uvicorn.Config(guarded(service), log_level="critical")).run(sockets=[listening])
'''

Make: TypeAlias = Callable[..., MCPServer]


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mcp") / "server.py"
    path.write_text(SERVER)
    return path


@contextlib.contextmanager
def service(script: Path, door: str) -> Iterator[str]:
    """Run a service; yield its address."""
    process = subprocess.Popen([sys.executable, script, door], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}{'/sse' if door == 'sse' else '/mcp'}"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture(scope="module")
def services(script: Path) -> Iterator[Callable[[str], str]]:
    """The address of the module's service behind each door, which is started when it is first asked for."""
    addresses: dict[str, str] = {}
    with contextlib.ExitStack() as stack:

        def address(door: str) -> str:
            if door not in addresses:
                addresses[door] = stack.enter_context(service(script, door))
            return addresses[door]

        yield address


def at(url: str, **options: Any) -> MCPServerSse | MCPServerStreamableHttp:
    made = MCPServerSse if "/sse" in url else MCPServerStreamableHttp
    return made({"url": url}, **{"client_session_timeout_seconds": PATIENCE} | options)


def program(script: Path, params: Mapping[str, Any] | None = None, **options: Any) -> MCPServerStdio:
    params = {"command": sys.executable, "args": [str(script), "stdio"], **(params or {})}
    return MCPServerStdio(params, client_session_timeout_seconds=PATIENCE, **options)  # type: ignore[arg-type]


@pytest.fixture(params=["stdio", "http", "older", "sse"])
def door(request: pytest.FixtureRequest) -> str:
    """Each way to a server."""
    name: str = request.param
    return name


@pytest.fixture
def make(door: str, script: Path, services: Callable[[str], str]) -> Make:
    """Makes a server behind the door."""
    if door == "stdio":
        return lambda **options: program(script, **options)
    address = services(door)
    return lambda **options: at(address, **options)


def children() -> set[str]:
    """The processes that this one has started and that are not gone."""
    found = set()
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError):  # a thread may end meanwhile
            found.update((task / "children").read_text().split())
    return found


@contextlib.asynccontextmanager
async def nothing_left() -> AsyncIterator[None]:
    """Fail if the block leaves a task, a socket, a thread or a process behind."""
    before = children()
    async with no_leaks():
        yield
        assert await settled(lambda: children() <= before)
    gc.collect()  # what is found to be open only now warns, and a warning is an error


async def tools_of(*servers: MCPServer) -> dict[str, Callable[[str], Any]]:
    """Each tool by its name, to be called with the arguments' JSON."""
    run: RunContextWrapper[Any] = RunContextWrapper(None)

    def caller(tool: Any) -> Callable[[str], Any]:
        return lambda arguments: tool.on_invoke_tool(
            ToolContext(run_context=run, tool_name=tool.name, tool_call_id="call_1", tool_arguments=arguments),
            arguments,
        )

    return {tool.name: caller(tool) for tool in await mcp_function_tools(servers, run, RealtimeAgent("Helper"))}


async def text_of(server: MCPServer, tool: str, **arguments: Any) -> str:
    return "\n".join(block.text for block in (await server.call_tool(tool, arguments)).content if block.type == "text")


class TestTools:
    async def test_they_are_listed_called_and_let_go(self, make: Make) -> None:
        async with nothing_left(), asyncio.timeout(PATIENCE), make(name="peer") as server:
            listed = {tool.name: tool for tool in await server.list_tools()}
            assert listed["add"].description == "Add two numbers."
            assert listed["add"].input_schema["required"] == ["first"]
            tools = await tools_of(server)
            assert await tools["add"]('{"first": 40}') == "42"
            with pytest.raises(ToolError, match="no such city"):
                await tools["refuse"]("{}")
            with pytest.raises(ToolError, match="first"):
                await tools["add"]('{"first": "many"}')
            with pytest.raises(ToolError, match="no JSON"):
                await tools["add"]('{"first": 4')
            result = await server.call_tool("subtract", {})
            assert result.is_error
            assert "subtract" in str(result.content)
            assert await asyncio.gather(*(tools["meet"](f'{{"name": "{name}"}}') for name in "ab")) == ["a", "b"]

    async def test_the_caller_stops_waiting_and_the_connection_lives(self, make: Make) -> None:
        async with nothing_left(), asyncio.timeout(PATIENCE), make() as server:
            waiting = [asyncio.create_task(server.call_tool("hang", {})) for _ in range(3)]
            assert await text_of(server, "add", first=1) == "3"
            for task in waiting:
                task.cancel()
            await asyncio.wait(waiting)
            assert all(task.cancelled() for task in waiting)
            assert await text_of(server, "add", first=2) == "4"

    async def test_one_that_takes_too_long(self, services: Callable[[str], str]) -> None:
        async with at(services("http"), name="peer", client_session_timeout_seconds=1.0) as server:
            with pytest.raises(ToolTimeoutError, match=r"'peer' could not run hang: it did not answer within 1\.0 s"):
                await server.call_tool("hang", {})


class TestTheListIsKept:
    async def names(self, server: MCPServer) -> list[str]:
        return [tool.name for tool in await server.list_tools()]

    async def test_until_the_server_says_that_it_changed(self, make: Make) -> None:
        async with nothing_left(), asyncio.timeout(PATIENCE), make(cache_tools_list=True) as server:
            assert "kept" not in await self.names(server)
            await server.call_tool("grow", {"name": "kept"})
            while "kept" not in await self.names(server):
                await asyncio.sleep(0.002)

    async def test_while_it_can_be_sure_to_hear_of_changes(self, services: Callable[[str], str]) -> None:
        async with nothing_left(), asyncio.timeout(PATIENCE), at(services("http"), cache_tools_list=True) as server:
            assert "unheard" not in await self.names(server)
            await server.call_tool("grow_unheard", {"name": "unheard"})  # which ends the subscription as well
            while "unheard" not in await self.names(server):
                await asyncio.sleep(0.002)
            await server.call_tool("grow", {"name": "heard"})
            while "heard" not in await self.names(server):
                await asyncio.sleep(0.002)

    async def test_until_it_is_invalidated(self, services: Callable[[str], str]) -> None:
        async with at(services("quiet"), cache_tools_list=True) as server:
            before = await self.names(server)
            await server.call_tool("grow", {"name": "kept"})
            assert await self.names(server) == before
            server.invalidate_tools_cache()
            assert await self.names(server) == [*before, "kept"]

    async def test_not_where_it_was_invalidated_on_its_way(self, services: Callable[[str], str]) -> None:
        async with at(services("quiet"), cache_tools_list=True) as server:
            listing = asyncio.create_task(server.list_tools())
            await asyncio.sleep(0)
            server.invalidate_tools_cache()
            await listing
            await server.call_tool("grow", {"name": "later"})
            assert "later" in await self.names(server)

    async def test_only_where_that_is_asked_for(self, services: Callable[[str], str]) -> None:
        async with at(services("quiet")) as server:
            before = await self.names(server)
            await server.call_tool("grow", {"name": "new"})
            assert await self.names(server) == [*before, "new"]

    async def test_what_was_returned_belongs_to_the_caller(self, services: Callable[[str], str]) -> None:
        async with at(services("quiet"), cache_tools_list=True) as server:
            for _ in range(2):
                (await server.list_tools()).clear()
            assert "add" in await self.names(server)

    async def test_not_beyond_the_connection(self, services: Callable[[str], str]) -> None:
        server = at(services("quiet"), cache_tools_list=True)
        async with server:
            assert await self.names(server)
        with pytest.raises(ToolError, match="no longer connected"):
            await server.list_tools()


class TestLife:
    async def test_each_step_from_a_task_of_its_own(self, make: Make) -> None:
        async with nothing_left(), asyncio.timeout(PATIENCE):
            server = make()
            for _ in range(2):
                await asyncio.create_task(server.connect())
                assert await asyncio.create_task(text_of(server, "add", first=1)) == "3"
                await asyncio.create_task(server.cleanup())
                await server.cleanup()

    async def test_a_program_gets_what_it_is_given_and_ends(self, script: Path, tmp_path: Path) -> None:
        async with nothing_left(), program(script, {"cwd": tmp_path, "env": {"KEY": SECRET}}) as server:
            process, *rest = (await text_of(server, "surroundings", variable="KEY")).split("\n")
            assert rest == [str(tmp_path), SECRET]
            assert process in children()

    async def test_there_is_one_connection_however_often_it_is_asked_for(self, script: Path) -> None:
        before = children()
        async with nothing_left():
            server = program(script)
            await asyncio.gather(server.connect(), server.connect())
            await server.connect()
            assert len(children() - before) == 1
            await asyncio.gather(server.cleanup(), server.cleanup())

    async def test_a_connect_during_cleanup_waits_for_its_end(self, script: Path, tmp_path: Path) -> None:
        log = tmp_path / "log"
        shell = 'echo start >> "$0"; "$1" "$2" stdio; echo end >> "$0"'
        params = {"command": "sh", "args": ["-c", shell, str(log), sys.executable, str(script)]}
        async with nothing_left():
            server = program(script, params)
            await server.connect()
            cleaning = asyncio.create_task(server.cleanup())
            await asyncio.sleep(0)
            await server.connect()
            await cleaning
            assert await text_of(server, "add", first=1) == "3"
            await server.cleanup()
        assert log.read_text().split() == ["start", "end"] * 2

    async def test_many_servers_close_in_any_order(self, services: Callable[[str], str]) -> None:
        async with nothing_left(), asyncio.timeout(PATIENCE):
            servers = [at(services(door)) for door in ("http", "sse", "older", "http")]
            await asyncio.gather(*(server.connect() for server in servers))
            for server in servers:
                await server.cleanup()

    async def test_cleanup_does_not_wait_for_a_server_that_does_not_answer(
        self, services: Callable[[str], str]
    ) -> None:
        async with nothing_left(), asyncio.timeout(PATIENCE):
            server = at(f"{services('older')}?stuck")
            await server.connect()
            await server.cleanup()

    async def test_calls_under_way_end_with_the_connection(self, make: Make) -> None:
        async with nothing_left(), asyncio.timeout(PATIENCE):
            server = make(name="peer")
            await server.connect()
            call = asyncio.create_task(server.call_tool("hang", {}))
            assert await text_of(server, "add", first=1) == "3"
            await server.cleanup()
            with pytest.raises(ToolError, match="'peer' could not run hang: the connection ended"):
                await call

    async def test_an_event_loop_that_ends_takes_it_along(self, script: Path) -> None:
        def forgetful() -> None:
            async def main() -> None:
                await program(script).connect()

            asyncio.run(main())

        before = children()
        await asyncio.to_thread(forgetful)
        assert await settled(lambda: children() <= before)


class TestDeath:
    async def test_in_the_middle_of_a_call(self, door: str, script: Path) -> None:
        with contextlib.ExitStack() as stack:
            address = "" if door == "stdio" else stack.enter_context(service(script, door))
            async with nothing_left(), asyncio.timeout(PATIENCE):
                server = at(address, name="peer") if address else program(script, name="peer")
                async with server:
                    calls = [asyncio.create_task(server.call_tool(tool, {})) for tool in ("hang", "die")]
                    for call in calls:
                        with pytest.raises(ToolError, match=r"'peer' could not run (hang|die): the connection ended"):
                            await call
                    with pytest.raises(ToolError, match="'peer'"):
                        await server.list_tools()

    async def test_a_program_can_be_started_anew(self, script: Path, caplog: pytest.LogCaptureFixture) -> None:
        async with nothing_left(), asyncio.timeout(PATIENCE), program(script, name="peer") as server:
            with pytest.raises(ToolError):
                await server.call_tool("die", {})
            with pytest.raises(ToolError, match="no longer connected: connect"):
                await server.list_tools()
            before = children()
            await asyncio.gather(server.connect(), server.connect())
            assert await text_of(server, "add", first=1) == "3"
            assert len(children() - before) == 1
            assert "'peer' went away" in caplog.text

    async def test_a_service_that_is_gone_says_so_at_the_next_call(self, script: Path) -> None:
        async with nothing_left(), asyncio.timeout(PATIENCE):
            with service(script, "http") as address:
                server = at(address, name="peer")
                await server.connect()
            for _ in range(2):
                with pytest.raises(ToolError, match="'peer'"):
                    await server.call_tool("add", {"first": 1})
            with pytest.raises(ToolError, match="'peer' can't be connected"):
                await server.connect()


class TestNoConnection:
    async def refused(self, server: MCPServer, words: str) -> str:
        """Fail to connect, twice; return all that was said."""
        async with nothing_left(), asyncio.timeout(PATIENCE):
            for _ in range(2):
                with pytest.raises(ToolError, match=words) as caught:
                    await server.connect()
            await server.cleanup()
        return "".join(traceback.format_exception(caught.value))

    async def test_no_such_command(self) -> None:
        server = MCPServerStdio({"command": "no-such-command"}, name="peer")
        await self.refused(server, "'peer' can't be connected: .*No such file.*no-such-command")

    async def test_no_such_directory(self) -> None:
        await self.refused(MCPServerStdio({"command": sys.executable, "cwd": "/no/such"}), "No such file.*/no/such")

    async def test_a_program_that_ends_at_once(self) -> None:
        server = MCPServerStdio({"command": sys.executable, "args": ["-S", "-c", ""]}, name="peer")
        await self.refused(server, "'peer' can't be connected: the connection ended")

    @pytest.mark.parametrize("path", ["mcp", "sse"])
    async def test_nobody_listens(self, path: str) -> None:
        async with tcp_server(lambda *_: asyncio.sleep(0)) as port:
            pass
        server = at(f"http://127.0.0.1:{port}/{path}?key={SECRET}")
        assert SECRET not in await self.refused(server, "can't be connected: .*connect")

    @pytest.mark.parametrize("door", ["http", "sse"])
    @pytest.mark.parametrize("status", [401, 500])
    async def test_refused_with_a_status_and_no_secret_is_told(
        self, door: str, status: int, services: Callable[[str], str], caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG, logger="jackfield")
        made = MCPServerSse if door == "sse" else MCPServerStreamableHttp
        params = {
            "url": f"{services(door)}?key={SECRET}&status={status}",
            "headers": {"Authorization": f"Bearer {SECRET}"},
        }
        server = made(params)  # type: ignore[arg-type]
        assert SECRET not in await self.refused(server, f"HTTP status {status}")
        assert SECRET not in caplog.text

    async def test_an_unconnected_server_among_an_agents(self, services: Callable[[str], str]) -> None:
        async with nothing_left(), at(services("http")) as server:
            with pytest.raises(ToolError, match="'other' is not connected"):
                await tools_of(server, at(services("http"), name="other"))


class Weatherman:
    """Calls the tool for the weather, and tells what it said."""

    def phrases(self, context: ResponseContext) -> Sequence[str]:
        return []

    async def respond(self, context: ResponseContext) -> Reply:
        last = context.items[-1]
        if last["type"] == "function_call_output":
            return [Say(f"It is: {last['output']}.")]
        return [Call("get_weather", {"city": "Paris"})]


SILENT = {"command": sys.executable, "args": ["-S", "-c", "import sys; sys.stdin.read()"]}


class TestGivingUp:
    @pytest.mark.parametrize("steps", [0, 1, 2, 3, 5, 8, 13, 40])
    async def test_a_connect_to_a_program_that_is_cancelled(self, steps: int) -> None:
        async with nothing_left():
            server = MCPServerStdio(SILENT)  # type: ignore[arg-type]
            connecting = asyncio.create_task(server.connect())
            for _ in range(steps):
                await asyncio.sleep(0)
            connecting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await connecting

    @pytest.mark.parametrize("steps", [0, 1, 2, 3, 5, 8, 13, 40])
    @pytest.mark.parametrize("path", ["mcp", "sse"])
    async def test_a_connect_to_a_service_that_is_cancelled(self, path: str, steps: int) -> None:
        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()

        async with tcp_server(silent) as port, nothing_left():
            server = at(f"http://127.0.0.1:{port}/{path}")
            connecting = asyncio.create_task(server.connect())
            for _ in range(steps):
                await asyncio.sleep(0)
            connecting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await connecting

    async def test_cleanup_ends_a_connect_that_is_under_way(self) -> None:
        async with nothing_left():
            server = MCPServerStdio(SILENT, name="peer")  # type: ignore[arg-type]
            connecting = asyncio.create_task(server.connect())
            also = asyncio.create_task(server.connect())
            before = children()
            assert await settled(lambda: children() > before)
            await server.cleanup()
            for task in (connecting, also):
                with pytest.raises(ToolError, match="'peer' ended before it was ready"):
                    await task

    async def test_one_that_only_waits_for_anothers_connect_ends_nothing(self, services: Callable[[str], str]) -> None:
        async with nothing_left(), asyncio.timeout(PATIENCE):
            server = at(services("http"))
            connecting, waiting = (asyncio.create_task(server.connect()) for _ in range(2))
            await asyncio.sleep(0)
            waiting.cancel()
            await connecting
            assert await text_of(server, "add", first=1) == "3"
            await server.cleanup()
            assert waiting.cancelled()

    async def test_a_cleanup_that_is_cancelled_still_ends_it(self, script: Path) -> None:
        async with nothing_left():
            server = program(script)
            await server.connect()
            cleaning = asyncio.create_task(server.cleanup())
            await asyncio.sleep(0)
            cleaning.cancel()
            with pytest.raises(asyncio.CancelledError):
                await cleaning


async def test_the_program_in_the_guide(tmp_path: Path) -> None:
    async with LocalServer(responder=Weatherman(), recognizer=None, synthesizer=None, pace=0) as server:
        printed = await run_example(server, EXAMPLE, cwd=tmp_path)
    assert printed.replace('": "', '":"') == (
        'get_weather({"city":"Paris"})\nIt is: Sunny in Paris, says the server.\n'
    )
