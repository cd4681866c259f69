"""One trace leads from the sender through the worker to its HTTP calls, and tells no secret."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import dramatiq
import httpx
import pytest
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from brokers.middleware.traces import Traces, open_traces
from brokers.redis import PriorityRedisBroker
from brokers.tracing import trace
from sync.errors import ConfigurationError

SECRET = "a-token-in-the-query"


class Answering(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_arguments: Any) -> None: ...


@pytest.fixture
def address() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Answering) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/matches.json?api_token={SECRET}"
        server.shutdown()


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def traces(exporter: InMemorySpanExporter) -> Iterator[Traces]:
    yield open_traces("test", exporter)
    HTTPXClientInstrumentor().uninstrument()


@pytest.fixture
def broker(redis_url: str, namespace: str, traces: Traces) -> Iterator[PriorityRedisBroker]:
    broker = PriorityRedisBroker(url=redis_url, namespace=namespace)
    broker.add_middleware(traces)
    yield broker
    broker.close()
    broker.client.close()


def carry_out(broker: PriorityRedisBroker, actor: dramatiq.Actor[..., Any]) -> None:
    worker = dramatiq.Worker(broker, worker_threads=1, worker_timeout=50)
    worker.start()
    actor.send(account_id=42)
    broker.join(actor.queue_name, timeout=30_000)
    worker.stop()


def test_sending_running_and_its_requests_are_one_trace(
    broker: PriorityRedisBroker, traces: Traces, exporter: InMemorySpanExporter, address: str
) -> None:
    @dramatiq.actor(broker=broker)
    def fetch(account_id: int) -> None:
        httpx.get(address)

    carry_out(broker, fetch)
    traces.flush()
    spans = {span.kind: span for span in exporter.get_finished_spans()}
    sent, processed, asked = (spans[kind] for kind in (SpanKind.PRODUCER, SpanKind.CONSUMER, SpanKind.CLIENT))
    assert (sent.name, processed.name) == ("send fetch", "process fetch")
    assert [parent_of(span) for span in (sent, processed, asked)] == [None, id_of(sent), id_of(processed)]
    assert processed.attributes is not None
    assert processed.attributes["clubsync.account_id"] == "42"
    assert not any(SECRET in span.to_json() for span in exporter.get_finished_spans())


def test_a_failed_attempt_is_an_error_without_its_text(
    broker: PriorityRedisBroker, traces: Traces, exporter: InMemorySpanExporter
) -> None:
    @dramatiq.actor(broker=broker, max_retries=0)
    def fail(account_id: int) -> None:
        raise ValueError(SECRET)

    carry_out(broker, fail)
    traces.flush()
    (failed,) = [span for span in exporter.get_finished_spans() if span.kind is SpanKind.CONSUMER]
    assert (failed.status.status_code, failed.status.description) == (StatusCode.ERROR, "ValueError")
    assert SECRET not in failed.to_json()


def test_without_the_extra_a_person_is_told_what_to_install(
    redis_url: str, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "brokers.middleware.traces", None)
    broker = PriorityRedisBroker(url=redis_url, namespace=namespace)
    trace(broker, "cli", is_on=False)
    with pytest.raises(ConfigurationError, match=r"clubsync\[otel\]"):
        trace(broker, "cli", is_on=True)
    broker.close()
    broker.client.close()


def id_of(span: ReadableSpan) -> int:
    context = span.get_span_context()
    assert context is not None
    return context.span_id


def parent_of(span: ReadableSpan) -> int | None:
    return span.parent.span_id if span.parent else None
