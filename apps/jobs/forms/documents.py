"""The form of a new job of documents in the back office."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django import forms
from unfold.widgets import (
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldBooleanSwitchWidget,
)

from apps.jobs.actions.submit_documents import Chosen, Terms
from apps.jobs.domain.lifecycle import Lane
from apps.jobs.forms import LANES
from apps.lib.files_form_field import FilesField
from apps.lib.json_form_field import BlankJsonField

MOST_FILES = 100
_ALL, _CHOSEN, _UPLOADED, _METADATA = "all", "chosen", "uploaded", "metadata"
_WHICH = [
    (_ALL, "all documents of the collection"),
    (_CHOSEN, "those that are ticked below"),
    (_UPLOADED, "those that are uploaded here"),
    (_METADATA, "those with the metadata below"),
]


class NewDocumentJobForm(forms.Form):
    """A collection, which of its documents, and a recipe."""

    collection = forms.ChoiceField(widget=UnfoldAdminSelectWidget, help_text="Where the documents are; its workspace pays.")
    recipe = forms.ChoiceField(widget=UnfoldAdminSelectWidget, help_text="What is done with them.")
    upload = FilesField(
        most=MOST_FILES,
        required=False,
        max_length=255,
        label="Add documents",
        help_text=f"At most {MOST_FILES} files, or zips of them: they go into the collection first. The job starts once they are read.",
    )
    which = forms.ChoiceField(choices=_WHICH, widget=UnfoldAdminSelectWidget, initial=_ALL, label="Which documents")
    documents = forms.MultipleChoiceField(required=False, widget=forms.CheckboxSelectMultiple, label="Documents")
    metadata = BlankJsonField(
        required=False, widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}), help_text='All entries must be equal: {"department": "sales"}.'
    )
    uploaded = forms.CharField(required=False, max_length=100_000, widget=forms.HiddenInput)
    lane = forms.ChoiceField(choices=[(lane.value, text) for lane, text in LANES.items()], widget=UnfoldAdminSelectWidget)
    max_cost_usd = forms.DecimalField(
        required=False,
        min_value=0,
        max_digits=20,
        decimal_places=12,
        label="At most, in dollars",
        widget=UnfoldAdminDecimalFieldWidget,
        help_text="The job waits when it has cost so much. Empty: no bound of its own.",
    )
    reuse = forms.BooleanField(
        required=False,
        initial=True,
        label="Take over answers",
        widget=UnfoldBooleanSwitchWidget,
        help_text="What an earlier job asked in the very same words isn't asked again, and costs nothing.",
    )

    def __init__(self, *arguments: Any, collections: Sequence[tuple[str, str]], recipes: Sequence[tuple[str, str]], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.fields["collection"].choices = collections  # type: ignore[attr-defined]  # it is a ChoiceField
        self.fields["recipe"].choices = recipes  # type: ignore[attr-defined]  # the same

    def offer_documents(self, documents: Sequence[tuple[str, str]]) -> None:
        """What can be ticked: known once there is a collection."""
        self.fields["documents"].choices = documents  # type: ignore[attr-defined]  # it is a MultipleChoiceField
        if not documents:
            del self.fields["documents"]

    def clean_uploaded(self) -> list[UUID]:
        """The ids of what was uploaded by this form before."""
        try:
            return [UUID(text) for text in self.cleaned_data["uploaded"].split(",") if text]
        except ValueError as error:
            raise forms.ValidationError("These are no documents' ids.") from error

    def clean_metadata(self) -> Mapping[str, str]:
        value = self.cleaned_data["metadata"]
        if value is not None and not (isinstance(value, dict) and all(isinstance(one, str) for one in value.values())):
            raise forms.ValidationError('Texts by name, like {"department": "sales"}.')
        return value or {}

    def chosen(self, uploaded: Sequence[UUID]) -> Chosen | None:
        """Which documents are meant; None, with the error on the form, when that is said by half."""
        values = self.cleaned_data
        which = values["which"]
        if which == _ALL:
            return Chosen()
        if which == _METADATA:
            if not values["metadata"]:
                self.add_error("metadata", "Say which metadata.")
                return None
            return Chosen(metadata=values["metadata"])
        ids = [UUID(text) for text in values.get("documents", ())] if which == _CHOSEN else list(uploaded)
        if not ids:
            self.add_error("which", "None is chosen: " + ("tick some below." if which == _CHOSEN else "choose files to upload."))
            return None
        return Chosen(document_ids=ids)

    def terms(self, end_user: str) -> Terms:
        values = self.cleaned_data
        return Terms(lane=Lane(values["lane"]), end_user=end_user, max_cost_usd=values["max_cost_usd"], reuse=values["reuse"])
