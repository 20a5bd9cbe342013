"""The plugin as it is installed: found by its entry point, and following the global providers."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from typing import Any

import pytest

from jackfield.errors import ProviderError
from jackfield.observers import installed_observers
from jackfield.transport.events import Error
from jackfield_otel import observe

CONVERSATION = """
import asyncio
from jackfield import RealtimeAgent, RealtimeSession
from jackfield.testing import Say, ScriptedTransport

async def converse():
    far_end = ScriptedTransport()
    async with RealtimeSession(RealtimeAgent("Greeter"), transport=far_end):
        far_end.emit(Say("Hello."))
"""


def run(program: str) -> str:
    """Run a program in a fresh interpreter, in which warnings are errors; return what it printed."""
    program = CONVERSATION + textwrap.dedent(program)
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_its_observer_is_installed() -> None:
    assert observe in installed_observers()


async def test_an_error_that_nobody_takes_is_still_logged(telemetry: Any, caplog: pytest.LogCaptureFixture) -> None:
    far_end = telemetry.far_end()
    async with telemetry.session(far_end) as session:
        far_end.emit(Error(ProviderError("something odd")))
        assert "something odd" in caplog.text
        caplog.clear()
        session.on("error", lambda event: None)
        far_end.emit(Error(ProviderError("something odd")))
        assert caplog.text == ""


def test_it_uses_the_providers_that_are_set_later() -> None:
    printed = run(
        """
        from opentelemetry import metrics, trace
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import InMemoryMetricReader
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

        asyncio.run(converse())  # nobody is told of it
        exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        trace.set_tracer_provider(provider)
        metrics.set_meter_provider(MeterProvider([reader]))
        asyncio.run(converse())
        print([span.name for span in exporter.get_finished_spans()])
        print([span.instrumentation_scope.name for span in exporter.get_finished_spans()])
        print('"jackfield.responses"' in reader.get_metrics_data().to_json())
        """
    )
    assert printed.splitlines() == [
        "['chat', 'invoke_agent Greeter']",
        "['jackfield_otel', 'jackfield_otel']",
        "True",
    ]


def test_it_needs_no_provider_and_no_sdk() -> None:
    printed = run(
        """
        import sys
        asyncio.run(converse())
        print("jackfield_otel.session" in sys.modules, "opentelemetry.sdk" in sys.modules)
        """
    )
    assert printed == "True False\n"
