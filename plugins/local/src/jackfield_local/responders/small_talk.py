"""What the rule-driven responder says when no tool fits: greetings, thanks, long answers to be interrupted.

It is the same at every time of every day.
"""

from __future__ import annotations

from attrs import frozen

__all__ = ["FALLBACK", "SMALL_TALK", "SmallTalk", "count_aloud"]


@frozen
class SmallTalk:
    """Ways to say one thing, as phrases of a grammar, and the answer to it."""

    phrases: tuple[str, ...]
    answer: str


_STORY = (
    "Once there was a lighthouse keeper who had never seen a storm. Every evening he climbed the stairs, lit the lamp "
    "and waited, and every evening the sea was as flat as a plate. One night a ship's captain knocked at his door and "
    "asked him why he kept a light that nobody needed. Because, said the keeper, the night on which it is needed will "
    "not tell me beforehand. The captain laughed, sailed on, and was caught by the first storm of the century. He came "
    "home by that light, and never asked anybody again what a lamp was for."
)
_TELEPHONE = (
    "The telephone is older than most people think. In the eighteen sixties, a German teacher called Philipp Reis "
    "sent music along a wire. In eighteen seventy six, Alexander Graham Bell was granted his patent, and called his "
    "assistant with the famous words, come here, I want to see you. Two years later the first exchange was opened, "
    "with one switchboard and twenty one customers. For a century, operators put plugs into jackfields by hand, until "
    "relays and then computers took over their work. And today, the voice that answers may not even be a person."
)
FALLBACK = "I am not sure that I understood. You can ask me what I can do."

SMALL_TALK: tuple[SmallTalk, ...] = (
    SmallTalk(("Hello[ there]", "Hi[ there]", "Good morning", "Good evening"), "Hello! How can I help you?"),
    SmallTalk(("How are you[ today]?",), "I am very well, thank you. How can I help you?"),
    SmallTalk(("Thank you[ very much]", "Thanks"), "You are welcome. Is there anything else?"),
    SmallTalk(("Thank you[ and] goodbye", "Goodbye", "Bye", "That is all"), "Goodbye, and have a nice day!"),
    SmallTalk(("Stop[ please]", "Wait[ please]", "Please stop", "That is enough"), "All right. What else can I do?"),
    SmallTalk(("Yes[ please]", "Okay"), "All right."),
    SmallTalk(("No[ thank you]",), "All right. Is there anything else?"),
    SmallTalk(("Who are you?",), "I am your assistant on this line."),
    SmallTalk(("Tell me a[ long] story[ please]",), _STORY),
    SmallTalk(("Tell me about the[ history of the] telephone",), _TELEPHONE),
    SmallTalk(("Tell me a joke[ please]",), "Why did the telephone wear glasses? It had lost its contacts."),
)


def count_aloud(last: int) -> str:
    """Return the count from one to `last`, as it is said."""
    return ", ".join(str(number) for number in range(1, min(last, 100) + 1)) + "."
