"""Several files in one field of a form."""

from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminFileFieldWidget


class _SeveralFiles(UnfoldAdminFileFieldWidget):  # type: ignore[misc]  # unfold ships no types
    allow_multiple_selected = True


class FilesField(forms.FileField):
    """One file or several, at most so many at once; with `required=False` also none."""

    def __init__(self, *, most: int, **options: Any) -> None:
        super().__init__(widget=_SeveralFiles, **options)
        self.most = most

    def clean(self, data: Any, initial: Any = None) -> list[Any]:
        files = [file for file in (data if isinstance(data, list | tuple) else [data]) if file]
        if len(files) > self.most:
            raise forms.ValidationError(f"These are {len(files)} files; at most {self.most} at once.")
        if not files and self.required:
            raise forms.ValidationError(self.error_messages["required"], code="required")
        return [super(FilesField, self).clean(file, initial) for file in files]
