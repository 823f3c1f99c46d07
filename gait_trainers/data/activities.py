"""Kinds of activity, from the free text that captures are labelled with."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

# In order: a run that ends in a jump is a jump, a walk that becomes a run is a run. The patterns match where a word
# begins, or a "drunk walk" would be a run.
KINDS: dict[str, str] = {
    "jump": r"jump|hop(?:s|ping)?(?![a-z])|leap|cartwheel|balance",
    "run": r"run|jog|dash|sprint",
    "walk": r"walk|gait|stroll",
}
OTHER = "other"


def activity_kind(meta: Mapping[str, Any]) -> str:
    """`jump`, `run`, `walk` or `other`, by the words of a clip's `activity`."""
    text = str(meta.get("activity") or "").lower()
    return next((kind for kind, words in KINDS.items() if re.search(rf"(?<![a-z])(?:{words})", text)), OTHER)
