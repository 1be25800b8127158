"""What people fill in: files for a collection, and what they look for in it."""

from typing import Any

from django import forms

from apps.knowledge.domain.request import LONGEST_QUERY, Mode

MOST_AT_ONCE = 100


class _SeveralFiles(forms.ClearableFileInput):
    allow_multiple_selected = True


class _FilesField(forms.FileField):
    """One file or several."""

    def clean(self, data: Any, initial: Any = None) -> list[Any]:
        files = data if isinstance(data, list | tuple) else [data]
        if len(files) > MOST_AT_ONCE:
            raise forms.ValidationError(f"These are {len(files)} files; upload at most {MOST_AT_ONCE} at once.")
        return [super(_FilesField, self).clean(file, initial) for file in files]


class UploadForm(forms.Form):
    """Files for a collection."""

    documents = _FilesField(
        widget=_SeveralFiles(),
        max_length=255,
        help_text=f"One or several, at most {MOST_AT_ONCE}; zips are unpacked. A name that the collection has gets a new version.",
    )


class SearchForm(forms.Form):
    """A question to a collection."""

    query = forms.CharField(label="Question or words", max_length=LONGEST_QUERY, widget=forms.TextInput(attrs={"type": "search"}))
    mode = forms.ChoiceField(
        label="Search",
        required=False,
        choices=[(Mode.HYBRID, "by meaning and words"), (Mode.VECTOR, "by meaning"), (Mode.TEXT, "by words")],
    )
    as_of = forms.IntegerField(label="As of revision", required=False, min_value=0, max_value=2**53)
