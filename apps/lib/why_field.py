"""Asks in a form why somebody changes something."""

from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminTextInputWidget

NAME = "reason"
MOST_CHARACTERS = 500
MISSING = "Say why: it stands in the audit log, for whoever asks about this change later."


class WhyField(forms.CharField):
    """A sentence beside the change; it is none itself, so that a form in which nothing else was changed has changed nothing."""

    def __init__(self, *, is_needed: bool) -> None:
        super().__init__(
            label="Why?",
            required=is_needed,
            max_length=MOST_CHARACTERS,
            widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"}),
            help_text=f"{'It' if is_needed else 'Optional; it'} stands in the audit log beside the change.",
            error_messages={"required": MISSING},
        )

    def has_changed(self, initial: Any, data: Any) -> bool:  # noqa: ARG002 -- Django's signature
        return False
