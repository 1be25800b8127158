"""The form of a prompt's draft in the back office."""

from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from apps.lib.json_form_field import JsonField
from apps.prompts.domain.content import MOST_CHARACTERS, PARAMETERS, ContentRefusedError, PromptContent, read_content

_EXAMPLE = '[{"name": "letter"}, {"name": "tone", "type": "choice", "choices": ["dry", "warm"], "default": "warm"}]'


def _text(rows: int) -> UnfoldAdminTextareaWidget:
    return UnfoldAdminTextareaWidget(attrs={"rows": rows, "spellcheck": "false"})


class DraftForm(forms.Form):
    """What the draft says."""

    system = forms.CharField(
        required=False,
        strip=False,
        max_length=MOST_CHARACTERS,
        widget=_text(6),
        help_text="Write {{ name }} where a variable's value goes.",
    )
    user = forms.CharField(
        required=False,
        strip=False,
        max_length=MOST_CHARACTERS,
        widget=_text(10),
        help_text="Put what comes from elsewhere between tags, like <letter>{{ letter }}</letter>: no value can close them.",
    )
    variables = JsonField(
        required=False, widget=_text(4), help_text=f"Those of the texts, as JSON: {_EXAMPLE}. Types: text, number, boolean, choice, json."
    )
    model = forms.CharField(required=False, max_length=200, widget=UnfoldAdminTextInputWidget, help_text="Empty: whoever asks names one.")
    parameters = JsonField(required=False, widget=_text(3), help_text=f"As JSON: {', '.join(PARAMETERS)}.")
    output_schema = JsonField(required=False, widget=_text(4), help_text="A JSON schema, if answers are to be JSON of that shape.")
    note = forms.CharField(required=False, max_length=500, widget=UnfoldAdminTextInputWidget, help_text="What is different in it.")

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or {}
        if not self.errors:
            try:
                values["content"] = self._content(values)
            except ContentRefusedError as refused:
                self.add_error(refused.field, refused.message)
        return values

    def _content(self, values: dict[str, Any]) -> PromptContent:
        # Browsers send \r\n, which the template of a model is not.
        texts = {name: values[name].replace("\r\n", "\n") for name in ("system", "user")}
        return read_content(
            **texts,
            variables=[] if values["variables"] is None else values["variables"],
            model=values["model"],
            parameters=values["parameters"],
            output_schema=values["output_schema"],
        )
