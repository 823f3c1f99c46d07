"""Kinds of activity, from the free text that captures are labelled with."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

# In order: a run that ends in a jump is a jump, a walk that becomes a run is a run. Each pattern is a whole word with
# its inflections, or "drunk" would hold a run, a "sidewalk" a walk and a "workshop" a hop.
KINDS: dict[str, str] = {
    "jump": "jump(s|ed|ing)?|hop(s|ped|ping)?|leap(s|t|ed|ing)?|cartwheels?",
    "run": "run(s|ning)?|ran|jog(s|ged|ging)?|dash(es|ed|ing)?|sprint(s|ed|ing)?",
    "walk": "walk(s|ed|ing)?|gaits?|stroll(s|ed|ing)?",
}
LETTER = r"[^\W\d_]"  # of any script; digits and underscores end a word, as in walk_01
OTHER = "other"


def activity_kind(meta: Mapping[str, Any]) -> str:
    """`jump`, `run`, `walk` or `other`, by the words of a clip's `activity`."""
    text = re.sub("(?<=[a-z])(?=[A-Z])", " ", str(meta.get("activity") or "")).lower()  # walkFast is two words
    return next((kind for kind, words in KINDS.items() if _has_word(text, words)), OTHER)


def _has_word(text: str, words: str) -> bool:
    return re.search(rf"(?<!{LETTER})(?:{words})(?!{LETTER})", text) is not None
