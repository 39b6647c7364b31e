"""What a file leaves out that its vendor's own features need: warnings, never errors."""

from collections.abc import Collection, Iterable
from collections.abc import Mapping as Tree

from edge.destinations.base import Feature
from edge.mapping import Mapping
from edge.pipeline.compiled import EventPlan


def left_out(
    features: Iterable[Feature], profile: Mapping, events: Tree[str, EventPlan]
) -> list[tuple[str | None, str]]:
    """Give what to warn of, one a feature.

    Returns:
        Pairs of the event's canonical name (None: the profile) and the words, e.g.
        ("view_item", "leaves out URL, so browse-abandonment mails cannot show the product").
    """
    paths: dict[str | None, frozenset[str]] = {name: frozenset(one.properties.paths) for name, one in events.items()}
    paths[None] = frozenset(profile.paths)
    warnings = []
    for feature in features:
        missing = _missing(feature.needs, paths[feature.event]) if feature.event in paths else []
        if missing:
            warnings.append((feature.event, f"leaves out {', '.join(missing)}, so {feature.what}"))
    return warnings


def _missing(needs: Iterable[str], paths: Collection[str]) -> list[str]:
    """Give the needed targets that are not there; for a whole list that is missing, only its name."""
    missing: dict[str, None] = {}
    for need in needs:
        either = need.split("|")
        if not any(_is_there(target, paths) for target in either):
            outer = either[0].partition(".")[0]
            missing[either[0] if outer in paths else outer] = None
    return list(missing)


def _is_there(target: str, paths: Collection[str]) -> bool:
    outer, dot, _ = target.partition(".")
    return target in paths or (dot != "" and f"{outer}.*" in paths)
