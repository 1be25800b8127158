"""What staff writes into a person's memory."""

from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from apps.conversations.domain.memory import KEY_RULE, LONGEST_KEY, LONGEST_TEXT, MemoryRefusedError, check_key
from apps.lib.why_field import WhyField


class RememberForm(forms.Form):
    """One thing to remember under a key. `seq` is the last event that the person at the form had seen."""

    key = forms.CharField(max_length=LONGEST_KEY, widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"}), help_text=KEY_RULE)
    text = forms.CharField(
        max_length=LONGEST_TEXT, strip=False, widget=UnfoldAdminTextareaWidget(attrs={"rows": 4}), help_text="As models are told it."
    )
    seq = forms.IntegerField(min_value=0, required=False, widget=forms.HiddenInput)

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.fields["reason"] = WhyField(is_needed=True)

    def clean_key(self) -> str:
        key: str = self.cleaned_data["key"]
        try:
            check_key(key)
        except MemoryRefusedError as refused:
            raise forms.ValidationError(refused.message) from refused
        return key

    def clean_text(self) -> str:
        """Browsers end lines with two characters."""
        text: str = self.cleaned_data["text"].replace("\r\n", "\n")
        return text
