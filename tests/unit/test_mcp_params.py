"""What MCP servers are made with: mistakes are found before anything is started, and no secret is shown."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from jackfield.errors import ConfigurationError, ToolError
from jackfield.mcp import MCPServerSse, MCPServerStdio, MCPServerStreamableHttp

SECRET = "canary-3f9a7c"
URL = "http://127.0.0.1:8000/mcp"
OVER_HTTP = pytest.mark.parametrize("made", [MCPServerStreamableHttp, MCPServerSse])


class TestPrograms:
    @pytest.mark.parametrize(
        ("params", "words"),
        [
            ({}, "lack 'command'"),
            ({"comand": "python"}, "no 'comand': did you mean 'command'"),
            ({"command": ""}, "command is the program"),
            ({"command": ["python", "-V"]}, "command is the program"),
            ({"command": "python", "args": "-V"}, "args is a list of str"),
            ({"command": "python", "args": [1]}, "args is a list of str"),
            ({"command": "python", "env": [("A", "b")]}, "env is a dictionary of str"),
            ({"command": "python", "env": {"A": 1}}, "env: 'A' and its value"),
            ({"command": "python", "cwd": 1}, "cwd is a directory"),
            ("python", "are a dictionary, not str"),
        ],
    )
    def test_params_that_start_nothing(self, params: Any, words: str) -> None:
        with pytest.raises(ConfigurationError, match=words):
            MCPServerStdio(params)

    def test_names(self) -> None:
        assert MCPServerStdio({"command": "python"}).name == "stdio: python"
        assert MCPServerStdio({"command": "python"}, name="calendar").name == "calendar"


@OVER_HTTP
class TestServices:
    @pytest.mark.parametrize(
        ("params", "words"),
        [
            ({"headers": {}}, "lack 'url'"),
            ({"url": URL, "header": {}}, "did you mean 'headers'"),
            ({"url": "127.0.0.1:8000"}, "url is where the server listens"),
            ({"url": "file:///etc"}, "url is where the server listens"),
            ({"url": "http://["}, "url is where the server listens"),
            ({"url": None}, "url is where the server listens"),
            ({"url": f"http://me:{SECRET}@127.0.0.1/mcp"}, "credentials belong into headers"),
            ({"url": URL, "headers": [("A", "b")]}, "headers is a dictionary of str"),
            ({"url": URL, "headers": {"Authorization": f"{SECRET}\r\nX: y"}}, "'Authorization' holds what no HTTP"),
            ({"url": URL, "headers": {"X y": SECRET}}, "'X y' holds what no HTTP"),
            ({"url": URL, "timeout": 0}, "timeout=0 is not a time limit"),
            ({"url": URL, "sse_read_timeout": True}, "sse_read_timeout=True is not a time limit"),
        ],
    )
    def test_params_that_reach_nothing(self, made: Any, params: Any, words: str) -> None:
        with pytest.raises(ConfigurationError, match=words) as caught:
            made(params)
        assert SECRET not in str(caught.value)

    def test_names_hold_no_query(self, made: Any) -> None:
        name = made({"url": f"{URL}?key={SECRET}"}).name
        assert name.endswith(f": {URL}")
        assert made({"url": URL}, name="calendar").name == "calendar"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"name": ""}, "name is a non-empty str"),
        ({"name": 3}, "name is a non-empty str"),
        ({"client_session_timeout_seconds": -1}, "not a time limit"),
        ({"client_session_timeout_seconds": float("nan")}, "not a time limit"),
        ({"tool_filter": ["add"]}, "tool_filter is a dictionary of names or a function"),
        ({"tool_filter": {"allowed": ["add"]}}, "tool_filter has no key 'allowed'"),
        ({"tool_filter": {"allowed_tool_names": "add"}}, "allowed_tool_names is a list of tool names"),
        ({"tool_filter": {"blocked_tool_names": [1]}}, "blocked_tool_names is a list of tool names"),
    ],
)
def test_options_without_a_meaning(options: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        MCPServerStdio({"command": "python"}, **options)


def test_no_secret_is_part_of_a_repr() -> None:
    servers = [
        MCPServerStdio({"command": "python", "args": [SECRET], "env": {"KEY": SECRET}}),
        MCPServerStreamableHttp({"url": f"{URL}?key={SECRET}", "headers": {"Authorization": f"Bearer {SECRET}"}}),
        MCPServerSse({"url": f"{URL}?key={SECRET}", "headers": {"Authorization": f"Bearer {SECRET}"}}),
    ]
    assert SECRET not in repr(servers)


async def test_one_that_is_not_connected_says_what_to_do() -> None:
    server = MCPServerStdio({"command": "python"}, name="calendar")
    await server.cleanup()
    for asked in (server.list_tools(), server.call_tool("add", {})):
        with pytest.raises(ToolError, match="'calendar' is not connected: connect\\(\\) it"):
            await asked


def test_without_the_package_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mcp", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'jackfield\[mcp\]'"):
        MCPServerStdio({"command": "python"})


def test_the_package_is_loaded_with_the_first_server() -> None:
    program = """if True:
        import sys
        import jackfield.mcp
        heavy = {"anyio", "httpx2", "mcp", "pydantic", "starlette"}
        assert not heavy & sys.modules.keys(), heavy & sys.modules.keys()
        jackfield.mcp.MCPServerStdio({"command": "python"})
        assert "mcp" in sys.modules
    """
    subprocess.run([sys.executable, "-c", program], check=True)
