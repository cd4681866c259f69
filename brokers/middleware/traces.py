"""OpenTelemetry traces: from the sending through the worker to its calls of provider and CMS.

    send sync_club -> process sync_club -> GET api.playhq.com … , PUT the CMS …
                                        -> send send_notification -> …

Needs the extra `otel`, and is told where to by OpenTelemetry's own variables
(OTEL_EXPORTER_OTLP_ENDPOINT). Names follow
https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/ (read 2026-11).
"""

from __future__ import annotations

from contextvars import Token
from typing import Any

import httpx
from dramatiq.broker import Broker, MessageProxy
from dramatiq.message import Message
from dramatiq.middleware import Middleware
from dramatiq.worker import Worker
from opentelemetry import context, propagate, trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

# The message's option that carries the trace on, in the W3C's form.
TRACE_OPTION = "trace"
SERVICE = "clubsync"


class Traces(Middleware):
    """A span for each message sent and for each attempt, in one trace.

    Stands last in the chain: its span is open just while the actor runs. `flush` sends what
    is still held back.
    """

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer(SERVICE)
        self._open: dict[int, tuple[Span, Token[Context]]] = {}

    def before_enqueue(self, broker: Broker, message: Message[Any], delay: int | None) -> None:
        attributes = _attributes(message)
        with self._tracer.start_as_current_span(
            f"send {message.actor_name}", kind=SpanKind.PRODUCER, attributes=attributes
        ):
            carrier: dict[str, str] = {}
            propagate.inject(carrier)
            message.options[TRACE_OPTION] = carrier

    def before_process_message(self, broker: Broker, message: MessageProxy) -> None:
        sent_in = propagate.extract(message.options.get(TRACE_OPTION) or {})
        span = self._tracer.start_span(
            f"process {message.actor_name}",
            context=sent_in,
            kind=SpanKind.CONSUMER,
            attributes=_attributes(message),
        )
        self._open[id(message)] = (span, context.attach(trace.set_span_in_context(span)))

    def after_process_message(
        self,
        broker: Broker,
        message: MessageProxy,
        *,
        result: Any = None,
        exception: BaseException | None = None,
    ) -> None:
        if (opened := self._open.pop(id(message), None)) is None:
            return  # skipped before it came here
        span, token = opened
        if exception is not None:
            # Its class alone: a text may hold what was fetched.
            span.set_status(Status(StatusCode.ERROR, type(exception).__name__))
        span.end()
        context.detach(token)

    def after_skip_message(self, broker: Broker, message: MessageProxy) -> None:
        self.after_process_message(broker, message)

    def after_worker_shutdown(self, broker: Broker, worker: Worker) -> None:
        self.flush()

    def flush(self) -> None:
        self._provider.force_flush()


def open_traces(role: str, exporter: SpanExporter | None = None) -> Traces:
    """Trace this process from now on, HTTP calls included; `role` is worker, web, scheduler or cli."""
    provider = TracerProvider(resource=Resource.create({"service.name": f"{SERVICE}-{role}"}))
    provider.add_span_processor(BatchSpanProcessor(exporter or OTLPSpanExporter()))
    HTTPXClientInstrumentor().instrument(tracer_provider=provider, request_hook=_hide_query)
    return Traces(provider)


def _hide_query(span: Span, request: Any) -> None:
    # Play-Cricket takes its token in the query.
    address = str(httpx.URL(str(request.url)).copy_with(query=None, fragment=None, userinfo=b""))
    for name in ("http.url", "url.full"):
        span.set_attribute(name, address)


def _attributes(message: Message[Any] | MessageProxy) -> dict[str, str]:
    found = {
        "messaging.system": "dramatiq",
        "messaging.destination.name": message.queue_name,
        "messaging.message.id": message.message_id,
    }
    for name in ("run_id", "account_id", "organisation_id"):
        if (value := message.kwargs.get(name)) is not None:
            found[f"{SERVICE}.{name}"] = str(value)
    return found
