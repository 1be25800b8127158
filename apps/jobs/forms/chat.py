"""Conversations in the back office: how one is asked, and what is said."""

from collections.abc import Sequence
from typing import Any

from django import forms
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from apps.jobs.domain.turn_request import LONGEST_INSTRUCTIONS, LONGEST_SAID

_NO_COLLECTION = ("", "none: from what it knows and what is said")


class ConversationForm(forms.Form):
    """Who answers, from what, and how it is told to."""

    title = forms.CharField(
        required=False, max_length=200, widget=UnfoldAdminTextInputWidget, help_text="What you will find it by. May stay empty."
    )
    model = forms.ChoiceField(widget=UnfoldAdminSelectWidget, help_text="Who answers. Each turn is paid like any other call.")
    collection = forms.ChoiceField(
        required=False,
        widget=UnfoldAdminSelectWidget,
        help_text="Each turn is answered from passages of this collection, which the answer cites.",
    )
    instructions = forms.CharField(
        required=False,
        strip=False,
        max_length=LONGEST_INSTRUCTIONS,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 4}),
        help_text="What the model is told first, in each turn.",
    )
    window_tokens = forms.IntegerField(
        min_value=512,
        max_value=2_000_000,
        initial=8192,
        label="Window",
        widget=UnfoldAdminIntegerFieldWidget,
        help_text="How many tokens the model reads at once. What was said before is cut, or summarised, to fit.",
    )

    def __init__(self, *args: Any, models: Sequence[str], collections: Sequence[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["model"].choices = [(name, name) for name in models]  # type: ignore[attr-defined]  # a choice field
        self.fields["collection"].choices = [_NO_COLLECTION, *((name, name) for name in collections)]  # type: ignore[attr-defined]  # a choice field

    def clean_instructions(self) -> str:
        # Browsers send \r\n.
        text: str = self.cleaned_data["instructions"].replace("\r\n", "\n")
        return text


class SayForm(forms.Form):
    """What is said in a turn."""

    input = forms.CharField(
        strip=False,
        max_length=LONGEST_SAID,
        label="Say something",
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3, "placeholder": "Ctrl+Enter sends"}),
    )

    def clean_input(self) -> str:
        text: str = self.cleaned_data["input"].replace("\r\n", "\n")
        if not text.strip():
            raise forms.ValidationError("Blanks alone say nothing.", code="required")
        return text
