"""Look now whether conversations and memory agree with themselves."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.defaultfilters import pluralize
from django.urls import reverse
from django.views.decorators.http import require_POST

from apps.lib.clock import current_time
from apps.ops.actions.probe_conversations import probe_conversations


@require_POST
def look_now(request: HttpRequest) -> HttpResponse:
    """For superusers: the same look as the beat's, and back to what it found."""
    if not request.user.is_superuser:
        raise PermissionDenied("Superusers look at all workspaces.")
    found = probe_conversations(now=current_time())
    said = f"Looked at {found['conversations']:,} conversations and {found['profiles']:,} people: "
    if found["findings"]:
        messages.warning(request, f"{said}{found['findings']:,} finding{pluralize(found['findings'])}.")
    else:
        messages.success(request, f"{said}all agree.")
    return HttpResponseRedirect(reverse("admin:conversations_probe_changelist"))
