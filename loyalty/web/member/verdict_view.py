"""How a verdict is shown: tone, icon, and what its sentences are filled in with. Pure.

The words are in `i18n/*/item.toml`, under the verdict's kind. Only `seen_by_you` has two sets: whoever scanned an item
before everybody else, or claimed it, is told again that it is genuine; whoever came later is reminded that others came
first, so that scanning twice proves nothing. An owner of a genuine item is never frightened: only a recall is urgent,
and only a code that is not ours or looks copied is grave.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from loyalty.items.verdicts import Verdict, VerdictKind
from loyalty.web.i18n import Formats

Tone = Literal["good", "caution", "bad", "info"]

_TONES: Final[Mapping[VerdictKind, Tone]] = {
    "first_scan": "good",
    "seen_by_you": "good",
    "seen_before": "info",
    "amber": "caution",
    "suspected_copy": "caution",
    "not_activated": "info",
    "recalled": "bad",
    "expired": "caution",
    "unknown": "bad",
}
_ICONS: Final[Mapping[VerdictKind, str]] = {
    "first_scan": "check",
    "seen_by_you": "check",
    "seen_before": "eye",
    "amber": "eye",
    "suspected_copy": "alert",
    "not_activated": "clock",
    "recalled": "recall",
    "expired": "clock",
    "unknown": "question",
}


class VerdictView(msgspec.Struct, frozen=True, kw_only=True):
    """What the item page shows of a verdict: `words` names its texts, `values` fill their placeholders."""

    words: VerdictKind | Literal["seen_by_you_later"]
    tone: Tone
    icon: str
    values: dict[str, str | int]


def view_verdict(verdict: Verdict, format: Formats) -> VerdictView:  # noqa: A002  (its name in templates)
    """Prepare a verdict for the page. `n` is other phones where it is about those, else the scans before this one."""
    later = verdict.kind == "seen_by_you" and not _was_first(verdict)
    expires_on = verdict.item.range.expires_on if verdict.item else None
    return VerdictView(
        words="seen_by_you_later" if later else verdict.kind,
        tone=_TONES["seen_before" if later else verdict.kind],
        icon=_ICONS["seen_before" if later else verdict.kind],
        values={
            "n": verdict.recent_devices if verdict.kind == "amber" else max(verdict.scan_count - 1, 0),
            "since": format.moment(verdict.yours_since) if verdict.yours_since else "",
            "first": format.moment(verdict.first_scanned_at) if verdict.first_scanned_at else "",
            "expires": format.day(expires_on) if expires_on else "",
        },
    )


def _was_first(verdict: Verdict) -> bool:
    """Whether the visitor is the one whose item this must be: the first to scan it, or the one who claimed it."""
    if verdict.claim_blocker == "claimed_by_you":
        return True
    first, yours = verdict.first_scanned_at, verdict.yours_since
    return first is not None and yours is not None and yours <= first
