"""Templates filled in, as far as a preview needs: variables with a default, and the unsubscribe tag.

Klaviyo's template language is Django's with additions. Other tags and filters are left out of the result.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

VARIABLE = re.compile(
    r"\{\{\s*(?P<path>[\w.]+)(?:\s*\|\s*default:\s*(?P<quote>['\"])(?P<default>.*?)(?P=quote))?[^}]*\}\}"
)
UNSUBSCRIBE = re.compile(r"\{%\s*unsubscribe(?:\s+['\"](?P<text>[^'\"]*)['\"])?\s*%\}")
TAG = re.compile(r"\{%.*?%\}")


def render(text: str | None, context: Mapping[str, Any]) -> str | None:
    """The text with ``{{ first_name|default:'there' }}`` and the like replaced."""
    if text is None:
        return None

    def value(found: re.Match[str]) -> str:
        current: Any = context
        for name in found["path"].split("."):
            current = current.get(name) if isinstance(current, Mapping) else None
        return str(current) if current not in (None, "") else found["default"] or ""

    def unsubscribe(found: re.Match[str]) -> str:
        return f'<a href="#unsubscribe">{found["text"] or "Unsubscribe"}</a>'

    return TAG.sub("", UNSUBSCRIBE.sub(unsubscribe, VARIABLE.sub(value, text)))
