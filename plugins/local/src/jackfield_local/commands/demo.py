"""`jackfield demo`: an agent holds a spoken conversation, and the terminal shows it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

SUMMARY = "hold a spoken conversation with the local server and show it, over any transport"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--transport", default="websocket", metavar="NAME", help="the transport to talk over (default: %(default)s)"
    )
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="an option that the transport is made with; may be given several times",
    )
    parser.add_argument("--url", help="talk to the server at this address, instead of starting one")
    parser.add_argument(
        "--api-key", metavar="KEY", help="the key for another server; without --url, at the transport's own address"
    )
    parser.add_argument("--fast", action="store_true", help="don't wait for audio to play: for tests")
    parser.add_argument("--out", type=Path, default=Path("out"), metavar="DIR", help="where the recording goes")
    parser.add_argument(
        "--turn-seconds",
        type=float,
        default=60.0,
        metavar="S",
        help="how long one turn may take (default: %(default)g)",
    )
    parser.add_argument("--plain", action="store_true", help="lines of text, also on a terminal")


def run(args: argparse.Namespace) -> int:
    """Hold the conversation. Return 0 where it went as it should, else 1."""
    import asyncio

    from jackfield_local.demo.performance import Performance, perform
    from jackfield_local.demo.terminal import choose_view

    chosen = Performance(
        transport=args.transport,
        url=args.url,
        api_key=args.api_key,
        options=dict(map(_option, args.option)),
        fast=args.fast,
        out=args.out,
        turn_seconds=args.turn_seconds,
    )
    report = asyncio.run(perform(chosen, choose_view(sys.stdout, plain=args.plain)))
    if report.passed:
        return 0
    print("jackfield demo: the conversation did not go as it should:", file=sys.stderr)
    for failure in report.failures:
        print(f"  not so: {failure}", file=sys.stderr)
    return 1


def _option(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        from jackfield_local.demo.errors import DemoError

        raise DemoError(f"--option {text!r} has no value: write --option {text}=VALUE")
    return name, value
