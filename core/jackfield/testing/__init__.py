"""Testing agents without a provider, a key, a network or a clock.

`ScriptedTransport` is a transport whose far end is the test: it expects calls, says what the model and the user say,
and fails on command. `docs/testing.md` shows how. `jackfield.testing.conformance` is about transports.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jackfield.lazy import lazy_exports

if TYPE_CHECKING:
    from .calls import Method, RecordedCall
    from .emissions import Disconnect, Emission, Line
    from .errors import MissingCallError, ScriptError, UnexpectedCallError, UnfinishedScriptError
    from .far_end import FarEnd
    from .script import Expectation, Matching, Step
    from .transport import ScriptedTransport
    from .turns import Call, Finish, Played, Say, Turn, UserSays, Write


__all__ = [
    "Call",
    "Disconnect",
    "Emission",
    "Expectation",
    "FarEnd",
    "Finish",
    "Line",
    "Matching",
    "Method",
    "MissingCallError",
    "Played",
    "RecordedCall",
    "Say",
    "ScriptError",
    "ScriptedTransport",
    "Step",
    "Turn",
    "UnexpectedCallError",
    "UnfinishedScriptError",
    "UserSays",
    "Write",
]

__getattr__ = lazy_exports(
    __name__,
    {
        **dict.fromkeys(("Method", "RecordedCall"), "calls"),
        **dict.fromkeys(("Disconnect", "Emission", "Line"), "emissions"),
        **dict.fromkeys(("MissingCallError", "ScriptError", "UnexpectedCallError", "UnfinishedScriptError"), "errors"),
        **dict.fromkeys(("FarEnd",), "far_end"),
        **dict.fromkeys(("Expectation", "Matching", "Step"), "script"),
        **dict.fromkeys(("ScriptedTransport",), "transport"),
        **dict.fromkeys(("Call", "Finish", "Played", "Say", "Turn", "UserSays", "Write"), "turns"),
    },
)
