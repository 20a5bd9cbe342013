"""Hosted MCP: listing, refusals, credentials, calls, approvals, and who asks for the answer. Protocol 1.2 and 1.7 j."""

from __future__ import annotations

import json
from typing import Any

import pytest

from jackfield_local import Call, HostedTool
from jackfield_local.dialects import to_beta
from jackfield_local.engine.outbox import CallTool, Halt, ListTools
from jackfield_local.engine.response import OutputLimitReached

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
READ = HostedTool("read_mail", "Read the mail.", CITY, {"readOnlyHint": True})
SEND = HostedTool("send_mail")
FUNCTION = {"type": "function", "name": "get_weather", "parameters": CITY}
PARIS = '{"city":"Paris"}'


def mcp(label: str = "mail", **fields: Any) -> dict[str, Any]:
    return {"type": "mcp", "server_label": label, "server_url": f"https://{label}.example/mcp", **fields}


def listed(driver: Any, *tools: HostedTool) -> list[dict[str, Any]]:
    """Have the server that was asked for last list its tools."""
    driver.engine.listed(driver.effects_of(ListTools)[-1].item_id, tools or (READ, SEND))
    events: list[dict[str, Any]] = driver.take()
    return events


def ready(driver: Any, *tools: dict[str, Any], **session: Any) -> None:
    """Configure the session with one hosted server, and list its tools."""
    driver.update(tools=list(tools) or [mcp(require_approval="never")], **session)
    listed(driver)


def call(driver: Any, response: Any, name: str = "read_mail", **fields: Any) -> CallTool | None:
    request: CallTool | None = driver.engine.call(response, Call(name, {"city": "Paris"}, **fields))
    return request


def called(driver: Any, request: CallTool | None, **outcome: Any) -> list[dict[str, Any]]:
    assert request is not None
    driver.engine.called(request.item_id, **(outcome or {"output": "Two letters."}))
    events: list[dict[str, Any]] = driver.take()
    return events


def ask(driver: Any, *names: str) -> list[str]:
    """Have a response ask for approvals, and return the ids of the requests."""
    response, _ = driver.respond()
    for name in names or ("read_mail",):
        assert call(driver, response, name) is None
    driver.finish(response)
    return [item.id for item in response.output if item.wire["type"] == "mcp_approval_request"]


def decide(driver: Any, request_id: str, approve: bool = True, **fields: Any) -> list[dict[str, Any]]:
    item = {"type": "mcp_approval_response", "approval_request_id": request_id, "approve": approve, **fields}
    events: list[dict[str, Any]] = driver.send("conversation.item.create", item=item)
    return events


def item_of(events: list[dict[str, Any]], kind: str, item_type: str) -> dict[str, Any]:
    (item,) = [event["item"] for event in events if event["type"] == kind and event["item"]["type"] == item_type]
    found: dict[str, Any] = item
    return found


class TestListing:
    def test_a_new_server_is_listed(self, driver: Any, kinds: Any) -> None:
        user = driver.text("Hi")
        events = driver.update(tools=[mcp()])
        assert kinds(events) == ["session.updated", "mcp_list_tools.in_progress", "conversation.item.added"]
        (request,) = driver.effects_of(ListTools)
        assert (request.server.label, request.server.address) == ("mail", "https://mail.example/mcp")
        item = {"id": request.item_id, "type": "mcp_list_tools", "server_label": "mail", "tools": []}
        assert events[1]["item_id"] == request.item_id
        assert (events[2]["item"], events[2]["previous_item_id"]) == (item, user)

        events = listed(driver)
        assert kinds(events) == ["conversation.item.done", "mcp_list_tools.completed"]
        assert events[0]["previous_item_id"] == user
        assert events[1]["item_id"] == request.item_id
        assert events[0]["item"]["tools"] == [
            {
                "name": "read_mail",
                "description": "Read the mail.",
                "input_schema": CITY,
                "annotations": {"readOnlyHint": True},
            },
            {
                "name": "send_mail",
                "description": None,
                "input_schema": {"type": "object", "properties": {}},
                "annotations": None,
            },
        ]
        (stored,) = driver.send("conversation.item.retrieve", item_id=request.item_id)
        assert stored["item"] == events[0]["item"]

    def test_a_server_that_does_not_tell(self, driver: Any, kinds: Any) -> None:
        driver.update(tools=[mcp()])
        (request,) = driver.effects_of(ListTools)
        driver.engine.listed(request.item_id, None)
        events = driver.take()
        assert kinds(events) == ["conversation.item.done", "mcp_list_tools.failed"]
        assert events[0]["item"]["tools"] == []
        assert events[1]["item_id"] == request.item_id
        assert driver.engine.context().tools == []

    def test_it_is_listed_once(self, driver: Any, kinds: Any) -> None:
        ready(driver)
        for tools in ([mcp(allowed_tools=["send_mail"])], [{"type": "mcp", "server_label": "mail"}]):
            assert kinds(driver.update(tools=tools)) == ["session.updated"]
        assert kinds(driver.update(instructions="Be kind.")) == ["session.updated"]
        events = driver.update(tools=[mcp(), mcp("clock")])
        assert kinds(events)[1:] == ["mcp_list_tools.in_progress", "conversation.item.added"]
        assert events[2]["item"]["server_label"] == "clock"

    def test_another_server_under_the_same_label_is_listed(self, driver: Any) -> None:
        ready(driver)
        driver.update(tools=[{**mcp(), "server_url": "https://new.example/mcp"}])
        assert driver.engine.context().tools == []
        assert [request.server.address for request in driver.effects_of(ListTools)] == [
            "https://mail.example/mcp",
            "https://new.example/mcp",
        ]

    def test_one_that_was_removed_is_forgotten(self, driver: Any) -> None:
        ready(driver)
        driver.update(tools=[])
        assert driver.engine.context().tools == []
        assert driver.error(driver.update(tools=[{"type": "mcp", "server_label": "mail"}]))["code"] == (
            "missing_required_parameter"
        )
        driver.update(tools=[mcp()])
        assert len(driver.effects_of(ListTools)) == 2

    def test_one_that_was_removed_while_it_was_listed(self, driver: Any, kinds: Any) -> None:
        driver.update(tools=[mcp()])
        driver.update(tools=[])
        assert kinds(listed(driver)) == ["conversation.item.done", "mcp_list_tools.completed"]
        assert driver.engine.context().tools == []

    def test_the_configuration_that_a_session_begins_with(self, make_driver: Any, kinds: Any) -> None:
        driver = make_driver(config={"type": "realtime", "tools": [mcp(authorization="s3cret")]})
        assert kinds(driver.created) == ["session.created", "mcp_list_tools.in_progress", "conversation.item.added"]
        assert driver.created[0]["session"]["tools"] == [mcp()]
        assert driver.effects_of(ListTools)[0].server.authorization == "s3cret"

    def test_what_the_beta_api_had_no_name_for_is_left_out(self, driver: Any, kinds: Any) -> None:
        ready(driver)
        response, _ = driver.respond()
        called(driver, call(driver, response))
        beta = [event for event in driver.all for event in to_beta(event)]
        assert not [kind for kind in kinds(beta) if "mcp" in kind]
        assert "conversation.item.created" in kinds(beta)


class TestRefusals:
    @pytest.mark.parametrize(
        ("tool", "code", "param"),
        [
            ({"type": "mcp"}, "missing_required_parameter", "session.tools[0].server_label"),
            ({"type": "mcp", "server_label": "x"}, "missing_required_parameter", "session.tools[0].server_url"),
            (mcp(connector_id="connector_gmail"), "invalid_value", "session.tools[0]"),
            (mcp(tunnel_id="t"), "invalid_value", "session.tools[0]"),
            (
                {"type": "mcp", "server_label": "x", "connector_id": "connector_x"},
                "invalid_value",
                "session.tools[0].connector_id",
            ),
            (mcp(require_approval="sometimes"), "invalid_value", "session.tools[0].require_approval"),
            (mcp(require_approval=True), "invalid_type", "session.tools[0].require_approval"),
            (mcp(require_approval={"maybe": {}}), "unknown_parameter", "session.tools[0].require_approval.maybe"),
            (
                mcp(require_approval={"never": {"tool_names": "read_mail"}}),
                "invalid_type",
                "session.tools[0].require_approval.never.tool_names",
            ),
            (mcp(allowed_tools="read_mail"), "invalid_type", "session.tools[0].allowed_tools"),
            (mcp(allowed_tools=[1]), "invalid_type", "session.tools[0].allowed_tools[0]"),
            (mcp(allowed_tools={"names": []}), "unknown_parameter", "session.tools[0].allowed_tools.names"),
            (mcp(headers={"x": 1}), "invalid_type", "session.tools[0].headers.x"),
            (mcp(headers=[]), "invalid_type", "session.tools[0].headers"),
            (
                mcp(authorization="a", headers={"AUTHORIZATION": "b"}),
                "invalid_value",
                "session.tools[0].authorization",
            ),
            (mcp(bogus=1), "unknown_parameter", "session.tools[0].bogus"),
        ],
    )
    def test_tools(self, driver: Any, tool: dict[str, Any], code: str, param: str) -> None:
        error = driver.error(driver.update(tools=[tool], instructions="Not this."))
        assert (error["code"], error["param"]) == (code, param)
        assert driver.engine.session["instructions"] != "Not this."
        assert not driver.effects_of(ListTools)

    def test_a_label_that_is_there_twice(self, driver: Any) -> None:
        error = driver.error(driver.update(tools=[mcp("a"), FUNCTION, mcp("a")]))
        assert (error["code"], error["param"]) == ("invalid_value", "session.tools[2].server_label")
        assert "'a'" in error["message"]

    def test_tools_of_a_response(self, driver: Any) -> None:
        error = driver.error(
            driver.send("response.create", response={"tools": [{"type": "mcp", "server_label": "unknown"}]})
        )
        assert (error["code"], error["param"]) == ("missing_required_parameter", "response.tools[0].server_url")

    @pytest.mark.parametrize("approve", [True, False])
    def test_an_approval_that_nobody_asked_for(self, driver: Any, approve: bool) -> None:
        error = driver.error(decide(driver, "item_unknown", approve))
        assert (error["code"], error["param"]) == ("invalid_value", "item.approval_request_id")
        assert "item_unknown" in error["message"]

    def test_a_second_answer_to_an_approval_request(self, driver: Any) -> None:
        ready(driver, mcp())
        (request_id,) = ask(driver)
        decide(driver, request_id)
        assert driver.error(decide(driver, request_id, approve=False))["code"] == "invalid_value"
        assert len(driver.effects_of(CallTool)) == 1


class TestCredentials:
    SECRETS = {"authorization": "s3cret-token"}, {"headers": {"X-Key": "s3cret-header"}}

    @pytest.mark.parametrize("secrets", SECRETS)
    def test_they_reach_the_server_and_nobody_else(self, driver: Any, secrets: dict[str, Any]) -> None:
        ready(driver, mcp(require_approval="never", **secrets))
        response, _ = driver.respond(tools=[{"type": "mcp", "server_label": "mail", "require_approval": "never"}])
        request = call(driver, response)
        called(driver, request)
        driver.finish(response)
        for server in (driver.effects_of(ListTools)[0].server, request.server):
            assert {"authorization": server.authorization} == secrets or {"headers": server.headers} == secrets
        assert driver.all[1]["session"]["tools"] == [mcp(require_approval="never")]
        seen = json.dumps(driver.all) + repr(driver.effects) + repr(request) + repr(driver.engine.context(response))
        assert "read_mail" in seen
        assert "s3cret" not in seen

    def test_they_stay_where_a_later_update_names_the_label_alone(self, driver: Any) -> None:
        ready(driver, mcp(require_approval="never", authorization="old"))
        events = driver.update(tools=[{"type": "mcp", "server_label": "mail", "allowed_tools": ["read_mail"]}])
        assert events[0]["session"]["tools"] == [mcp(require_approval="never", allowed_tools=["read_mail"])]
        response, _ = driver.respond()
        assert call(driver, response).server.authorization == "old"  # type: ignore[union-attr]

    def test_new_ones_take_the_place_of_old_ones(self, driver: Any) -> None:
        ready(driver, mcp(require_approval="never", authorization="old"))
        driver.update(tools=[mcp(require_approval="never", authorization="new")])
        response, _ = driver.respond()
        assert call(driver, response).server.authorization == "new"  # type: ignore[union-attr]

    def test_a_refusal_does_not_repeat_them(self, driver: Any) -> None:
        events = driver.update(tools=[mcp(authorization=["s3cret"]), mcp(headers={"X-Key": ["s3cret"]})])
        events += driver.update(tools=[mcp(headers={"X-Key": ["s3cret"]})])
        assert [event["type"] for event in events] == ["error", "error"]
        assert "s3cret" not in json.dumps(events)


class TestWhatTheModelIsGiven:
    def test_nothing_before_it_is_listed(self, driver: Any) -> None:
        driver.update(tools=[FUNCTION, mcp()])
        assert driver.engine.context().tools == [FUNCTION]

    def test_listed_tools_in_the_shape_of_functions(self, driver: Any) -> None:
        ready(driver, FUNCTION, mcp())
        function, read, send = driver.engine.context().tools
        assert function == FUNCTION
        assert read == {
            "type": "mcp",
            "server_label": "mail",
            "name": "read_mail",
            "description": "Read the mail.",
            "parameters": CITY,
            "annotations": {"readOnlyHint": True},
        }
        assert (send["name"], send["parameters"]["properties"]) == ("send_mail", {})

    @pytest.mark.parametrize(
        ("allowed", "names"),
        [
            (None, ["read_mail", "send_mail"]),
            (["send_mail", "other"], ["send_mail"]),
            ([], []),
            ({"tool_names": ["read_mail"]}, ["read_mail"]),
            ({"read_only": True}, ["read_mail"]),
            ({"read_only": False}, ["send_mail"]),
            ({"read_only": False, "tool_names": ["read_mail"]}, []),
            ({"read_only": None, "tool_names": None}, ["read_mail", "send_mail"]),
        ],
    )
    def test_allowed_tools(self, driver: Any, allowed: Any, names: list[str]) -> None:
        ready(driver, mcp(allowed_tools=allowed, require_approval="never"))
        assert [tool["name"] for tool in driver.engine.context().tools] == names

        response, _ = driver.respond()
        for name in ("read_mail", "send_mail"):
            request = call(driver, response, name, server_label="mail")
            assert (request is not None) == (name in names)
            if request is not None:
                called(driver, request)


class TestACall:
    def test_without_approval(self, driver: Any, kinds: Any) -> None:
        ready(driver)
        user = driver.text("Have I got mail?")
        response, _ = driver.respond()
        request = call(driver, response)
        assert (request.name, request.arguments) == ("read_mail", {"city": "Paris"})  # type: ignore[union-attr]
        events = driver.take()
        assert kinds(events) == [
            "response.output_item.added",
            "conversation.item.added",
            "response.mcp_call_arguments.delta",
            "response.mcp_call_arguments.delta",
            "response.mcp_call_arguments.done",
            "response.mcp_call.in_progress",
        ]
        added = {
            "id": request.item_id,  # type: ignore[union-attr]
            "type": "mcp_call",
            "server_label": "mail",
            "name": "read_mail",
            "arguments": "",
            "approval_request_id": None,
            "output": None,
            "error": None,
        }
        assert events[0]["item"] == events[1]["item"] == added
        assert events[1]["previous_item_id"] == user
        place = {"response_id": response.id, "item_id": added["id"], "output_index": 0}
        for event in events[2:5]:
            assert place.items() <= event.items()
        assert "".join(event["delta"] for event in events[2:4]) == events[4]["arguments"] == PARIS
        assert events[5].keys() == {"type", "event_id", "item_id", "output_index"}

        events = called(driver, request)
        assert kinds(events) == ["response.mcp_call.completed", "conversation.item.done", "response.output_item.done"]
        assert (events[0]["item_id"], events[0]["output_index"]) == (added["id"], 0)
        done = {**added, "arguments": PARIS, "output": "Two letters."}
        assert events[1]["item"] == events[2]["item"] == done
        assert driver.engine.context(response).items[-1] == done
        assert driver.finish(response)[0]["response"]["output"] == [done]

    def test_that_fails(self, driver: Any, kinds: Any) -> None:
        ready(driver)
        response, _ = driver.respond()
        error = {"type": "http_error", "code": 503, "message": "Try later."}
        events = called(driver, call(driver, response), error=error)
        assert kinds(events) == [
            *["response.output_item.added", "conversation.item.added"],
            *["response.mcp_call_arguments.delta"] * 2,
            *["response.mcp_call_arguments.done", "response.mcp_call.in_progress", "response.mcp_call.failed"],
            *["conversation.item.done", "response.output_item.done"],
        ]
        assert (events[-1]["item"]["output"], events[-1]["item"]["error"]) == (None, error)

    def test_of_what_the_server_has_not(self, driver: Any, kinds: Any) -> None:
        ready(driver)
        response, _ = driver.respond()
        for label in ("mail", "no such server"):
            assert call(driver, response, "burn_mail", server_label=label) is None
            events = driver.take()
            assert kinds(events)[-3] == "response.mcp_call.failed"
            assert events[-1]["item"]["error"] == {
                "type": "protocol_error",
                "code": -32602,
                "message": "Unknown tool: burn_mail",
            }
        assert not driver.effects_of(CallTool)

    def test_a_function_of_that_name_comes_first(self, driver: Any) -> None:
        ready(driver, mcp(require_approval="never"), {**FUNCTION, "name": "read_mail"})
        response, _ = driver.respond()
        assert call(driver, response) is None
        assert call(driver, response, server_label="mail") is not None
        assert [item.wire["type"] for item in response.output] == ["function_call", "mcp_call"]

    def test_of_two_servers_the_first_that_has_it(self, driver: Any) -> None:
        driver.update(tools=[mcp("a", require_approval="never"), mcp("b", require_approval="never")])
        for request in driver.effects_of(ListTools):
            driver.engine.listed(request.item_id, [READ])
        response, _ = driver.respond()
        for label, chosen in ((None, "a"), ("b", "b")):
            request = call(driver, response, server_label=label)
            assert request is not None
            assert request.server.label == chosen
            called(driver, request)

    @pytest.mark.parametrize("how", ["cancel", "speak"])
    def test_that_is_interrupted(self, driver: Any, kinds: Any, speech: Any, how: str) -> None:
        ready(driver)
        response, _ = driver.respond()
        request = call(driver, response)
        driver.take()
        events = driver.send("response.cancel") if how == "cancel" else driver.hear(speech(200))
        ended = kinds(events).index("response.mcp_call.failed")
        assert kinds(events)[ended:] == [
            "response.mcp_call.failed",
            "conversation.item.done",
            "response.output_item.done",
            "response.done",
            "rate_limits.updated",
        ]
        assert events[ended + 1]["item"]["error"]["type"] == "tool_execution_error"
        assert driver.effects_of(Halt)[-1].response_id == response.id
        assert called(driver, request) == []

    def test_whose_arguments_are_too_long(self, driver: Any, kinds: Any) -> None:
        ready(driver)
        response, _ = driver.respond(max_output_tokens=3)
        with pytest.raises(OutputLimitReached):
            call(driver, response)
        events = driver.finish(response, "incomplete", reason="max_output_tokens")
        assert kinds(events)[-5:] == [
            "response.mcp_call_arguments.done",
            "conversation.item.done",
            "response.output_item.done",
            "response.done",
            "rate_limits.updated",
        ]
        assert events[-5]["arguments"] == events[-4]["item"]["arguments"] == PARIS[:12]
        assert not [kind for kind in kinds(events) if kind.startswith("response.mcp_call.")]

    def test_out_of_band(self, driver: Any, kinds: Any) -> None:
        ready(driver)
        response, _ = driver.respond(conversation="none")
        events = called(driver, call(driver, response))
        events += driver.finish(response)
        assert not [kind for kind in kinds(events) if kind.startswith("conversation.")]
        assert kinds(events)[-2:] == ["response.done", "rate_limits.updated"]

    def test_it_costs_what_was_written_and_read(self, driver: Any) -> None:
        ready(driver)
        response, _ = driver.respond()
        called(driver, call(driver, response), output="x" * 4000)
        before = driver.finish(response)[0]["response"]["usage"]
        answer, _ = driver.respond()
        after = driver.finish(answer)[0]["response"]["usage"]
        assert before["output_tokens"] == len(PARIS) // 4
        assert after["input_tokens"] - before["input_tokens"] >= 1000


class TestApproval:
    @pytest.mark.parametrize(
        ("rule", "asked"),
        [
            (None, ["read_mail", "send_mail"]),
            ("always", ["read_mail", "send_mail"]),
            ("never", []),
            ({"never": {"tool_names": ["read_mail"]}}, ["send_mail"]),
            ({"never": {"read_only": True}}, ["send_mail"]),
            ({"always": {"tool_names": ["send_mail"]}}, ["read_mail", "send_mail"]),
            ({"always": {"tool_names": ["send_mail"]}, "never": {"tool_names": ["read_mail"]}}, ["send_mail"]),
            ({"always": {"read_only": False}, "never": {}}, ["send_mail"]),
            ({"always": None, "never": None}, ["read_mail", "send_mail"]),
            ({}, ["read_mail", "send_mail"]),
        ],
    )
    def test_which_calls_need_it(self, driver: Any, rule: Any, asked: list[str]) -> None:
        ready(driver, mcp(require_approval=rule))
        response, _ = driver.respond()
        for name in ("read_mail", "send_mail"):
            request = call(driver, response, name)
            assert (request is None) == (name in asked)
            if request is not None:
                called(driver, request)

    def test_it_is_asked_for(self, driver: Any, kinds: Any) -> None:
        ready(driver, mcp())
        response, _ = driver.respond()
        assert call(driver, response) is None
        events = driver.take()
        assert kinds(events) == [
            "response.output_item.added",
            "conversation.item.added",
            "response.mcp_call_arguments.delta",
            "response.mcp_call_arguments.delta",
            "response.mcp_call_arguments.done",
            "response.output_item.done",
            "response.output_item.added",
            "conversation.item.added",
            "conversation.item.done",
            "response.output_item.done",
        ]
        waiting, request = events[5]["item"], events[8]["item"]
        assert request == {
            "id": request["id"],
            "type": "mcp_approval_request",
            "server_label": "mail",
            "name": "read_mail",
            "arguments": PARIS,
        }
        assert events[8]["previous_item_id"] == waiting["id"]
        assert (waiting["approval_request_id"], waiting["output"]) == (request["id"], None)
        assert [event["output_index"] for event in events if "output_index" in event] == [0] * 5 + [1] * 2
        assert driver.finish(response)[0]["response"]["output"] == [waiting, request]
        assert not driver.effects_of(CallTool)

    def test_it_is_given(self, driver: Any, kinds: Any) -> None:
        ready(driver, mcp())
        (request_id,) = ask(driver)
        events = decide(driver, request_id, id="item_yes", reason=None)
        assert kinds(events) == ["conversation.item.added", "conversation.item.done", "response.mcp_call.in_progress"]
        assert events[1]["item"] == {
            "id": "item_yes",
            "type": "mcp_approval_response",
            "approval_request_id": request_id,
            "approve": True,
            "reason": None,
        }
        (request,) = driver.effects_of(CallTool)
        assert (request.name, request.arguments) == ("read_mail", {"city": "Paris"})
        assert (events[2]["item_id"], events[2]["output_index"]) == (request.item_id, 0)

        events = called(driver, request)
        assert kinds(events) == ["response.mcp_call.completed", "conversation.item.done"]
        assert (events[0]["item_id"], events[0]["output_index"]) == (request.item_id, 0)
        done = events[1]["item"]
        assert (done["output"], done["approval_request_id"]) == ("Two letters.", request_id)
        assert done in driver.engine.context(driver.respond()[0]).items

    def test_a_call_that_was_approved_may_fail(self, driver: Any, kinds: Any) -> None:
        ready(driver, mcp())
        (request_id,) = ask(driver)
        decide(driver, request_id)
        error = {"type": "protocol_error", "code": -32603, "message": "No."}
        events = called(driver, driver.effects_of(CallTool)[0], error=error)
        assert kinds(events) == ["response.mcp_call.failed", "conversation.item.done"]
        assert events[1]["item"]["error"] == error

    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            ({"reason": "It is private"}, "The call was not approved: It is private"),
            ({"reason": ""}, "The call was not approved."),
            ({}, "The call was not approved."),
        ],
    )
    def test_it_is_refused(self, driver: Any, kinds: Any, fields: dict[str, str], message: str) -> None:
        ready(driver, mcp())
        (request_id,) = ask(driver)
        events = decide(driver, request_id, approve=False, **fields)
        assert kinds(events) == ["conversation.item.added", "conversation.item.done", "conversation.item.done"]
        assert events[2]["item"]["error"] == {"type": "tool_execution_error", "message": message}
        assert events[2]["item"]["output"] is None
        assert not driver.effects_of(CallTool)

    def test_a_call_out_of_band(self, driver: Any, kinds: Any) -> None:
        ready(driver, mcp())
        response, _ = driver.respond(conversation="none")
        call(driver, response)
        request = driver.finish(response)[-2]["response"]["output"][1]
        decide(driver, request["id"])
        assert kinds(called(driver, driver.effects_of(CallTool)[0])) == ["response.mcp_call.completed"]

    def test_it_outlives_the_tool(self, driver: Any) -> None:
        ready(driver, mcp(authorization="key"))
        (request_id,) = ask(driver)
        driver.update(tools=[])
        decide(driver, request_id)
        assert driver.effects_of(CallTool)[0].server.authorization == "key"


class TestWhoAsksForTheAnswer:
    def test_the_client(self, driver: Any, kinds: Any) -> None:
        ready(driver, mcp(require_approval={"never": {"tool_names": ["read_mail"]}}))
        response, _ = driver.respond()
        called(driver, call(driver, response))
        assert kinds(driver.finish(response)) == ["response.done", "rate_limits.updated"]
        (request_id,) = ask(driver, "send_mail")
        decide(driver, request_id)
        events = called(driver, driver.effects_of(CallTool)[0])
        assert kinds(events) == ["response.mcp_call.completed", "conversation.item.done"]
        assert kinds(driver.respond()[1]) == ["response.created"]


class TestAnAnswerThatFollowsByItself:
    @pytest.fixture
    def driver(self, make_driver: Any) -> Any:
        return make_driver(mcp_follow_up="server")

    def test_once_the_response_has_ended(self, driver: Any, kinds: Any) -> None:
        ready(driver)
        response, _ = driver.respond(instructions="For this response only.")
        called(driver, call(driver, response))
        events = driver.finish(response)
        assert kinds(events) == ["response.done", "rate_limits.updated", "response.created"]
        assert driver.response() is not response
        assert driver.response().settings["instructions"] != "For this response only."
        assert kinds(driver.finish(driver.response())) == ["response.done", "rate_limits.updated"]

    def test_waits_for_the_outputs_of_functions(self, driver: Any, kinds: Any) -> None:
        ready(driver, mcp(require_approval="never"), FUNCTION)
        response, _ = driver.respond()
        called(driver, call(driver, response))
        call(driver, response, "get_weather")
        assert kinds(driver.finish(response))[-1] == "rate_limits.updated"

    def test_once_a_call_was_approved_and_is_over(self, driver: Any, kinds: Any) -> None:
        ready(driver, mcp())
        (request_id,) = ask(driver)
        decide(driver, request_id)
        events = called(driver, driver.effects_of(CallTool)[0])
        assert kinds(events) == ["response.mcp_call.completed", "conversation.item.done", "response.created"]
        assert events[1]["item"] in driver.engine.context(driver.response()).items

    def test_waits_for_all_approvals(self, driver: Any, kinds: Any) -> None:
        ready(driver, mcp())
        first, second = ask(driver, "read_mail", "send_mail")
        assert "response.created" not in kinds(decide(driver, second, approve=False))
        assert "response.created" not in kinds(decide(driver, first))
        assert kinds(called(driver, driver.effects_of(CallTool)[0]))[-1] == "response.created"

    def test_waits_until_another_answer_has_ended(self, driver: Any, kinds: Any) -> None:
        ready(driver, mcp())
        (request_id,) = ask(driver)
        other, _ = driver.respond()
        decide(driver, request_id)
        assert "response.created" not in kinds(called(driver, driver.effects_of(CallTool)[0]))
        assert kinds(driver.finish(other))[-1] == "response.created"

    def test_waits_while_the_user_speaks(self, driver: Any, kinds: Any, speech: Any, silence: Any) -> None:
        ready(driver, mcp())
        (request_id,) = ask(driver)
        decide(driver, request_id)
        driver.hear(speech(400))
        assert "response.created" not in kinds(called(driver, driver.effects_of(CallTool)[0]))
        # The user's turn is answered, and with it what the call has said: not twice, and without an error.
        events = driver.hear(silence(400))
        assert kinds(events).count("response.created") == 1
        assert kinds(driver.finish(driver.response())) == ["response.done", "rate_limits.updated"]

    @pytest.mark.parametrize("status", ["failed", "incomplete"])
    def test_is_none_to_a_response_that_went_wrong(self, driver: Any, kinds: Any, status: str) -> None:
        ready(driver)
        response, _ = driver.respond()
        called(driver, call(driver, response))
        assert kinds(driver.finish(response, status)) == ["response.done", "rate_limits.updated"]

    def test_is_left_to_whoever_interrupts(self, driver: Any, kinds: Any) -> None:
        ready(driver, mcp())
        (request_id,) = ask(driver)
        driver.respond()
        decide(driver, request_id)
        called(driver, driver.effects_of(CallTool)[0])
        assert kinds(driver.send("response.cancel")) == ["response.done", "rate_limits.updated"]
        response, _ = driver.respond()
        assert kinds(driver.finish(response)) == ["response.done", "rate_limits.updated"]

    def test_is_what_the_client_asked_for_meanwhile(self, driver: Any, kinds: Any) -> None:
        ready(driver, mcp())
        (request_id,) = ask(driver)
        decide(driver, request_id)
        response, _ = driver.respond()
        called(driver, driver.effects_of(CallTool)[0])
        # That response began before the output was there, so another follows, once.
        assert kinds(driver.finish(response))[-1] == "response.created"
        assert kinds(driver.finish(driver.response()))[-1] == "rate_limits.updated"


class TestToolsOfAResponse:
    def test_a_new_server_is_listed_for_it(self, driver: Any, kinds: Any) -> None:
        response, events = driver.respond(tools=[mcp(require_approval="never")])
        assert kinds(events) == ["response.created", "mcp_list_tools.in_progress", "conversation.item.added"]
        assert driver.effects_of(ListTools)[0].for_response
        listed(driver)
        assert [tool["name"] for tool in driver.engine.context(response).tools] == ["read_mail", "send_mail"]
        assert driver.engine.context().tools == []
        assert call(driver, response) is not None

    def test_one_that_is_known_goes_by_its_label(self, driver: Any) -> None:
        ready(driver)
        narrowed = {"type": "mcp", "server_label": "mail", "allowed_tools": ["send_mail"], "require_approval": "always"}
        response, _ = driver.respond(tools=[narrowed])
        assert [tool["name"] for tool in driver.engine.context(response).tools] == ["send_mail"]
        assert call(driver, response, "send_mail") is None
        assert [tool["name"] for tool in driver.engine.context().tools] == ["read_mail", "send_mail"]
        assert len(driver.effects_of(ListTools)) == 1

    def test_a_session_s_server_is_listed_without_keeping_responses(self, driver: Any) -> None:
        driver.update(tools=[mcp()])
        assert not driver.effects_of(ListTools)[0].for_response
