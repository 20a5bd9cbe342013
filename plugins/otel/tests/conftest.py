"""What the tests share: providers that keep what they are told, and sessions whose far end is the test."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
from opentelemetry.context import Context
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from jackfield import RealtimeAgent, RealtimeSession
from jackfield.testing import ScriptedTransport
from jackfield_otel import observer

SESSION_CREATED = {"type": "session.created", "session": {"id": "sess_1", "model": "gpt-realtime"}}
"""What a real far end says first."""


class Starts(SpanProcessor):
    """Keeps all spans that began."""

    def __init__(self) -> None:
        self.spans: list[Span] = []

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        self.spans.append(span)


class Telemetry:
    """Providers of one test, what they were told, and sessions that tell them."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self._reader = InMemoryMetricReader()
        self.tracer_provider = TracerProvider()
        self.tracer_provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        starts = Starts()
        self.tracer_provider.add_span_processor(starts)
        self.started = starts.spans
        self.meter_provider = MeterProvider([self._reader])

    def far_end(self, **options: Any) -> ScriptedTransport:
        return ScriptedTransport(**{"strict": False, "connect_events": [SESSION_CREATED], **options})

    def session(
        self, far_end: ScriptedTransport, agent: RealtimeAgent | None = None, *, capture: Any = None, **options: Any
    ) -> RealtimeSession:
        observers = [observer(self.tracer_provider, self.meter_provider, capture_content=capture)]
        return RealtimeSession(agent or RealtimeAgent("Greeter"), transport=far_end, observers=observers, **options)

    @property
    def spans(self) -> Sequence[ReadableSpan]:
        """All spans that ended, in the order of their starts."""
        return sorted(self._exporter.get_finished_spans(), key=lambda span: span.start_time or 0)

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.spans if span.name == name]

    def span(self, name: str) -> ReadableSpan:
        """The only span of that name."""
        (span,) = self.named(name)
        return span

    def parent(self, span: ReadableSpan) -> ReadableSpan | None:
        """The span above, where it ended."""
        above = {other.get_span_context().span_id: other for other in self.spans}  # type: ignore[union-attr]
        return None if span.parent is None else above.get(span.parent.span_id)

    def tree(self) -> list[tuple[str, str | None]]:
        """Each span's name, and that of the span above."""
        pairs = ((span.name, self.parent(span)) for span in self.spans)
        return [(name, None if above is None else above.name) for name, above in pairs]

    def events(self, span: ReadableSpan) -> dict[str, Mapping[str, Any]]:
        """The attributes of a span's events, by name."""
        return {event.name: dict(event.attributes or {}) for event in span.events}

    def metrics(self) -> dict[str, list[tuple[dict[str, Any], Any]]]:
        """By the metric's name, the attributes and the value of each series; of a histogram, count and sum."""
        found: dict[str, list[tuple[dict[str, Any], Any]]] = {}
        data = self._reader.get_metrics_data()
        scopes = [scope for resource in (data.resource_metrics if data else ()) for scope in resource.scope_metrics]
        for metric in (metric for scope in scopes for metric in scope.metrics):
            found[metric.name] = [(dict(point.attributes or {}), _value(point)) for point in metric.data.data_points]
        return found

    def exemplars(self, metric: str) -> set[int]:
        """The ids of the spans in whose contexts a metric was measured."""
        data = self._reader.get_metrics_data()
        assert data is not None
        points = [
            point
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for found in scope.metrics
            for point in found.data.data_points
            if found.name == metric
        ]
        return {exemplar.span_id for point in points for exemplar in point.exemplars}

    def everything(self) -> str:
        """All that was told, as text."""
        return "\n".join([*(span.to_json() for span in self.spans), repr(self.metrics())])

    def shutdown(self) -> None:
        self.tracer_provider.shutdown()
        self.meter_provider.shutdown()


def _value(point: Any) -> Any:
    return (point.count, point.sum) if isinstance(point, HistogramDataPoint) else point.value


@pytest.fixture
def telemetry(caplog: pytest.LogCaptureFixture) -> Iterator[Telemetry]:
    """Whatever a test does, every span ends, and OpenTelemetry has nothing to complain about."""
    telemetry = Telemetry()
    yield telemetry
    telemetry.shutdown()
    assert {span.name for span in telemetry.started if span.end_time is None} == set()
    assert [record.message for record in caplog.get_records("call") if record.name.startswith("opentelemetry")] == []
