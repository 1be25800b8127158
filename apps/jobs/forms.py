"""The form of a new job in the back office."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django import forms
from unfold.widgets import (
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminFileFieldWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from apps.jobs.domain.lifecycle import Lane
from apps.jobs.domain.table_prompt import TablePrompt

if TYPE_CHECKING:
    from django.db.models import QuerySet

_LANES = {
    Lane.DEFAULT: "default: in turn with other jobs",
    Lane.BULK: "bulk: big or overnight; others go first",
    Lane.INTERACTIVE: "interactive: urgent; next to people's own calls",
}
_TABLE_ENDINGS = (".csv", ".tsv", ".tab", ".xlsx", ".xlsm", ".xls")


def is_table(filename: str) -> bool:
    """By its name: a table of rows, or a batch file of requests."""
    return filename.lower().endswith(_TABLE_ENDINGS)


class NewJobForm(forms.Form):
    """An upload (or one that came before), and for a table how its rows become requests."""

    workspace: "forms.ModelChoiceField[Any]" = forms.ModelChoiceField(
        queryset=None, widget=UnfoldAdminSelectWidget, empty_label=None, help_text="Who owns it and pays."
    )
    file_id = forms.UUIDField(required=False, widget=forms.HiddenInput)
    upload = forms.FileField(
        required=False,
        label="File",
        widget=UnfoldAdminFileFieldWidget(attrs={"accept": ".jsonl,.ndjson,.csv,.tsv,.xlsx"}),
        help_text="A table (CSV, TSV, XLSX; its first row names the columns), or a batch file (JSONL) as the API takes it.",
    )
    model = forms.ChoiceField(
        required=False, widget=UnfoldAdminSelectWidget, help_text="For a table. A batch file names its models itself."
    )
    system = forms.CharField(
        required=False, label="System prompt", widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}), help_text="May stay empty."
    )
    user = forms.CharField(
        required=False,
        label="Prompt",
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 5}),
        help_text="For a table: asked for each row. {{column}} stands for the row's cell, for example: Translate into French: {{text}}",
    )
    temperature = forms.FloatField(required=False, min_value=0, max_value=2, widget=UnfoldAdminDecimalFieldWidget, help_text="0 to 2.")
    max_tokens = forms.IntegerField(
        required=False, min_value=1, max_value=10_000_000, widget=UnfoldAdminIntegerFieldWidget, help_text="The longest answer, in tokens."
    )
    sheet = forms.CharField(
        required=False, max_length=100, widget=UnfoldAdminTextInputWidget, help_text="Of a workbook; empty: its first sheet."
    )
    lane = forms.ChoiceField(choices=[(lane.value, text) for lane, text in _LANES.items()], widget=UnfoldAdminSelectWidget)

    def __init__(self, *arguments: Any, workspaces: "QuerySet[Any]", models: Sequence[str], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.fields["workspace"].queryset = workspaces  # type: ignore[attr-defined]  # it is a ModelChoiceField
        self.fields["model"].choices = [(name, name) for name in models]  # type: ignore[attr-defined]  # it is a ChoiceField

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        if not values.get("upload") and not values.get("file_id") and "upload" not in self.errors:
            self.add_error("upload", "Choose a file.")
        return values

    def refuse_without_prompt(self) -> bool:
        """True (with the errors on the form) when a table has no prompt or no model."""
        if not self.cleaned_data["user"].strip():
            self.add_error("user", "Say what is to be asked for each row; {{column}} stands for its cell.")
        if not self.cleaned_data["model"]:
            self.add_error("model", "No model can be called yet: add a provider and a model first.")
        return bool(self.errors)

    def prompt(self) -> TablePrompt:
        values = self.cleaned_data
        return TablePrompt(**{name: values[name] for name in ("model", "user", "system", "temperature", "max_tokens", "sheet")})
