"""Testing agents without a provider, a key, a network or a clock.

`ScriptedTransport` is a transport whose far end is the test: it expects calls, says what the model and the user say,
and fails on command. `docs/testing.md` shows how.
"""

from __future__ import annotations

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
