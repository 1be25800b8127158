"""Forms of the back office that start work: a new job, a prompt tried out, a search."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import orjson
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
from apps.jobs.domain.table_prompt import CHAT, TablePrompt
from apps.knowledge.domain.request import LONGEST_QUERY, Mode
from apps.lib.json_form_field import JsonField
from apps.prompts.domain.template import MOST_FILLED
from apps.prompts.domain.variables import Variable, VariableRefusedError, VariableType
from apps.providers.domain.contract import ContractRefusedError
from apps.providers.domain.policy import AnswerPolicy, CacheTimes, PolicyRefusedError, check_request, of_metadata, read_policy

if TYPE_CHECKING:
    from django.db.models import QuerySet

LANES = {
    Lane.DEFAULT: "default: in turn with other jobs",
    Lane.BULK: "bulk: big or overnight; others go first",
    Lane.INTERACTIVE: "interactive: urgent; next to people's own calls",
}
_CACHE = [
    ("", "off: every request is asked"),
    ("on", "on, for the usual time"),
    ("3600", "on, for an hour"),
    ("604800", "on, for a week"),
]
_POLICY = ("reuse", "cache", "answer_schema", "output_contract", "first_model", "accept_if", "failover")
_NUMBER_LENGTH = 400
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
        help_text="A table (CSV, TSV, XLSX; its first row names the columns), or a batch file (JSONL) as the API takes it: "
        "the 'url' of its lines says which endpoint.",
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
    lane = forms.ChoiceField(choices=[(lane.value, text) for lane, text in LANES.items()], widget=UnfoldAdminSelectWidget)
    reuse = forms.CharField(
        required=False,
        max_length=80,
        label="Take over answers of",
        widget=UnfoldAdminTextInputWidget,
        help_text="An earlier job, as batch_... on its page: what asks the very same gets its answer, at no cost: for an edited file.",
    )
    cache = forms.ChoiceField(
        required=False,
        choices=_CACHE,
        widget=UnfoldAdminSelectWidget,
        help_text="Give the answer that the same request got before, at no cost, and keep these answers as long.",
    )
    answer_schema = forms.CharField(
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text="For a table: what each answer looks like, as a JSON schema. Requests of a batch file say it in their response_format.",
    )
    output_contract = forms.ChoiceField(
        required=False,
        choices=[("", "off: as they come"), ("on", "on: against the request's schema, or that they are JSON objects")],
        label="Check answers",
        widget=UnfoldAdminSelectWidget,
        help_text="A wrong answer is sent back once, with what is wrong; one that stays wrong is dead. Each try is paid for.",
    )
    first_model = forms.ChoiceField(
        required=False, widget=UnfoldAdminSelectWidget, help_text="A cheaper model whose answer is taken if it is accepted."
    )
    accept_if = forms.CharField(
        required=False,
        max_length=512,
        widget=UnfoldAdminTextInputWidget,
        help_text="When it is: schema, not_refused, or a field of the answer, with commas: schema, confidence>=0.8. A refusal never is.",
    )
    failover = forms.ChoiceField(
        required=False,
        choices=[("on", "on: the next target when one fails"), ("off", "off: the first target alone")],
        widget=UnfoldAdminSelectWidget,
    )

    def __init__(self, *arguments: Any, workspaces: "QuerySet[Any]", models: Sequence[str], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.fields["workspace"].queryset = workspaces  # type: ignore[attr-defined]  # it is a ModelChoiceField
        self.fields["model"].choices = [(name, name) for name in models]  # type: ignore[attr-defined]  # it is a ChoiceField
        self.fields["first_model"].choices = [("", "none"), *((name, name) for name in models)]  # type: ignore[attr-defined]  # the same

    @property
    def plain_fields(self) -> list[forms.BoundField]:
        return [field for field in self if field.name not in _POLICY and not field.is_hidden]

    @property
    def policy_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in _POLICY]

    @property
    def has_policy(self) -> bool:
        """Something about answers is chosen, or wrong."""
        values = getattr(self, "cleaned_data", {})
        chosen = any(values.get(name) for name in _POLICY if name != "failover")
        return chosen or values.get("failover") == "off" or any(name in self.errors for name in _POLICY)

    def clean_answer_schema(self) -> dict[str, Any] | None:
        text = self.cleaned_data["answer_schema"].strip()
        if not text:
            return None
        try:
            schema = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            raise forms.ValidationError(f"It is not JSON: {error.msg} (line {error.lineno}, column {error.colno}).") from error
        if not isinstance(schema, dict):
            raise forms.ValidationError('A JSON schema is an object, for example {"type": "object", "required": ["name"]}.')
        return schema

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
        given = {name: values[name] for name in ("model", "user", "system", "temperature", "max_tokens", "sheet")}
        return TablePrompt(**given, response_format=self._response_format())

    def metadata(self) -> dict[str, str]:
        """What a batch from the API would say of the same choices."""
        values = self.cleaned_data
        chosen = {name: values.get(name) or "" for name in ("reuse", "cache", "first_model", "accept_if")}
        chosen |= {
            "output_contract": "on" if values.get("output_contract") else "",
            "failover": "off" if values.get("failover") == "off" else "",
        }
        return {"priority": values["lane"]} | {name: text for name, text in chosen.items() if text}

    def policy(self, *, times: CacheTimes, is_for_table: bool) -> AnswerPolicy | None:
        """How answers are come by; None (with the errors on the form) when that makes no sense."""
        try:
            policy = read_policy(of_metadata(self.metadata()), endpoint=CHAT, times=times)
            if is_for_table:
                check_request(policy, {"model": self.cleaned_data["model"], "response_format": self._response_format()}, endpoint=CHAT)
        except PolicyRefusedError as refused:
            self.add_error(refused.param.removeprefix("metadata."), refused.message.replace("'metadata.", "'"))
        except ContractRefusedError as refused:
            self.add_error("first_model" if refused.param == "model" else "answer_schema", refused.message)
        else:
            return policy
        return None

    def _response_format(self) -> dict[str, Any] | None:
        if (schema := self.cleaned_data.get("answer_schema")) is not None:
            return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
        return {"type": "json_object"} if self.cleaned_data.get("output_contract") else None


def _variable_field(variable: Variable) -> forms.Field:
    """What a person fills in for a variable; whether it fits is judged where requests are."""
    common: dict[str, Any] = {"required": False, "label": variable.name, "help_text": variable.description}
    initial = variable.default
    match variable.type:
        case VariableType.BOOLEAN:
            return forms.BooleanField(**common, initial=initial)
        case VariableType.CHOICE:
            choices = [(choice, choice) for choice in variable.choices]
            return forms.ChoiceField(**common, initial=initial, choices=choices, widget=UnfoldAdminSelectWidget)
        case VariableType.NUMBER:
            return JsonField(
                **common, initial=initial, most_characters=_NUMBER_LENGTH, widget=UnfoldAdminTextInputWidget(attrs={"inputmode": "decimal"})
            )
        case VariableType.JSON:
            return JsonField(**common, initial=initial, most_characters=MOST_FILLED, widget=UnfoldAdminTextareaWidget(attrs={"rows": 4}))
        case _:
            return forms.CharField(
                **common, initial=initial, strip=False, max_length=MOST_FILLED, widget=UnfoldAdminTextareaWidget(attrs={"rows": 4})
            )


class TryPromptForm(forms.Form):
    """A value for each variable of a version, and the model to ask."""

    def __init__(self, data: Any, *, variables: Sequence[Variable], models: Sequence[str], model: str) -> None:
        super().__init__(data)
        self.variables = variables
        choices = [(name, name) for name in models]
        self.fields["model"] = forms.ChoiceField(choices=choices, initial=model, widget=UnfoldAdminSelectWidget)
        for variable in variables:
            self.fields[f"value_{variable.name}"] = _variable_field(variable)

    def values(self) -> dict[str, Any]:
        """What was filled in; a text that must be there may be an empty one."""
        given = [(variable, self.cleaned_data[f"value_{variable.name}"]) for variable in self.variables]
        return {
            variable.name: value
            for variable, value in given
            if value not in (None, "") or (value == "" and variable.type is VariableType.TEXT and variable.is_required)
        }

    def refuse(self, refused: VariableRefusedError) -> None:
        name = f"value_{refused.name}"
        self.add_error(name if name in self.fields else None, refused.message)


class SearchForm(forms.Form):
    """A question to a collection."""

    query = forms.CharField(label="Question or words", max_length=LONGEST_QUERY, widget=forms.TextInput(attrs={"type": "search"}))
    mode = forms.ChoiceField(
        label="Search",
        required=False,
        choices=[(Mode.HYBRID, "by meaning and words"), (Mode.VECTOR, "by meaning"), (Mode.TEXT, "by words")],
    )
    as_of = forms.IntegerField(label="As of revision", required=False, min_value=0, max_value=2**53)
