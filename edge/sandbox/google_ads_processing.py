"""What a fake Google Ads makes of events after it has taken them: conversions, or nothing, each with its reason.

Source: Data Manager API v1 (google-ads-datamanager 0.9.4, types processing_errors and request_status_per_destination),
as of 2026-11. Where a reason's exact conditions are not told, the reading is the one that is harder on the sender.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from edge.sandbox.vendor import JSON

MAX_AGE_MS, TOO_RECENT_MS = 90 * 86_400_000, 6 * 3_600_000
PREFIX = "PROCESSING_ERROR_REASON_"


@dataclass(slots=True)
class Status:
    """What became of one request at one of its destinations; `faults` are places of events, each with its reason."""

    destination: JSON
    events: int = 0
    faults: list[tuple[int, str]] = field(default_factory=list)

    def to_json(self, *, is_done: bool) -> JSON:
        """Give it as the API does: no counts before it is done, and numbers of 64 bits as texts."""
        told: dict[str, JSON] = {
            "destination": self.destination,
            "requestStatus": self._word() if is_done else "PROCESSING",
        }
        if self.faults and is_done:
            counts = sorted(Counter(why for _, why in self.faults).items())
            told["errorInfo"] = {"errorCounts": [{"recordCount": str(n), "reason": PREFIX + why} for why, n in counts]}
        return {**told, "eventsIngestionStatus": {"recordCount": str(self.events)}}

    def _word(self) -> str:
        if not self.faults:
            return "SUCCESS"
        return "FAILED" if len(self.faults) >= self.events else "PARTIAL_SUCCESS"


class Processing:
    """One account's conversions, each counted once; `clicks` are those it knows with their moments, None: any."""

    def __init__(self, clicks: Mapping[str, int] | None) -> None:
        self._clicks = clicks
        self._seen: set[tuple[str, ...]] = set()
        self.counted: list[JSON] = []
        self.ignored: list[JSON] = []

    def process(self, body: Any, now_ms: int) -> list[Status]:
        """Make conversions of a good request's events; give its status by destination, in their order."""
        statuses = {one.get("reference"): Status(one) for one in body["destinations"]}
        for index, event in enumerate(body["events"]):
            for reference in event.get("destinationReferences") or statuses:
                status = statuses[reference]
                action = status.destination["productDestinationId"]  # type: ignore[index, call-overload]
                status.events += 1
                why = self._fault_of(event, str(action), body.get("consent") or {}, now_ms)
                (self.counted if why is None else self.ignored).append({"action": action, **event})
                status.faults += [] if why is None else [(index, why)]
        return list(statuses.values())

    def _fault_of(self, event: Any, action: str, otherwise: Mapping[str, Any], now_ms: int) -> str | None:
        consent = {**otherwise, **event.get("consent", {})}.get("adUserData", "CONSENT_STATUS_UNSPECIFIED")
        if "userData" in event and consent != "CONSENT_GRANTED":
            return "DENIED_CONSENT" if consent == "CONSENT_DENIED" else "NO_CONSENT"
        return self._click_fault_of(event, now_ms) or self._repeat_of(event, action)

    def _click_fault_of(self, event: Any, now_ms: int) -> str | None:
        click = event.get("adIdentifiers", {}).get("gclid")
        if click is None or self._clicks is None:
            return None
        if click not in self._clicks:
            return "INVALID_GCLID"
        clicked_ms = self._clicks[click]
        since_ms = round(datetime.fromisoformat(event["eventTimestamp"]).timestamp() * 1_000) - clicked_ms
        if since_ms < 0:
            return "CONVERSION_PRECEDES_CLICK"
        if now_ms - clicked_ms < TOO_RECENT_MS:
            return "TOO_RECENT_CLICK"
        return "EVENT_TOO_OLD" if since_ms > MAX_AGE_MS else None

    def _repeat_of(self, event: Any, action: str) -> str | None:
        """Tell a repeat by the transaction's id, else by click and moment; the first one counts."""
        order, click = event.get("transactionId"), event.get("adIdentifiers", {}).get("gclid")
        if not order and not click:
            return None
        key = (action, order) if order else (action, click, event["eventTimestamp"])
        if key in self._seen:
            return "DUPLICATE_TRANSACTION_ID" if order else "DUPLICATE_GCLID"
        self._seen.add(key)
        return None
