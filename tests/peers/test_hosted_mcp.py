"""Hosted MCP with the official JavaScript client: it approves, and asks for the answer, as it does with the API."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from jackfield_local import FunctionServer, HostedTool, LocalServer
from support.programs import run_program

PROGRAM = """
import { hostedMcpTool } from '@openai/agents-core';
import { OpenAIRealtimeWebSocket, RealtimeAgent, RealtimeSession } from '@openai/agents-realtime';

const [url, requireApproval, decision] = process.argv.slice(1);
const tell = (kind, told) => console.log(JSON.stringify([kind, told]));

const server = hostedMcpTool({ serverLabel: 'weather', serverUrl: 'https://weather.example/mcp', requireApproval });
const agent = new RealtimeAgent({ name: 'Clerk', tools: [server] });
const transport = new OpenAIRealtimeWebSocket();
const config = { outputModalities: ['text'] };
const session = new RealtimeSession(agent, { transport, model: 'gpt-realtime', config });

session.on('mcp_tools_changed', (tools) => {
  tell('tools', tools.map(({ name }) => name));
  session.sendMessage('What is the weather in Paris?');
});
session.on('tool_approval_requested', (_context, _agent, { approvalItem }) => {
  tell('approval', approvalItem.rawItem.name);
  decision === 'approve' ? session.approve(approvalItem) : session.reject(approvalItem);
});
session.on('mcp_tool_call_completed', (_context, _agent, { output }) => tell('called', output));
session.on('error', ({ error }) => tell('error', String(error?.message ?? JSON.stringify(error))));
transport.on('turn_done', ({ response }) => {
  const text = response.output.flatMap(({ content }) => content ?? []).map((part) => part.text ?? '').join('');
  if (text) {
    tell('answer', text);
    session.close();
  }
});
await session.connect({ url, apiKey: 'a-key' });
"""

WEATHER = HostedTool(
    "get_weather",
    "The weather in a city.",
    {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)


@pytest.mark.parametrize(
    ("require_approval", "decision", "expected"),
    [
        ("never", "", [["called", "It rains in Paris."], ["answer", "It rains in Paris."]]),
        (
            "always",
            "approve",
            [["approval", "get_weather"], ["called", "It rains in Paris."], ["answer", "It rains in Paris."]],
        ),
        (
            "always",
            "reject",
            [["approval", "get_weather"], ["called", None], ["answer", "The call was not approved."]],
        ),
    ],
)
async def test_a_turn_of_the_official_client(
    node_packages: Path, require_approval: str, decision: str, expected: list[Any]
) -> None:
    weather = FunctionServer({WEATHER: lambda city: f"It rains in {city}."})
    async with LocalServer(recognizer=None, synthesizer=None, pace=0, mcp_servers={"weather": weather}) as server:
        status, told, complaints = await run_program(
            *("node", "--input-type=module", "--eval", PROGRAM),
            *(f"{server.url}?model=gpt-realtime", require_approval, decision),
            cwd=node_packages,
            environment={"OPENAI_AGENTS_DISABLE_TRACING": "1"},  # it would report to its maker
        )
        connection = await server.connection()
    assert status == 0, complaints
    assert [json.loads(line) for line in told.splitlines()] == [["tools", ["get_weather"]], *expected]
    assert [event["type"] for event in connection.received].count("response.create") == 2
    assert [event["error"] for event in connection.sent if event["type"] == "error"] == []
