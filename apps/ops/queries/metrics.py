"""What /metrics tells, read anew at each scrape; every query's cost follows the open work, not the history."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from apps.jobs.actions import report_work
from apps.jobs.queries import count_jobs_by_status, list_live_pumps, read_counters
from apps.lib.redis_client import redis_client

QUEUES = ("interactive", "default", "bulk", "ingest", "control", "dead_letter")


class PlatformCollector(Collector):
    """Prometheus' view of the platform."""

    def collect(self) -> Iterator[Metric]:
        yield _queue_depths()
        yield from _work()
        yield _jobs()
        yield from _pumps()
        yield from _counters()


def _queue_depths() -> Metric:
    depths = GaugeMetricFamily("aiplatform_queue_messages", "Messages waiting in a Celery queue (rings, not items).", labels=["queue"])
    for queue in QUEUES:
        depths.add_metric([queue], redis_client().llen(queue))
    return depths


def _work() -> Iterator[Metric]:
    items = GaugeMetricFamily("aiplatform_items", "Items of open jobs, by lane and state.", labels=["lane", "state"])
    oldest = GaugeMetricFamily("aiplatform_oldest_ready_seconds", "How long the oldest ready item of a lane has waited.", labels=["lane"])
    for lane, counts in report_work().items():
        for state in ("waiting", "running", "dead"):
            items.add_metric([lane, state], counts[state])
        oldest.add_metric([lane], counts["oldest_seconds"])
    yield items
    yield oldest


def _jobs() -> Metric:
    jobs = GaugeMetricFamily("aiplatform_open_jobs", "Jobs that have not ended, by status.", labels=["status"])
    for status, number in count_jobs_by_status().items():
        jobs.add_metric([status], number)
    return jobs


def _pumps() -> Iterator[Metric]:
    windows = GaugeMetricFamily("aiplatform_pump_window", "Calls that the live pumps may have in the air.", labels=["worker_set", "state"])
    in_flight = GaugeMetricFamily("aiplatform_pump_in_flight", "Items that the live pumps hold.", labels=["worker_set", "state"])
    sums: dict[tuple[str, str], list[int]] = {}
    for pump in list_live_pumps():
        entry = sums.setdefault((pump.worker_set, pump.state), [0, 0])
        entry[0] += pump.window
        entry[1] += pump.in_flight
    for labels, (window, held) in sums.items():
        windows.add_metric(labels, window)
        in_flight.add_metric(labels, held)
    yield windows
    yield in_flight


def _counters() -> Iterator[Metric]:
    """Kept by settle in Redis; they begin anew when Redis loses its data, as Prometheus' counters may."""
    calls = CounterMetricFamily("aiplatform_calls", "Runs that were settled, by outcome class.", labels=["outcome"])
    decisions = CounterMetricFamily("aiplatform_decisions", "What was decided about them.", labels=["decision"])
    tokens = CounterMetricFamily("aiplatform_tokens", "Tokens charged, by kind.", labels=["kind"])
    families = {"outcome": calls, "decision": decisions, "tokens": tokens}
    counters = read_counters()
    for name, value in counters.items():
        family, _, label = name.partition(":")
        if family in families:
            families[family].add_metric([label], value)
    yield from families.values()
    yield CounterMetricFamily("aiplatform_cost_usd", "US dollars charged.", value=counters.get("cost_usd", 0.0))
