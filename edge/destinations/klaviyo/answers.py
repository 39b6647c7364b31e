"""What Klaviyo's answers mean; reasons hold codes and pointers, never the vendor's prose.

Answers of 202 mean "checked and queued" at Klaviyo, not "shown in the profile yet".

Source: Klaviyo API, revision 2026-10-15, "Rate limits, status codes, and errors".
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from edge.delivery import Delivered, Outcome, Refused, Rejected, Response, Retry, Throttled, Unclear
from edge.destinations.answers import object_of, retry_after_s

QUEUED = frozenset({202})
CREATED_OR_UPDATED = frozenset({200, 201})
# The later one decides what becomes of an event of which several calls tell.
FROM_BEST_TO_WORST = (Delivered, Rejected, Unclear, Retry, Throttled, Refused)
_CODE = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_POINTER = re.compile(r"[A-Za-z0-9_$./-]{1,200}")


def read(response: Response, taken: frozenset[int] = QUEUED) -> Outcome:
    """Give what an answer means for what was sent; `taken` are the statuses of a call that worked."""
    match response.status:
        case status if status in taken:
            return Delivered(status)
        case 429:
            return Throttled(retry_after_s(response, unsaid_s=1.0, unreadable_s=30.0))
        case 401 | 403 | 410:  # 410: the API revision was retired, which a setting mends, not the event
            return Refused(_reason(response))
        case status if status == 408 or 500 <= status <= 599:
            return Retry(_reason(response))
        case status if 400 <= status <= 499:
            return Rejected(_reason(response), response)
        case _:
            return Unclear(_reason(response), response)


def is_open(outcome: Outcome) -> bool:
    """Tell whether an event with this outcome is going to be sent again."""
    return not isinstance(outcome, Delivered | Rejected)


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """Give what several calls mean for the one event that they tell of; Delivered where there was none to make."""
    return max(outcomes, key=lambda outcome: FROM_BEST_TO_WORST.index(type(outcome)), default=Delivered())


def errors_of(response: Response) -> list[Any]:
    """Give the errors of an answer in Klaviyo's form; none where it has another."""
    errors = (object_of(response) or {}).get("errors")
    return errors if isinstance(errors, list) else []


def pointer_of(error: Any) -> str:
    """Give where in the request an error is, "" where it does not say."""
    source = error.get("source") if isinstance(error, dict) else None
    pointer = source.get("pointer") if isinstance(source, dict) else None
    return pointer if isinstance(pointer, str) else ""


def reason_of(status: int, errors: Sequence[Any]) -> str:
    """Give e.g. "400 invalid at /data/attributes/time; and 2 more"."""
    told = list(dict.fromkeys(map(_told, errors))) if all(isinstance(error, dict) for error in errors) else []
    more = [f"and {len(told) - 3} more"] if len(told) > 3 else []
    return " ".join([str(status), "; ".join([*told[:3], *more])]).strip()


def _reason(response: Response) -> str:
    return reason_of(response.status, errors_of(response))


def _told(error: dict[str, Any]) -> str:
    code, source = error.get("code"), error.get("source")
    parameter = source.get("parameter") if isinstance(source, dict) else None
    place = pointer_of(error) or parameter
    said = [code if isinstance(code, str) and _CODE.fullmatch(code) else "error"]
    if isinstance(place, str) and _POINTER.fullmatch(place):
        said.append(f"at {place}")
    return " ".join(said)
