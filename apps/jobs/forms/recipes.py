"""The form of a recipe in the back office: a few fields for each kind, or the text of one's own steps."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
from django import forms
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from apps.jobs.domain.recipe import NAME_RULE
from apps.jobs.domain.recipe_reading import MOST_DECLARED
from apps.lib.json_form_field import BlankJsonField

if TYPE_CHECKING:
    from django.db.models import QuerySet


@dataclass(frozen=True, slots=True)
class Kind:
    """One way to make a recipe; `of` is what a cascade does."""

    kind: str
    title: str
    hint: str
    fields: tuple[str, ...]
    of: str = ""

    @property
    def key(self) -> str:
        return f"{self.kind}-{self.of}" if self.of else self.kind


_READS = ("query", "passages")
_COMMON = ("instructions", "parameters", "cache", "failover")
_EXTRACT, _CLASSIFY = ("model", "schema", *_READS), ("model", "labels", "several", "reason", "confidence", *_READS)
_OWN = ("model", "system", "user", "prompt", "variables", "values", "schema", *_READS)
_FIRST = ("first_model", "accept_if")
_WITHOUT_INSTRUCTIONS = _COMMON[1:]
_CHEAP = "by a cheap model, and by a dear one where that isn't accepted."
_KINDS = (
    Kind("extract", "Extract fields", "The fields of a JSON schema, from each document.", _EXTRACT + _COMMON),
    Kind("classify", "Classify", "One of some labels, or several, for each document.", _CLASSIFY + _COMMON),
    Kind(
        "summarise",
        "Summarise",
        "A summary of each document: part by part, then of the parts together.",
        ("model", "words", "language", "part_tokens", "group", *_COMMON),
    ),
    Kind("ask", "Ask", "The answer to a question, with citations of the passages.", ("model", "question", "each", *_READS, *_COMMON)),
    Kind("custom", "Own prompt", "Whatever your text asks for, of each document.", (*_OWN, "each", *_WITHOUT_INSTRUCTIONS)),
    Kind("cascade", "Extract, cheap first", f"Fields {_CHEAP}", (*_EXTRACT, *_FIRST, *_COMMON), "extract"),
    Kind("cascade", "Classify, cheap first", f"Labels {_CHEAP}", (*_CLASSIFY, *_FIRST, *_COMMON), "classify"),
    Kind("cascade", "Own prompt, cheap first", f"Your text {_CHEAP}", (*_OWN, "each", *_FIRST, *_WITHOUT_INSTRUCTIONS), "custom"),
    Kind("steps", "Own steps", "Several steps that use each other's answers.", ("steps",)),
)  # fmt: skip
KINDS = {kind.key: kind for kind in _KINDS}
_STEPS = """[[steps]]
name = "facts"
each = "part"
model = "..."
user = "List the facts in this part.\\n<part>{{ text }}</part>"

[[steps]]
name = "verdict"
model = "..."
user = "What do these facts come to?\\n<facts>{{ facts }}</facts>"
"""
_SCHEMA = '{"type": "object", "required": ["total"], "properties": {"total": {"type": "number"}, "due": {"type": ["string", "null"]}}}'


def _text(rows: int) -> UnfoldAdminTextareaWidget:
    return UnfoldAdminTextareaWidget(attrs={"rows": rows, "spellcheck": "false"})


def _area(rows: int, hint: str, **options: Any) -> forms.CharField:
    return forms.CharField(required=False, max_length=200_000, widget=_text(rows), help_text=hint, **options)


def _line(hint: str, **options: Any) -> forms.CharField:
    return forms.CharField(required=False, max_length=1000, widget=UnfoldAdminTextInputWidget, help_text=hint, **options)


def _json(rows: int, hint: str) -> BlankJsonField:
    return BlankJsonField(required=False, widget=_text(rows), help_text=hint)


def _number(hint: str, **options: Any) -> forms.IntegerField:
    return forms.IntegerField(required=False, widget=UnfoldAdminIntegerFieldWidget, help_text=hint, **options)


def _switch(hint: str) -> forms.BooleanField:
    return forms.BooleanField(required=False, widget=UnfoldBooleanSwitchWidget, help_text=hint)


def _choice(choices: Sequence[tuple[str, str]], hint: str) -> forms.ChoiceField:
    return forms.ChoiceField(required=False, choices=choices, widget=UnfoldAdminSelectWidget, help_text=hint)


def _fields() -> dict[str, forms.Field]:
    """Made anew for each form: a form's fields are its own."""
    variables = "{{ text }} is the document's, {{ document }} its name, {{ passages }} what is retrieved, {{ name }} a text of Values."
    return {
        "model": _choice([], "Who answers."),
        "first_model": _choice([], "The cheap one, asked first; its answer is taken if it is accepted."),
        "accept_if": _line("When it is: schema, or a field of the answer: schema, confidence>=0.8. A refusal never is."),
        "schema": _json(6, f"What an answer looks like, as a JSON schema: {_SCHEMA}"),
        "labels": _area(6, 'One a line; behind a colon, if you like, what it means: "complaint: something went wrong".'),
        "several": _switch("More than one label may fit, or none."),
        "reason": _switch("Say why, before the label."),
        "confidence": _switch("Say how sure, from 0 to 1."),
        "question": _area(3, "Asked of the passages that are found for it. They are cited as [1], [2], ..."),
        "each": _choice([("document", "each document"), ("job", "the whole job, once")], "Who gets an answer."),
        "words": _number("At most so many; empty: 150."),
        "language": _line("Of the summary; empty: that of the text."),
        "part_tokens": _number("How long a part is, in tokens; empty: 2,000."),
        "group": _number("So many notes are put together at once; empty: 10."),
        "system": _area(4, "What the model is told about its task.", strip=False),
        "user": _area(8, f"Put what comes from elsewhere between tags: <document>{{{{ text }}}}</document>. {variables}", strip=False),
        "prompt": _line("Instead of own texts: a stored prompt of the workspace, like letter@3."),
        "variables": _json(2, 'What the stored prompt\'s variables mean: {"letter": "{{ text }}", "tone": "dry"}.'),
        "values": _json(2, 'Texts of your own for the templates: {"tone": "dry"}.'),
        "query": _line("Empty: the whole text is read. Else what passages are looked for; for a question, the question itself if empty."),
        "passages": _number("How many of them; empty: 8."),
        "instructions": _area(4, "What else to mind; it stands behind what the built-in texts say."),
        "parameters": _json(2, 'Of the request: {"temperature": 0, "max_tokens": 500}.'),
        "cache": _line("Take the answer that the same request got before: on, or seconds for which answers are kept. Empty: off."),
        "failover": _choice([("", "on: the next target when one fails"), ("off", "off: the first target alone")], "When a provider fails."),
        "steps": _area(20, "TOML or JSON, with the fields of docs/recipes.md. A text uses the answer of a step by its name: {{ facts }}."),
    }  # fmt: skip


class RecipeForm(forms.Form):
    """What a recipe of one kind says; whether it makes sense is judged where recipes are declared."""

    workspace: "forms.ModelChoiceField[Any]" = forms.ModelChoiceField(
        queryset=None, widget=UnfoldAdminSelectWidget, empty_label=None, help_text="Whose jobs can use it."
    )
    name = forms.CharField(max_length=50, widget=UnfoldAdminTextInputWidget, help_text=f"{NAME_RULE} The same name again: its next number.")
    description = _line("What it is for.")

    def __init__(self, *arguments: Any, kind: Kind, workspaces: "QuerySet[Any]", models: Sequence[str], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.kind = kind
        self.fields["workspace"].queryset = workspaces  # type: ignore[attr-defined]  # it is a ModelChoiceField
        made = _fields()
        self.fields.update({name: made[name] for name in kind.fields})
        for name in ("model", "first_model"):
            if name in self.fields:
                self.fields[name].choices = [(model, model) for model in models]  # type: ignore[attr-defined]  # it is a ChoiceField
        if kind.of == "custom" or kind.kind == "custom":
            self.fields["model"].choices = [("", "as the stored prompt says"), *((model, model) for model in models)]  # type: ignore[attr-defined]  # it is a ChoiceField
        if "steps" in self.fields:
            self.fields["steps"].initial = _STEPS

    def clean_labels(self) -> list[Any]:
        """A label a line."""
        lines = [line.strip() for line in self.cleaned_data["labels"].splitlines() if line.strip()]
        told = [[part.strip() for part in line.partition(":")[::2]] for line in lines]
        return [{"name": name, "description": meaning} if meaning else name for name, meaning in told]

    def clean_steps(self) -> dict[str, Any]:
        """The whole declaration, as TOML or JSON says it."""
        text = self.cleaned_data["steps"].strip().replace("\r\n", "\n")
        if len(text) > MOST_DECLARED:
            raise forms.ValidationError(f"It has {len(text):,} characters; {MOST_DECLARED:,} at most.")
        try:
            told = orjson.loads(text) if text.startswith(("{", "[")) and not text.startswith("[[") else tomllib.loads(text)
        except (orjson.JSONDecodeError, tomllib.TOMLDecodeError) as error:
            raise forms.ValidationError(f"It is neither TOML nor JSON: {error}.") from error
        return {"steps": told} if isinstance(told, list) else told

    def declared(self) -> dict[str, Any]:
        """What was filled in, as it is declared anywhere else."""
        if self.kind.kind == "steps":
            return dict(self.cleaned_data["steps"])
        given = {name: self.cleaned_data.get(name) for name in self.kind.fields}
        told = {name: _unix(value) for name, value in given.items() if value not in (None, "", False, [])}
        return {"of": self.kind.of, **told} if self.kind.of else told

    def refuse(self, field: str | None, message: str) -> None:
        """Beside the field that it is about, where the form has that."""
        name = (field or "").split(".")[0]
        self.add_error(name if name in self.fields else None, message)


def kind_of(kind: str, declared: Mapping[str, Any]) -> Kind:
    """Which of the forms a recipe is made by."""
    return KINDS[f"{kind}-{declared['of']}" if kind == "cascade" else kind]


def initial_of(kind: Kind, declared: Mapping[str, Any]) -> dict[str, Any]:
    """The form's values for what a recipe says already."""
    if kind.kind == "steps":
        return {"steps": orjson.dumps(declared, option=orjson.OPT_INDENT_2).decode()}
    values = {name: value for name, value in declared.items() if name in kind.fields}
    if isinstance(values.get("schema"), str):
        values["schema"] = orjson.loads(values["schema"])
    if "labels" in values:
        values["labels"] = "\n".join(_label_line(label) for label in values["labels"])
    for name, off in (("cache", ""), ("failover", "off")):
        if isinstance(values.get(name), bool):
            values[name] = "on" if values[name] else off
    return values


def _label_line(label: Any) -> str:
    if isinstance(label, str):
        return label
    return f"{label['name']}: {label['description']}" if label.get("description") else str(label["name"])


def _unix(value: Any) -> Any:
    # Browsers send \r\n, which the template of a model is not.
    return value.replace("\r\n", "\n") if isinstance(value, str) else value
