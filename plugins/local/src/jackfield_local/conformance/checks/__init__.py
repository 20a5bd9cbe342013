"""What a transport of the OpenAI dialect is held to besides, event by event."""

from __future__ import annotations

from .conversation import *  # noqa: F403
from .failures import *  # noqa: F403
from .lifecycle import *  # noqa: F403
from .listening import *  # noqa: F403
from .sending import *  # noqa: F403
