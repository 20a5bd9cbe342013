"""`jackfield serve`: the local Realtime server, until it is interrupted."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import sys
from typing import TYPE_CHECKING

from jackfield.errors import JackfieldError

if TYPE_CHECKING:
    from jackfield_local.server import LocalServer

SUMMARY = "run a Realtime API on this machine: no key, no account, no internet"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--allow-remote", action="store_true", help="allow a host that other machines can reach")
    parser.add_argument("--port", type=int, default=8642, help="port, 0 for a free one (default: %(default)s)")
    parser.add_argument("--api-key", metavar="KEY", help="the only key to accept (default: any that isn't empty)")
    parser.add_argument("--responder", metavar="FILE.toml", help="answer from this script instead of by rules")
    parser.add_argument(
        "--pace",
        type=float,
        default=8.0,
        metavar="N",
        help="send audio N times faster than realtime, 0 as fast as possible (default: %(default)g)",
    )
    parser.add_argument(
        "--session-seconds", type=float, default=3600.0, metavar="S", help="end sessions after S (default: %(default)g)"
    )
    parser.add_argument("--sip", action="store_true", help="take phone calls over SIP")
    parser.add_argument(
        "--sip-port", type=int, default=5060, help="port for SIP, 0 for a free one (default: %(default)s)"
    )
    parser.add_argument("--webhook-url", metavar="URL", help="where to tell of phone calls")
    parser.add_argument(
        "--webhook-secret",
        metavar="SECRET",
        default=os.environ.get("OPENAI_WEBHOOK_SECRET", ""),
        help="what signs the webhook (default: $OPENAI_WEBHOOK_SECRET)",
    )
    parser.add_argument(
        "--no-speech", action="store_true", help="tones instead of speech, and scripted transcripts instead of hearing"
    )
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="NAME[:ARG]",
        help="misbehave; may be given several times; --fault help lists the faults",
    )


def run(args: argparse.Namespace) -> int:
    """Serve until Ctrl-C. Return the exit status."""
    if "help" in args.fault:
        _print_faults()
        return 0
    try:
        return asyncio.run(_serve(_make_server(args)))
    except JackfieldError as error:
        print(f"jackfield serve: {error}", file=sys.stderr)
        return 2


def _make_server(args: argparse.Namespace) -> LocalServer:
    from jackfield_local.server import LocalServer

    responder = None
    if args.responder is not None:
        from jackfield_local.responders import ScriptResponder

        responder = ScriptResponder.from_toml(args.responder)
    server = LocalServer(
        responder=responder,
        recognizer=None if args.no_speech else "auto",
        synthesizer=None if args.no_speech else "auto",
        api_key=args.api_key,
        host=args.host,
        port=args.port,
        allow_remote=args.allow_remote,
        pace=args.pace,
        session_seconds=args.session_seconds,
        record=False,
        sip=args.sip,
        sip_port=args.sip_port,
        webhook_url=args.webhook_url,
        webhook_secret=args.webhook_secret,
    )
    for fault in args.fault:
        server.faults.add(fault)
    return server


async def _serve(server: LocalServer) -> int:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(number, stopping.set)
    async with server:
        print(f"Realtime API   {server.url}?model=gpt-realtime")
        print(f"REST           {server.http_url}/realtime/client_secrets")
        print(f"WebRTC         {server.http_url}/realtime/calls")
        print(f"Azure OpenAI   {server.azure_endpoint}/openai/v1/realtime?model=<deployment>")
        if server.takes_phone_calls:
            print(f"SIP            {server.sip_uri}")
        print()
        print("Point a client at it:")
        print(f"  export OPENAI_BASE_URL={server.http_url}")
        print("  export OPENAI_API_KEY=local      # or whatever --api-key says")
        print("Ctrl-C ends it.", flush=True)
        await stopping.wait()
    return 0


def _print_faults() -> None:
    from jackfield_local.faults import FAULTS

    for make in FAULTS.values():
        print(make.__doc__)
