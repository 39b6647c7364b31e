"""Why one event stands where it stands in one pipeline: the lines that `edge why` tells of each fate."""

from edge.cli.screen import plain
from edge.cli.story import Stage, Story
from edge.cli.telling import earlier_life, next_try
from edge.cli.times import moment
from edge.config import Config
from edge.consent import Purpose, names_of
from edge.delivery import Fate
from edge.ledger.standing import JournalEntry


def reasons_of(stage: Stage, story: Story, entry: JournalEntry, config: Config, now_ms: int) -> list[str]:
    """Say why an event stands where it stands in one pipeline, one line each."""
    fate = stage.fate
    first = earlier_life(fate)
    match fate.fate:
        case Fate.HELD:
            return _held(stage, story, entry, config)
        case Fate.WAITING:
            return [*first, *next_try(fate, stage.paused, now_ms)]
        case Fate.DEAD:
            asked = plain(story.event.id) if story.event is not None else str(entry.seq)
            return [*first, plain(fate.reason), f"see: edge dead show {asked}"]
        case Fate.WITHHELD:
            return [*first, fate.reason or _withheld(stage, entry)]
        case Fate.UNMAPPED:
            return ["the pipeline's file says nothing of this event"]
        case Fate.SKIPPED:
            return [*first, fate.reason or _skipped(stage)]
        case Fate.EXPIRED:
            return [*first, fate.reason or _expired(stage, story)]
        case Fate.DAMAGED:
            return [*first, "its stored bytes were gone or did not match their checksum when it was to be sent"]
    return first


def _held(stage: Stage, story: Story, entry: JournalEntry, config: Config) -> list[str]:
    """Say what an event is held for; for identity and consent, where it is both."""
    file, keep_s = stage.file, config.spool.keep_for_s
    asked = stage.fate.held_for
    wait_s, hold_s = config.consent.wait_for_s, file.hold_for_s if file is not None else keep_s
    lines = []
    if asked:
        until = moment(entry.received_at_ms + round(min(wait_s, keep_s) * 1e3))
        lines.append(f"for consent: until somebody answers about {', '.join(asked)}, at most until {until}")
    is_stranger = story.visitor is None or story.visitor.person is None
    if is_stranger and (file is None or file.anonymous == "hold"):
        until = moment(entry.received_at_ms + round(min(hold_s, keep_s) * 1e3))
        lines.append(f"for identity: until somebody knows the visitor, at most until {until}")
    return lines or ["behind an earlier event of its visitor that is held"]


def _expired(stage: Stage, story: Story) -> str:
    file, event = stage.file, story.event
    if file is not None and event is not None and file.is_refused_at(event.time_ms, stage.fate.settled_at_ms or 0):
        return file.age_limit
    return "it was open for longer than the pipeline's hold_for or max_age"


def _withheld(stage: Stage, entry: JournalEntry) -> str:
    if stage.missing:
        asked = names_of(Purpose(entry.waits))
        answer = "was not granted when it was asked for" if set(stage.missing) <= set(asked) else "was not granted"
        return f"it needs {', '.join(stage.missing)}, which {answer}"
    if stage.file is None:
        return "a purpose that the pipeline needs was not granted"
    return "what it needs was granted when the event was accepted, and withdrawn before it was taken"


def _skipped(stage: Stage) -> str:
    if stage.file is not None and not stage.file.is_enabled:
        return "the pipeline is disabled"
    if stage.file is not None and stage.file.anonymous == "drop":
        return "its condition (when) was false, or nobody knew the visitor and the pipeline says anonymous: drop"
    return "its condition (when) was false, or the pipeline was disabled then"
