"""Other words for a notice, where the settings have some; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from string import Template

from notifications.notice import Notice
from settings.schema import TemplateSettings
from settings.values import NOTICE_FIELDS


def worded(notice: Notice, channel: str, templates: Mapping[str, TemplateSettings]) -> Notice:
    """The notice in the words of the first template, by name, for its event and channel; else as it is.

    Templates only name fields (`settings.values.NOTICE_FIELDS`), so that none can fail.
    """
    for _, template in sorted(templates.items()):
        if _is_for(template, notice.event, channel):
            values = template_values(notice)
            subject, text = (
                Template(words).substitute(values) if words is not None else own
                for words, own in ((template.subject, notice.subject), (template.text, notice.text))
            )
            return replace(notice, subject=subject, text=text)
    return notice


def template_values(notice: Notice) -> Mapping[str, str]:
    """Every field that a template may name, as text; empty where it does not apply."""
    own = {
        "event": notice.event,
        "severity": notice.severity.value,
        "subject": notice.subject,
        "text": notice.text,
        "incident": notice.incident_id,
    }
    found = {**notice.fields, **notice.fields.get("counts", {}), **own}
    return {name: _text(found.get(name)) for name in NOTICE_FIELDS}


def _is_for(template: TemplateSettings, event: str, channel: str) -> bool:
    is_event = not template.events or any(fnmatchcase(event, pattern) for pattern in template.events)
    return is_event and (not template.channels or channel in template.channels)


def _text(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.1f}" if isinstance(value, float) else str(value)
