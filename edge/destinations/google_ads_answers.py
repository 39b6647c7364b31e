"""What the Data Manager API's answers mean: codes and places are read, never its prose.

Source: Data Manager API v1 (google-ads-datamanager 0.9.4), "Understand API errors", "Limits and quotas", as of 2026-11:
google.rpc.Status with ErrorInfo (reason, metadata.quota_limit) and BadRequest (field, reason) in its details.
"""

import re
from collections.abc import Sequence
from typing import Any

from edge.delivery import Delivered, Outcome, Refused, Rejected, Response, Retry, Throttled, Unclear
from edge.destinations.answers import object_of, retry_after_s

MINUTE_S, DAY_S = 60.0, 3_600.0  # how long to rest when a quota is used up; the day's is asked again each hour
MAX_TOLD, MAX_PLACES = 3, 2_000

# Errors of the account or the parameters: no event is at fault, and none is lost.
_CONFIGURATION = re.compile(
    r"NOT_ALLOWLISTED|INVALID_CONVERSION_ACTION_(ID|TYPE)|\w*TERMS(_AND_CONDITIONS)?_NOT_SIGNED|\w*NOT_ENABLED\w*"
    r"|\w*PERMISSION_DENIED|ACCESS_TOKEN_\w+|SERVICE_DISABLED"
)
_CODE = re.compile(r"[A-Z][A-Z0-9_]{0,99}")
# What may be kept: a name in another form is not asked about.
_RECEIPT = re.compile(r"[A-Za-z0-9_.~:/+=-]{1,200}")
_EVENT = re.compile(r"(?:events\.)?events\[([0-9]{1,6})\](?:\.([A-Za-z0-9_.\[\]]{1,200}))?")


def read(response: Response, *, is_validate_only: bool) -> Outcome:
    """Give what an answer means for every event of its request; reasons hold codes, never Google's prose."""
    details = _details(response)
    reason = " ".join([str(response.status), *_codes(response, details)[:MAX_TOLD]])
    match response.status:
        case 200:
            told = object_of(response)
            if told is not None and is_validate_only:
                return Delivered(200)
            name = told.get("requestId") if told is not None else None
            if not isinstance(name, str):
                return Unclear("200 without a request id", response)
            return Delivered(200, name if _RECEIPT.fullmatch(name) else "")
        case 429:
            return Throttled(retry_after_s(response, unsaid_s=_rest_s(details)))
        case 401 | 403 | 404:
            return Refused(reason)
        case status if status == 408 or 500 <= status <= 599:
            return Retry(reason)
        case status if 400 <= status <= 499 and any(map(_CONFIGURATION.fullmatch, _codes(response, details))):
            return Refused(reason)
        case status if 400 <= status <= 499:
            places = refused_events(response, MAX_PLACES)
            return Rejected(next(iter(places.values()), reason), response)
        case _:
            return Unclear(reason, response)


def refused_events(response: Response, count: int) -> dict[int, str]:
    """Give the events that an answer points at, by their place in the request, each with its reason."""
    found: dict[int, str] = {}
    for violation in _violations(_details(response)):
        place = _EVENT.fullmatch(named) if isinstance(named := violation.get("field"), str) else None
        if place is None or int(place[1]) >= count:
            continue
        code = violation.get("reason")
        said = code if isinstance(code, str) and _CODE.fullmatch(code) else "error"
        at = f" at {place[2]}" if place[2] else ""
        found.setdefault(int(place[1]), f"{response.status} {said}{at}")
    return found


def _error(response: Response) -> dict[str, Any]:
    error = (object_of(response) or {}).get("error")
    return error if isinstance(error, dict) else {}


def _details(response: Response) -> list[dict[str, Any]]:
    details = _error(response).get("details")
    return [detail for detail in details if isinstance(detail, dict)] if isinstance(details, list) else []


def _violations(details: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    lists = [detail.get("fieldViolations") for detail in details]
    return [one for found in lists if isinstance(found, list) for one in found if isinstance(one, dict)]


def _codes(response: Response, details: Sequence[dict[str, Any]]) -> list[str]:
    """Give the status word and every reason, each once."""
    words = [_error(response).get("status"), *(one.get("reason") for one in (*details, *_violations(details)))]
    return list(dict.fromkeys(word for word in words if isinstance(word, str) and _CODE.fullmatch(word)))


def _rest_s(details: Sequence[dict[str, Any]]) -> float:
    """Give how long to rest: `quota_limit` names the quota, whose name says whether it is the minute's or the day's."""
    metadata = [detail.get("metadata") for detail in details]
    limits = [str(one.get("quota_limit", "")) for one in metadata if isinstance(one, dict)]
    return DAY_S if any("day" in limit.lower() for limit in limits) else MINUTE_S
