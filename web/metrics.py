"""`/metrics` in Prometheus text: what all processes counted, and how the queues stand now."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from itertools import accumulate

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse

from brokers.metrics import BOUNDS_S, Histogram, Series, Totals
from brokers.states import QueueState
from stores.redis.registry import Service
from stores.redis.run_totals import Counted
from web.access import Reader
from web.problems import documented
from web.services import Has

# https://prometheus.io/docs/instrumenting/exposition_formats/ (read 2026-11)
MEDIA_TYPE = "text/plain; version=0.0.4"

COUNTED: Mapping[str, str] = {
    "sent": "Messages enqueued.",
    "started": "Attempts begun.",
    "done": "Messages carried out.",
    "failed": "Messages that failed for good.",
    "retried": "Attempts that failed and were repeated.",
    "deferred": "Attempts put off without a failure.",
    "skipped": "Messages whose work another one had done.",
    "dead": "Messages put among the dead letters.",
}

# What the totals of runs call it, the metric, its labels, its help.
RUN_COUNTS = (
    ("runs", "clubsync_runs_total", ("mode", "outcome"), "Finished runs."),
    ("records", "clubsync_records_total", ("mode", "change"), "Records of runs, by what became of them."),
    (
        "requests",
        "clubsync_provider_requests_total",
        ("provider", "kind"),
        "Requests to providers, and answers that needed none.",
    ),
)

router = APIRouter(tags=["health"])


@router.get(
    "/metrics",
    summary="Metrics for Prometheus",
    response_class=PlainTextResponse,
    responses={
        200: {"content": {"text/plain": {"example": 'clubsync_queue_paused{queue="syncs"} 0\n'}}},
        **documented(
            HTTPStatus.UNAUTHORIZED,
            HTTPStatus.FORBIDDEN,
            HTTPStatus.TOO_MANY_REQUESTS,
            HTTPStatus.SERVICE_UNAVAILABLE,
        ),
    },
)
def show_metrics(_caller: Reader, services: Has) -> PlainTextResponse:
    """Counters and histograms since the counting began, over all processes; gauges as of now."""
    hosts = services.provider_hosts
    families = [
        *message_families(services.read_metrics()),
        *queue_families(services.operations.queues()),
        *process_families(services.registry.list()),
        *run_families(services.read_run_totals()),
        *provider_families({name: services.gates.breaker_open_s(host) for name, host in hosts.items()}),
    ]
    text = "".join(f"{line}\n" for family in families for line in family.lines())
    return PlainTextResponse(text, media_type=MEDIA_TYPE)


Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Family:
    """One metric: its name, type, help and samples (name's suffix, labels, value)."""

    name: str
    kind: str
    help: str
    samples: Sequence[tuple[str, Labels, float]]

    def lines(self) -> Iterator[str]:
        if not self.samples:
            return
        yield f"# HELP {self.name} {self.help}"
        yield f"# TYPE {self.name} {self.kind}"
        for suffix, labels, value in self.samples:
            yield f"{self.name}{suffix}{_label_text(labels)} {_number(value)}"


def message_families(totals: Mapping[Series, Totals]) -> Iterator[Family]:
    """What became of messages, and how long they waited and ran."""
    labelled = [({"queue": one.queue, "actor": one.actor}, counted) for one, counted in totals.items()]
    for event, text in COUNTED.items():
        samples = [("", labels, float(counted.counts.get(event, 0))) for labels, counted in labelled]
        yield Family(f"clubsync_messages_{event}_total", "counter", text, samples)
    yield Family(
        "clubsync_message_wait_seconds",
        "histogram",
        "From due to started.",
        [sample for labels, counted in labelled for sample in _histogram(labels, counted.wait)],
    )
    yield Family(
        "clubsync_message_run_seconds",
        "histogram",
        "From started to settled, each attempt.",
        [sample for labels, counted in labelled for sample in _histogram(labels, counted.run)],
    )


def queue_families(queues: Sequence[QueueState]) -> Iterator[Family]:
    """How the queues stand."""
    yield Family(
        "clubsync_queue_messages",
        "gauge",
        "Messages by place.",
        [
            ("", {"queue": queue.name, "place": place}, float(count))
            for queue in queues
            for place, count in (
                ("waiting", queue.depth),
                ("delayed", queue.delayed),
                ("leased", queue.leased),
                ("dead", queue.dead),
            )
        ],
    )
    yield Family(
        "clubsync_queue_oldest_age_seconds",
        "gauge",
        "Age of the oldest message that waits to start; 0 when none does.",
        [("", {"queue": queue.name}, queue.oldest_age_s or 0.0) for queue in queues],
    )
    yield Family(
        "clubsync_queue_paused",
        "gauge",
        "1 while the queue is paused.",
        [("", {"queue": queue.name}, float(queue.is_paused)) for queue in queues],
    )
    yield Family(
        "clubsync_queue_ledger_imbalance",
        "gauge",
        "0 while every message ever enqueued is accounted for.",
        [("", {"queue": queue.name}, float(not queue.ledger.is_balanced)) for queue in queues],
    )


def process_families(services: Iterable[Service]) -> Iterator[Family]:
    """The living processes, and what each role says of its load."""
    processes = list(services)
    roles = Counter(process.role for process in processes)
    yield Family(
        "clubsync_processes",
        "gauge",
        "Living processes.",
        [("", {"role": role}, float(count)) for role, count in roles.items()],
    )
    yield Family(
        "clubsync_process_load",
        "gauge",
        "What a role counts of itself, summed over its processes.",
        [("", {"role": role, "what": what}, value) for (role, what), value in _loads(processes).items()],
    )

    versions = Counter((process.role, process.config_version) for process in processes)
    yield Family(
        "clubsync_config_version_processes",
        "gauge",
        "Living processes by the version of the settings that they follow.",
        [
            ("", {"role": role, "version": str(version)}, float(count))
            for (role, version), count in versions.items()
            if version is not None
        ],
    )


def run_families(totals: Mapping[Counted, float]) -> Iterator[Family]:
    """What finished runs came to: outcomes, time, records, requests."""
    for name, family, labels, text in RUN_COUNTS:
        samples = [
            ("", dict(zip(labels, counted.labels, strict=True)), number)
            for counted, number in totals.items()
            if counted.name == name
        ]
        yield Family(family, "counter", text, samples)
    yield Family("clubsync_run_duration_seconds", "summary", "From started to finished.", _durations(totals))


def _durations(totals: Mapping[Counted, float]) -> list[tuple[str, Labels, float]]:
    samples: list[tuple[str, Labels, float]] = []
    for counted, seconds in totals.items():
        if counted.name != "seconds":
            continue
        (mode,) = counted.labels
        ended = sum(n for one, n in totals.items() if one.name == "runs" and one.labels[0] == mode)
        samples += [("_sum", {"mode": mode}, seconds), ("_count", {"mode": mode}, ended)]
    return samples


def provider_families(open_s: Mapping[str, float]) -> Iterator[Family]:
    """How the providers stand."""
    yield Family(
        "clubsync_provider_breaker_open_seconds",
        "gauge",
        "Until a provider that does not answer is asked again; 0 while it answers.",
        [("", {"provider": provider}, left_s) for provider, left_s in open_s.items()],
    )


def _loads(processes: Iterable[Service]) -> Mapping[tuple[str, str], float]:
    loads: defaultdict[tuple[str, str], float] = defaultdict(float)
    for process in processes:
        for what, value in process.load.items():
            loads[process.role, what] += value
    return loads


def _histogram(labels: Labels, histogram: Histogram) -> Iterator[tuple[str, Labels, float]]:
    bounds = [*map(str, BOUNDS_S), "+Inf"]
    for bound, count in zip(bounds, accumulate(histogram.counts), strict=True):
        yield "_bucket", {**labels, "le": bound}, float(count)
    yield "_sum", labels, histogram.sum_s
    yield "_count", labels, float(histogram.count)


def _label_text(labels: Labels) -> str:
    if not labels:
        return ""
    pairs = (f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return f"{{{','.join(pairs)}}}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if value.is_integer() else repr(value)
