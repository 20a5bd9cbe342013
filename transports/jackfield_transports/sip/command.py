"""`jackfield serve-calls`: answer the phone with an agent of yours, until it is interrupted."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from typing import Any

from jackfield.errors import ConfigurationError, TransportUnavailableError

SUMMARY = "answer phone calls that come over SIP with an agent of yours"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "target",
        metavar="MODULE:NAME",
        help="an agent, a function from an incoming call to one, or a SipCallServer; looked for from here on",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8080, help="port, 0 for a free one (default: %(default)s)")
    parser.add_argument("--model", help="the model that answers (default: the provider's realtime model)")
    parser.add_argument(
        "--max-calls", type=int, default=100, metavar="N", help="calls at a time (default: %(default)s)"
    )


def run(args: argparse.Namespace) -> int:
    """Serve until SIGTERM or Ctrl-C, and then until the calls have ended. Return the exit status.

    The environment has the secrets: OPENAI_API_KEY, OPENAI_WEBHOOK_SECRET, and OPENAI_BASE_URL where it isn't OpenAI.
    """
    try:
        import uvicorn

        from .server import SipCallServer
    except ImportError as error:
        raise TransportUnavailableError(
            f"serve-calls needs an extra ({error}): pip install 'jackfield[sip]'"
        ) from error
    found = _load(args.target)
    server = found
    if not isinstance(found, SipCallServer):
        server = SipCallServer(found, model=args.model, max_calls=args.max_calls)
    uvicorn.run(server, host=args.host, port=args.port)
    return 0


def _load(target: str) -> Any:
    module, _, name = target.partition(":")
    if not module or not name:
        raise ConfigurationError(f"{target!r} names nothing: give MODULE:NAME, such as shop:agent")
    sys.path.insert(0, os.getcwd())  # noqa: PTH109 - as `python -m` does
    try:
        found: Any = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise
        raise ConfigurationError(f"there is no module {module!r} to be found from here") from error
    for part in name.split("."):
        if not hasattr(found, part):
            raise ConfigurationError(f"{module} has no {name}")
        found = getattr(found, part)
    return found
