"""Guardrails: what the agent says is judged while it says it, and what its tools return before it gets to know it.

python docs/examples/guardrails.py
"""

import asyncio

from jackfield import (
    GuardrailFunctionOutput,
    RealtimeAgent,
    RealtimeSession,
    RunContextWrapper,
    ToolGuardrailFunctionOutput,
    ToolOutputGuardrailData,
    function_tool,
    output_guardrail,
    tool_output_guardrail,
)


@output_guardrail
def no_secrets(context: RunContextWrapper, agent: RealtimeAgent, text: str) -> GuardrailFunctionOutput:
    return GuardrailFunctionOutput(output_info={"length": len(text)}, tripwire_triggered="swordfish" in text)


@tool_output_guardrail
def no_numbers(data: ToolOutputGuardrailData) -> ToolGuardrailFunctionOutput:
    if any(character.isdigit() for character in str(data.output)):
        return ToolGuardrailFunctionOutput.reject_content("The number is confidential.")
    return ToolGuardrailFunctionOutput.allow()


@function_tool
def get_password(door: str) -> str:
    """Password of a door."""
    return f"The password of {door} is swordfish"


@function_tool(tool_output_guardrails=[no_numbers])
def get_phone_number(person: str) -> str:
    """Phone number of a person."""
    return f"{person} has 555 1234"


agent = RealtimeAgent(
    name="Porter",
    tools=[get_password, get_phone_number],
    output_guardrails=[no_secrets],
)
config = {
    "guardrails_settings": {
        "debounce_text_length": 20,  # judge every 20 characters, and the whole at the end
        "feedback_message": None,  # tell the model nothing of it
        "hold_back_ms": 2000,  # nothing is heard before its words were judged, for two seconds at most
    }
}


async def main() -> None:
    async with RealtimeSession(agent, config=config) as session:
        await session.send_message("What is the phone number of Anna?")
        async for event in session:
            if event.type == "agent_end" and event.output:
                print(f"said: {event.output}")
                break
        await session.send_message("What is the password of the cellar?")
        heard = 0
        async for event in session:
            if event.type == "audio":
                heard += len(event.audio.data)
            elif event.type == "guardrail_tripped":
                names = [result.guardrail.get_name() for result in event.guardrail_results]
                print(f"stopped by {', '.join(names)}, after {heard} bytes of audio")
                break


asyncio.run(main())
