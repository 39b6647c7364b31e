"""The figures that each process shows; one class a worker, every label from a closed set of our own words."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector


class Tally(Collector):
    """A counter that one thread alone counts on and any may read: a tenth of the price of the library's."""

    def __init__(self, name: str, text: str, labels: tuple[str, ...] = (), *, registry: CollectorRegistry) -> None:
        self.name, self.text, self.labels = name, text, labels
        self._counts: dict[tuple[str | int, ...], int] = {} if labels else {(): 0}
        registry.register(self)

    def add(self, count: int, *labels: str | int) -> None:
        """Count so many more."""
        self._counts[labels] = self._counts.get(labels, 0) + count

    def collect(self) -> Iterable[CounterMetricFamily]:
        """Give what was counted, as the registry asks for it."""
        family = CounterMetricFamily(self.name, self.text, labels=self.labels)
        for labels, count in self._counts.copy().items():
            family.add_metric([str(label) for label in labels], count)
        return [family]


class CollectorMetrics:
    """What the collector counts: received = refused + accepted.

    Labels never come from a request: `endpoint` is events, calls, script or other; `status` one of the answers we
    give; `source` a configured name; `code` one of `edge.server_wire.MESSAGE_CODES`; `result` says what was wrong with
    a write key, one of `edge.collector.write_keys.KEY_CODES`; `cookie` one that `edge.vendor_ids` reads.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        def tally(name: str, text: str, *labels: str) -> Tally:
            return Tally(name, text, labels, registry=registry)

        self._requests = tally("edge_requests", "Requests answered.", "endpoint", "status")
        self._accepted = tally("edge_events_accepted", "Events stored.", "source")
        self._rejected = tally("edge_events_rejected", "Events refused alone.", "code")
        self._keys = tally("edge_write_keys_refused", "Calls without a good key.", "result")
        told = "Vendors' cookies that could not be read."
        self._cookies = tally("edge_vendor_cookies_unreadable", told, "cookie")
        self._bytes = tally("edge_request_bytes", "Body bytes received, before decompression.")
        room = {
            name: Gauge(f"edge_{name}", text, registry=registry)
            for name, text in {
                "spool_bytes": "What accepted events take on the disk.",
                "spool_limit_bytes": "The most they may take.",
                "disk_free_bytes": "What is free on the data directory's disk.",
                "disk_free_limit_bytes": "What must stay free; below it events are refused.",
            }.items()
        }
        self._room = list(room.values())

    def room(self, *sizes: int) -> None:
        """Show the spool's size and limit, and the disk's free bytes and their limit, in this order."""
        for gauge, size_bytes in zip(self._room, sizes, strict=True):
            gauge.set(size_bytes)

    def request(self, endpoint: str, status: int) -> None:
        """Count one answer."""
        self._requests.add(1, endpoint, status)

    def accepted(self, source: str, events: int) -> None:
        """Count events after their commit."""
        self._accepted.add(events, source)

    def rejected(self, code: str) -> None:
        """Count one event of a batch that was refused."""
        self._rejected.add(1, code)

    def key_refused(self, result: str) -> None:
        """Count one call that showed no good write key."""
        self._keys.add(1, result)

    def cookie_unreadable(self, cookie: str) -> None:
        """Count one vendor's cookie that is in none of its forms."""
        self._cookies.add(1, cookie)

    def body(self, size_bytes: int) -> None:
        """Count the bytes of one body as they came."""
        self._bytes.add(size_bytes)


class DrainerMetrics:
    """What resolver and drainer count. `pipeline` and `file` are configured names, the rest closed sets."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, labels, registry=registry)

        def tally(name: str, text: str, *labels: str) -> Tally:
            return Tally(name, text, labels, registry=registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(name, text, labels, registry=registry)

        self.resolved = counter("edge_events_resolved", "Events read from the spool, by what was decided.", "fate")
        self.links = counter("edge_visitors_linked", "Visitors that became known.")
        self.identifiers_dropped = counter("edge_identifiers_dropped", "Identifiers that could not be used.", "kind")
        self.consent_unreadable = counter(
            "edge_consent_unreadable", "Consent platforms' values that could not be read.", "platform"
        )
        self.left_out = counter("edge_identifiers_left_out", "Identifiers named that are not the visitor's.", "kind")
        self.merges = counter("edge_persons_merged", "Persons that servers named as one.", "result")
        self.quarantined = counter("edge_claims_quarantined", "Claims over a limit, which became no link.", "limit")
        self.missing = counter("edge_spool_missing", "Sequence numbers that the spool should have and has not.")
        self.settled = tally("edge_deliveries_settled", "Events settled, by their fate.", "pipeline", "fate")
        self.stripped = counter("edge_links_stripped", "Texts left out that lead away from the shop.", "pipeline")
        self.answers = tally("edge_delivery_answers", "Answers of destinations.", "pipeline", "outcome")
        self.erasures = counter("edge_erasures", "Persons erased from every file here.")
        self.erasing = gauge("edge_erasing", "1 while a person is being erased.")
        self.vendor_erasures = counter(
            "edge_vendor_erasures", "Answers of vendors that were asked to erase a person.", "pipeline", "outcome"
        )
        told = "Events that vendors judged after they had taken them."
        self.told_later = counter("edge_events_told_later", told, "pipeline", "verdict", "reason")
        self.inquiries = counter(
            "edge_inquiries", "Answers of vendors that were asked what became of a request.", "pipeline", "outcome"
        )
        self.restarts = counter("edge_task_restarts", "Tasks that ended unasked and were started again.", "task")
        self.paused = gauge("edge_pipeline_paused", "1 while a pipeline's credentials are refused.", "pipeline")
        self.reloads = counter("edge_pipeline_reloads", "Changes of the pipelines folder, by what they did.", "result")
        self.file_problems = gauge("edge_pipeline_file_problems", "Problems of a pipeline's file.", "file")
        self.cursor = gauge("edge_pipeline_cursor", "The last sequence number that a pipeline has passed.", "pipeline")
        self.resolver_cursor = gauge("edge_resolver_cursor", "The last resolved sequence number.")
        self.resolver_lag = gauge("edge_resolver_lag_seconds", "How far decisions may lie behind arrivals.")
        self.oldest = gauge(
            "edge_pipeline_oldest_seconds", "How long the oldest event is behind or waiting.", "pipeline"
        )


class SupervisorMetrics:
    """What the supervisor counts. `process` is collector or drainer, `alert` one of `edge.alerting.Kind`.

    `about` is a configured pipeline, a pipeline file or a process; `result` is told or failed.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.restarts = Counter(
            "edge_process_restarts", "Processes that ended unasked.", ["process"], registry=registry
        )
        self.ready = Gauge("edge_process_ready", "1 while a process can do its work.", ["process"], registry=registry)
        self.raised = Gauge("edge_alert_raised", "1 for an alert that stands.", ["alert", "about"], registry=registry)
        self.messages = Counter("edge_alert_messages", "Tries to tell of an alert.", ["result"], registry=registry)
