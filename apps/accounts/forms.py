"""The forms of passwords: to sign in, to change one's own, and to give somebody else a new one."""

from typing import Any
from uuid import NAMESPACE_OID, uuid5

from unfold.forms import AdminOwnPasswordChangeForm, AdminPasswordChangeForm, AuthenticationForm

from apps.accounts.actions import change_own_password
from apps.accounts.domain.guesses import origin_of
from apps.lib.advisory_lock import in_turn
from apps.lib.why_field import WhyField


class SignInForm(AuthenticationForm):  # type: ignore[misc]  # unfold ships no types
    """The theme's; tries for one name from one origin are looked at one after another.

    A try is counted after its password was looked at: of many at the same moment each would find that there were none before it.
    """

    def clean(self) -> Any:
        name = self.cleaned_data.get("username") or ""
        origin = origin_of(self.request.META.get("REMOTE_ADDR") or "")
        with in_turn(uuid5(NAMESPACE_OID, f"sign-in:{origin}:{name}")):
            return super().clean()


class OwnPasswordForm(AdminOwnPasswordChangeForm):  # type: ignore[misc]  # unfold ships no types
    """The theme's; the change is written down."""

    def save(self, commit: bool = True) -> Any:  # noqa: ARG002, FBT001, FBT002 -- Django's signature
        return change_own_password(self.user, password=self.cleaned_data["new_password1"])


class OthersPasswordForm(AdminPasswordChangeForm):  # type: ignore[misc]  # unfold ships no types
    """The theme's, for superusers; they say why."""

    reason = WhyField(is_needed=True)
