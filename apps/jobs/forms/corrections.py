"""The form that an answer is corrected with."""

from django import forms
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from apps.jobs.actions.correct_answer import MOST_CHARACTERS


class CorrectionForm(forms.Form):
    """What the answer should have been, and why."""

    answer = forms.CharField(
        max_length=MOST_CHARACTERS,
        strip=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 8}),
        help_text="It counts from now on, in this page and in downloads; what the model said is kept beside it.",
    )
    note = forms.CharField(
        required=False, max_length=500, label="Why", widget=UnfoldAdminTextInputWidget, help_text="Stands with it and in the audit log."
    )

    def clean_answer(self) -> str:
        # Browsers send \r\n.
        answer: str = self.cleaned_data["answer"].replace("\r\n", "\n")
        return answer
