"""What people fill in: files for a collection."""

from typing import Any

from django import forms

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


class DescribeForm(forms.Form):
    """What a collection is for."""

    description = forms.CharField(label="Description", max_length=500, required=False, help_text="What it is for.")
