"""A trace: what happened in one conversation, and when, as a tree of OpenTelemetry spans.

    pip install jackfield-otel opentelemetry-sdk
    python docs/examples/tracing.py

It talks to OPENAI_BASE_URL with OPENAI_API_KEY; `jackfield serve` prints both for the local server. It needs the SDK of
OpenTelemetry beside the plugin. A program in service would export its spans (opentelemetry-exporter-otlp), and set the
provider for all sessions: `opentelemetry.trace.set_tracer_provider(provider)`, and no `observers=`.
"""

import asyncio
from collections.abc import Sequence

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from jackfield import RealtimeAgent, RealtimeSession, function_tool
from jackfield_otel import observer

exporter = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
tracer = provider.get_tracer("weather")


@function_tool
async def get_weather(city: str) -> str:
    """Weather in a city."""
    with tracer.start_as_current_span("look out of the window"):  # it is found beneath the tool's span
        await asyncio.sleep(0.05)
    return f"Sunny in {city}"


agent = RealtimeAgent(name="Greeter", instructions="Answer in one sentence.", tools=[get_weather])


async def main() -> None:
    async with RealtimeSession(agent, model="gpt-realtime", observers=[observer(provider)]) as session:
        await session.send_message("What is the weather in Paris?")
        async for event in session:
            if event.type == "error":
                raise event.error
            if event.type == "agent_end" and event.output:  # the response that called the tool has none
                break
    spans = sorted(exporter.get_finished_spans(), key=lambda span: span.start_time or 0)
    show([span for span in spans if span.parent is None], spans)


def show(siblings: Sequence[ReadableSpan], spans: Sequence[ReadableSpan], indent: str = "") -> None:
    """Print spans with what happened in them, each in ms from the trace's beginning, and the spans beneath them."""
    for span in siblings:
        print(f"{indent}{span.name}  [{since(spans, span.start_time)} .. {since(spans, span.end_time)} ms]")
        for event in span.events:
            print(f"{indent}  - {since(spans, event.timestamp)} ms: {event.name}")
        beneath = [other for other in spans if other.parent and other.parent.span_id == span.context.span_id]
        show(beneath, spans, indent + "    ")


def since(spans: Sequence[ReadableSpan], time: int | None) -> int:
    return ((time or 0) - (spans[0].start_time or 0)) // 1_000_000


asyncio.run(main())
