"""Hosted MCP in whatever order: what was begun ends once, one answer at a time, and no credential on the wire."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from jackfield_local import Call, HostedTool
from jackfield_local.engine.outbox import CallTool, ListTools, Respond

READ = HostedTool("read_mail", annotations={"readOnlyHint": True})
SEND = HostedTool("send_mail")
ENDS = ("mcp_call.completed", "mcp_call.failed", "mcp_list_tools.completed", "mcp_list_tools.failed")
TOOLS = st.lists(
    st.builds(
        lambda label, rule, allowed: {
            "type": "mcp",
            "server_label": label,
            "server_url": f"https://{label}.example/mcp",
            "authorization": "s3cret",
            "require_approval": rule,
            "allowed_tools": allowed,
        },
        st.sampled_from(["a", "b"]),
        st.sampled_from(["always", "never", {"never": {"read_only": True}}]),
        st.sampled_from([None, ["read_mail"], {"read_only": False}]),
    ),
    min_size=1,
    max_size=2,
    unique_by=lambda tool: tool["server_label"],
)
STEPS = st.one_of(
    st.tuples(st.just("call"), st.sampled_from(["read_mail", "send_mail", "burn_mail"])),
    st.tuples(st.just("decide"), st.booleans()),
    st.tuples(st.sampled_from(["finish", "answer"]), st.none()),
    st.tuples(st.just("respond"), st.sampled_from(["auto", "none"])),
    st.tuples(st.just("update"), st.just([]) | TOOLS),
    st.tuples(st.sampled_from(["list", "fail", "err", "cancel"]), st.none()),
)


def take_step(driver: Any, step: str, given: Any) -> None:
    def open_ones(kind: type[Any]) -> list[Any]:
        done = {event["item_id"] for event in driver.all if "item_id" in event and event["type"].endswith(ENDS)}
        return [effect for effect in driver.effects_of(kind) if effect.item_id not in done]

    running = [effect.response for effect in driver.effects_of(Respond) if not effect.response.done]
    match step:
        case "update":
            driver.update(tools=given)
        case "respond":
            driver.send("response.create", response={"conversation": given})
        case "cancel":
            driver.send("response.cancel")
        case "list" | "fail":
            for request in open_ones(ListTools)[:1]:
                driver.engine.listed(request.item_id, (READ, SEND) if step == "list" else None)
        case "answer" | "err":
            error = {"type": "tool_execution_error", "message": "x"}
            outcome = {"output": "x"} if step == "answer" else {"error": error}
            for request in open_ones(CallTool)[:1]:
                driver.engine.called(request.item_id, **outcome)
        case "call" if running:
            # What runs inside a response is waited for, as a session does.
            request = driver.engine.call(running[-1], Call(given, {"n": 1}))
            if request is not None:
                driver.engine.called(request.item_id, output="x")
        case "finish" if running:
            driver.engine.finish(running[0], "completed")
        case "decide":
            asked = [event["item"]["id"] for event in driver.all if is_item(event, "added", "mcp_approval_request")]
            for request_id in asked[-1:]:
                item = {"type": "mcp_approval_response", "approval_request_id": request_id, "approve": given}
                driver.send("conversation.item.create", item=item)
    driver.take()


def is_item(event: dict[str, Any], state: str, kind: str) -> bool:
    return event["type"] == f"response.output_item.{state}" and event["item"]["type"] == kind


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(["client", "server"]), TOOLS, st.lists(STEPS, min_size=8, max_size=25))
def test_whatever_happens_in_whatever_order(
    make_driver: Any, follow_up: str, tools: list[dict[str, Any]], steps: list[tuple[str, Any]]
) -> None:
    driver = make_driver(mcp_follow_up=follow_up)
    for step, given_to_it in [("update", tools), ("list", None), ("list", None), ("respond", "auto"), *steps]:
        take_step(driver, step, given_to_it)

    # All that is still owed comes, and the user is answered.
    for _ in range(4 * len(steps) + 8):
        for step in ("list", "answer", "finish"):
            take_step(driver, step, None)
    driver.update(tools=[])
    assert driver.say("Still here.")

    count = Counter((event["type"], event.get("item_id")) for event in driver.all)
    for (kind, item_id), times in list(count.items()):
        if kind.startswith(("response.mcp_call.", "mcp_list_tools.")):
            assert times == 1
            stem = kind.rpartition(".")[0]
            ended = count[f"{stem}.completed", item_id] + count[f"{stem}.failed", item_id]
            assert ended == 1
    states = Counter(
        (event["type"].rpartition(".")[2], event["item"]["id"])
        for event in driver.all
        if event["type"].startswith("conversation.item.") and event["item"]["type"] in ("mcp_call", "mcp_list_tools")
    )
    assert set(states.values()) <= {1}
    assert "s3cret" not in json.dumps(driver.all)
    defaults = [
        event["response"]["status"] == "in_progress"
        for event in driver.all
        if event["type"] in ("response.created", "response.done") and event["response"]["conversation_id"]
    ]
    assert all(started == (index % 2 == 0) for index, started in enumerate(defaults))
