"""History: read it, edit it, leave the conversation as JSON and take it up again in another session.

python docs/examples/history.py
"""

import asyncio

from jackfield import InputText, RealtimeAgent, RealtimeItem, RealtimeSession, SessionState, UserMessageItem

agent = RealtimeAgent(name="Assistant")


def show(items: list[RealtimeItem]) -> None:
    for item in items:
        if item.type == "message":
            words = (getattr(part, "text", None) or getattr(part, "transcript", None) or "" for part in item.content)
            print(f"  {item.role}: {''.join(words)}")


async def ask(session: RealtimeSession, question: str) -> None:
    await session.send_message(question)
    async for event in session:
        if event.type == "agent_end":
            return


async def confirmed(session: RealtimeSession, item_ids: list[str]) -> None:
    """Wait until the far end's conversation has just these items."""
    async for event in session:
        if event.type == "history_updated" and [item.item_id for item in event.history] == item_ids:
            return


def redacted(items: list[RealtimeItem]) -> list[RealtimeItem]:
    """Forget the first exchange, and put a note in its place."""
    note = UserMessageItem(item_id="note_1", content=(InputText("(The user said hello.)"),), status="completed")
    return [note, *items[2:]]


async def main() -> None:
    async with RealtimeSession(agent) as session:
        await ask(session, "Hello")
        await ask(session, "Tell me a joke.")
        print("first:")
        show(session.history)
        new = redacted(session.history)
        await session.update_history(new)
        await confirmed(session, [item.item_id for item in new])
        print("edited:")
        show(session.history)
        left = session.state().to_json()

    print(f"left: {len(left)} characters of JSON")
    async with RealtimeSession(agent, state=SessionState.from_json(left)) as session:
        await ask(session, "Thank you")
        print("taken up:")
        show(session.history)


asyncio.run(main())
