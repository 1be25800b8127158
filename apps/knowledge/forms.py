"""What people fill in: files for a collection."""

from django import forms

from apps.lib.files_form_field import FilesField

MOST_AT_ONCE = 100


class UploadForm(forms.Form):
    """Files for a collection."""

    documents = FilesField(
        most=MOST_AT_ONCE,
        max_length=255,
        help_text=f"One or several, at most {MOST_AT_ONCE}; zips are unpacked. A name that the collection has gets a new version.",
    )


class DescribeForm(forms.Form):
    """What a collection is for."""

    description = forms.CharField(label="Description", max_length=500, required=False, help_text="What it is for.")
