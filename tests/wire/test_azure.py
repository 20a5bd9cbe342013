"""The `azure` transport: where it dials, and with what."""

from __future__ import annotations

import asyncio
import threading
import traceback
from typing import Any

import pytest
from attrs import define

from jackfield.transport import (
    AuthenticationError,
    ConfigurationError,
    ConnectRefusedError,
    create_transport,
)
from jackfield_local.conformance.responder import quiet_server
from jackfield_local.conformance.sockets import SocketFarEnd
from jackfield_transports.azure.address import AzureAddressing

pytestmark = pytest.mark.usefixtures("nothing_is_left")

KEY = "azure-canary-55d0"
TOKEN = "eyJ-canary-token"


async def dialled(far_end: SocketFarEnd, *, connect: dict[str, Any] | None = None, **options: Any) -> Any:
    """Connect and close; return the request that the far end saw."""
    given = {"endpoint": far_end.endpoint, "deployment": "my-deployment", **options}
    transport = create_transport("azure", **given)
    await transport.connect(**(connect or {}))
    await transport.close()
    return far_end.requests[-1]


class TestAddress:
    @pytest.mark.parametrize(
        ("endpoint", "host"),
        [
            ("https://my-resource.openai.azure.com", "my-resource.openai.azure.com"),
            ("https://my-resource.openai.azure.com/", "my-resource.openai.azure.com"),
            ("https://my-resource.openai.azure.com/openai/v1/", "my-resource.openai.azure.com"),
            ("wss://my-resource.openai.azure.com", "my-resource.openai.azure.com"),
            ("https://my-resource.cognitiveservices.azure.com", "my-resource.cognitiveservices.azure.com"),
            ("my-resource.openai.azure.com", "my-resource.openai.azure.com"),
            ("my-resource", "my-resource.openai.azure.com"),
            ("https://127.0.0.1:8443", "127.0.0.1:8443"),
            ("localhost:8443", "localhost:8443"),
        ],
    )
    async def test_every_form_of_an_endpoint(self, endpoint: str, host: str) -> None:
        opened: list[str] = []

        def refuse(url: str, _: object) -> Any:
            opened.append(url)
            raise ConnectRefusedError("far enough")

        transport = create_transport("azure", endpoint=endpoint, deployment="d", open_connection=refuse)
        with pytest.raises(ConnectRefusedError, match="far enough"):
            await transport.connect(api_key=KEY)
        assert opened == [f"wss://{host}/openai/v1/realtime?model=d"]

    async def test_a_deployment_or_a_model(self) -> None:
        async with SocketFarEnd() as far_end:
            key = {"api_key": KEY}
            request = await dialled(far_end, connect=key)
            assert request.path == "/openai/v1/realtime?model=my-deployment"
            request = await dialled(far_end, connect={**key, "model": "a/b c"})
            assert request.path == "/openai/v1/realtime?model=a%2Fb+c"

    async def test_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async with SocketFarEnd() as far_end:
            monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", far_end.endpoint)
            monkeypatch.setenv("AZURE_OPENAI_API_KEY", KEY)
            monkeypatch.setenv("OPENAI_API_KEY", "sk-of-another-house")
            request = await dialled(far_end, endpoint=None)
            assert request.headers["api-key"] == KEY
            assert "Authorization" not in request.headers

    async def test_a_call(self) -> None:
        async with SocketFarEnd() as far_end:
            request = await dialled(far_end, connect={"api_key": KEY, "call_id": "rtc_1"})
            assert request.path == "/openai/v1/realtime?call_id=rtc_1"

    async def test_a_url_as_given(self) -> None:
        async with SocketFarEnd() as far_end:
            url = f"ws://127.0.0.1:{far_end.port}/openai/v1/realtime?model=other&x=1"
            request = await dialled(far_end, endpoint="https://elsewhere.invalid", connect={"api_key": KEY, "url": url})
            assert request.path == "/openai/v1/realtime?model=other&x=1"
            assert request.headers["api-key"] == KEY

    @pytest.mark.parametrize(
        ("where", "connect", "right"),
        [
            ("endpoint", {}, "wss://r.openai.azure.com/openai/v1/realtime?model=d"),
            ("url", {}, "wss://r.openai.azure.com/openai/v1/realtime?model=d"),
            ("url", {"model": "m"}, "wss://r.openai.azure.com/openai/v1/realtime?model=m"),
        ],
    )
    @pytest.mark.parametrize("query", ["?api-version=2025-04-01-preview&deployment=x", "", "/?deployment=x"])
    async def test_the_preview_path_is_refused_with_the_right_one(
        self, where: str, connect: dict[str, str], right: str, query: str
    ) -> None:
        preview = f"wss://r.openai.azure.com/openai/realtime{query}"
        options = {"endpoint": preview if where == "endpoint" else None, "deployment": "d"}
        if where == "url":
            connect = {**connect, "url": preview}
        transport = create_transport("azure", **options)
        with pytest.raises(ConfigurationError, match="preview") as caught:
            await transport.connect(api_key=KEY, **connect)
        assert str(caught.value).endswith(right)

    async def test_an_api_version_is_refused_on_the_right_path_as_well(self) -> None:
        url = "wss://r.openai.azure.com/openai/v1/realtime?api-version=2025-08-28&model=from-url"
        with pytest.raises(ConfigurationError) as caught:
            await create_transport("azure").connect(api_key=KEY, url=url)
        assert str(caught.value).endswith("/openai/v1/realtime?model=from-url")

    async def test_what_is_missing_is_named(self) -> None:
        with pytest.raises(ConfigurationError, match="AZURE_OPENAI_ENDPOINT"):
            await create_transport("azure").connect(api_key=KEY)
        with pytest.raises(ConfigurationError, match="deployment="):
            await create_transport("azure", endpoint="r").connect(api_key=KEY)
        with pytest.raises(ConfigurationError, match="ftp"):
            await create_transport("azure", endpoint="ftp://r.example", deployment="d").connect(api_key=KEY)


@define
class AccessToken:
    token: str


class Credential:
    """A credential of `azure.core`, the blocking kind."""

    def __init__(self) -> None:
        self.asked: list[tuple[tuple[str, ...], threading.Thread]] = []

    def get_token(self, *scopes: str) -> AccessToken:
        self.asked.append((scopes, threading.current_thread()))
        return AccessToken(f"{TOKEN}-{len(self.asked)}")


class AsyncCredential(Credential):
    """The other kind."""

    async def get_token(self, *scopes: str) -> AccessToken:  # type: ignore[override]
        await asyncio.sleep(0)
        return super().get_token(*scopes)


class TestCredentials:
    async def test_a_key(self) -> None:
        async with SocketFarEnd() as far_end:
            request = await dialled(far_end, connect={"api_key": KEY})
            assert request.headers["api-key"] == KEY
            assert "Authorization" not in request.headers

    async def test_a_key_function_is_asked_at_every_dial(self) -> None:
        keys = iter(["one", "two"])
        async with SocketFarEnd() as far_end:
            transport = create_transport("azure", endpoint=far_end.endpoint, deployment="d")
            for _ in range(2):
                await transport.connect(api_key=lambda: next(keys))
                await transport.close()
            assert [request.headers["api-key"] for request in far_end.requests] == ["one", "two"]

    async def test_a_token(self) -> None:
        async with SocketFarEnd() as far_end:
            request = await dialled(far_end, token=TOKEN)
            assert request.headers["Authorization"] == f"Bearer {TOKEN}"
            assert "api-key" not in request.headers

    async def test_token_functions_are_asked_at_every_dial(self) -> None:
        threads: list[threading.Thread] = []
        tokens = iter(f"token-{number}" for number in range(9))

        def blocking() -> str:
            threads.append(threading.current_thread())
            return next(tokens)

        async def later() -> str:
            await asyncio.sleep(0)
            threads.append(threading.current_thread())
            return next(tokens)

        async with SocketFarEnd() as far_end:
            for function in (blocking, later):
                transport = create_transport("azure", endpoint=far_end.endpoint, deployment="d", token=function)
                for _ in range(2):
                    await transport.connect()
                    await transport.close()
            sent = [request.headers["Authorization"] for request in far_end.requests]
            assert sent == [f"Bearer token-{number}" for number in range(4)]
        main = threading.main_thread()
        assert [thread is main for thread in threads] == [False, False, True, True]

    @pytest.mark.parametrize("kind", [Credential, AsyncCredential])
    async def test_credentials_are_asked_at_every_dial(self, kind: type[Credential]) -> None:
        credential = kind()
        async with SocketFarEnd() as far_end:
            transport = create_transport("azure", endpoint=far_end.endpoint, deployment="d", credential=credential)
            for _ in range(2):
                await transport.connect()
                await transport.close()
            sent = [request.headers["Authorization"] for request in far_end.requests]
            assert sent == [f"Bearer {TOKEN}-1", f"Bearer {TOKEN}-2"]
        assert {scopes for scopes, _ in credential.asked} == {("https://cognitiveservices.azure.com/.default",)}
        on_loop = {thread is threading.main_thread() for _, thread in credential.asked}
        assert on_loop == {kind is AsyncCredential}

    async def test_a_scope_of_ones_own(self) -> None:
        credential = Credential()
        async with SocketFarEnd() as far_end:
            await dialled(far_end, credential=credential, scope="https://ai.azure.com/.default")
        assert credential.asked[0][0] == ("https://ai.azure.com/.default",)

    async def test_the_real_kind(self) -> None:
        core = pytest.importorskip("azure.core.credentials")

        class Static(core.TokenCredential):  # type: ignore[misc, name-defined]
            def get_token(self, *_: str, **__: Any) -> Any:
                return core.AccessToken(TOKEN, 4_000_000_000)

        async with SocketFarEnd() as far_end:
            request = await dialled(far_end, credential=Static())
            assert request.headers["Authorization"] == f"Bearer {TOKEN}"

    async def test_headers_are_used_as_given(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AZURE_OPENAI_API_KEY", KEY)
        async with SocketFarEnd() as far_end:
            request = await dialled(far_end, connect={"headers": {"Authorization": f"Bearer {TOKEN}"}})
            assert request.headers["Authorization"] == f"Bearer {TOKEN}"
            assert "api-key" not in request.headers

    @pytest.mark.parametrize(
        ("options", "connect"),
        [
            ({"token": TOKEN, "credential": Credential()}, {}),
            ({"token": TOKEN}, {"api_key": KEY}),
            ({"credential": Credential()}, {"api_key": KEY}),
        ],
    )
    async def test_two_kinds_are_refused(self, options: dict[str, Any], connect: dict[str, Any]) -> None:
        async with SocketFarEnd() as far_end:
            with pytest.raises(ConfigurationError, match="both"):
                await dialled(far_end, connect=connect, **options)
            assert far_end.requests == []

    async def test_none_at_all(self) -> None:
        async with SocketFarEnd() as far_end:
            with pytest.raises(AuthenticationError, match="AZURE_OPENAI_API_KEY"):
                await dialled(far_end)

    @pytest.mark.parametrize("answer", [None, 5, b"bytes"])
    async def test_a_function_that_returns_no_token(self, answer: Any) -> None:
        async with SocketFarEnd() as far_end:
            with pytest.raises(ConfigurationError, match="str"):
                await dialled(far_end, token=lambda: answer)

    async def test_a_credential_that_returns_no_token(self) -> None:
        class Odd:
            def get_token(self, *_: str) -> str:
                return TOKEN

        async with SocketFarEnd() as far_end:
            with pytest.raises(ConfigurationError, match="has no token") as caught:
                await dialled(far_end, credential=Odd())
            assert TOKEN not in str(caught.value)

    async def test_what_they_raise_is_told(self) -> None:
        def broken(*_: str) -> Any:
            raise RuntimeError("no identity here")

        class Broken:
            get_token = broken

        async with SocketFarEnd() as far_end:
            for options in ({"token": broken}, {"credential": Broken()}):
                with pytest.raises(AuthenticationError, match="raised RuntimeError") as caught:
                    await dialled(far_end, **options)
                assert "no identity here" in str(caught.value.__cause__)

    async def test_they_show_nowhere(self) -> None:
        addressing = AzureAddressing(endpoint="r", deployment="d", token=TOKEN, credential=Credential())
        assert TOKEN not in repr(addressing)
        async with SocketFarEnd(status=401, body=f"bad token {TOKEN} or key {KEY}") as far_end:
            for options, connect in (({"token": TOKEN}, {}), ({}, {"api_key": KEY})):
                with pytest.raises(AuthenticationError) as caught:
                    await dialled(far_end, connect=connect, **options)
                secret = TOKEN if options else KEY
                assert secret not in "".join(traceback.format_exception(caught.value))


class TestLocalServer:
    """Against a server that checks the path and the credentials as Azure does."""

    async def test_a_key_and_a_token(self) -> None:
        async with quiet_server(api_key=KEY) as server:
            where = {"endpoint": server.azure_endpoint, "deployment": "gpt-realtime"}
            for options, connect in (({}, {"api_key": KEY}), ({"token": KEY}, {})):
                transport = create_transport("azure", **where, **options)
                await transport.connect(initial_session_config={"instructions": "Hello"}, **connect)
                await transport.close()
            assert [connection.path for connection in server.connections] == ["/openai/v1/realtime"] * 2
            transport = create_transport("azure", **where)
            with pytest.raises(AuthenticationError, match="401"):
                await transport.connect(api_key="another")

    @pytest.mark.parametrize("headers", [{"api-key": KEY}, {"authorization": f"Bearer {KEY}"}])
    async def test_the_plain_websocket_with_url_and_headers(self, headers: dict[str, str]) -> None:
        async with quiet_server(api_key=KEY) as server:
            url = server.azure_endpoint.replace("http", "ws") + "/openai/v1/realtime?model=my-deployment"
            transport = create_transport("websocket")
            await transport.connect(url=url, headers=headers, initial_session_config={"voice": "ash"})
            connection = server.connections[0]
            assert (connection.path, connection.query["model"]) == ("/openai/v1/realtime", "my-deployment")
            await transport.close()
