"""What phone calls cost the door: beside bare asyncio, which does the same to as many packets and knows of no calls.

`door` and `floor` are the two processes that are measured, `caller` the one that calls them and `agent` the one that
answers the door's calls; `audio` is what is said on a call and how it is heard, `wire` its packets, and `processes` has
all of them in hand. The tables are `bench.measures.sip`'s.
"""

from __future__ import annotations

from typing import Final

ORDER: Final = ("floor", "door")
"""Who is measured, in the order of the tables. The first is what the other is compared with."""
TITLES: Final = {"floor": "bare asyncio", "door": "jackfield"}
