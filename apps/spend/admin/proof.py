"""Are the sums equal? What the hourly look found, and what providers' own counts say."""

from django.contrib import admin
from unfold.admin import ModelAdmin

from apps.accounts.permissions import ForSuperusers, ReadOnly
from apps.spend.models import Proof, ReconciledDay


@admin.register(Proof)
class ProofAdmin(ReadOnly, ForSuperusers, ModelAdmin):  # type: ignore[misc]  # unfold ships no types
    """The newest first; each is a row that a beat left, so that no page adds up the ledger."""

    list_after_template = "accounts/empty.html"
    empty_hint = "All sums are compared once an hour; manage.py prove_money does it now."
    list_display = ("checked_at", "is_whole", "charged", "by_jobs", "bounded", "ledger", "reserved", "drift", "unpriced")
    list_filter = ("is_whole",)
    ordering = ("-checked_at",)
    fieldsets = (
        (None, {"fields": ("checked_at", "seconds", "is_whole", "examples")}),
        ("Charges and jobs", {"fields": ("charges", "charged_usd", "jobs_usd", "wrong_jobs", "unpriced", "wasted_usd")}),
        ("The ledger of reservations", {"fields": ("bounded_usd", "ledger_usd", "reserved_usd", "running", "wrong_counters")}),
    )

    @admin.display(description="charges")
    def charged(self, proof: Proof) -> str:
        return f"${proof.charged_usd:.6f}"

    @admin.display(description="over jobs")
    def by_jobs(self, proof: Proof) -> str:
        return f"${proof.jobs_usd:.6f}"

    @admin.display(description="charges under budgets")
    def bounded(self, proof: Proof) -> str:
        return f"${proof.bounded_usd:.6f}"

    @admin.display(description="ledger")
    def ledger(self, proof: Proof) -> str:
        return f"${proof.ledger_usd:.6f}"

    @admin.display(description="set aside")
    def reserved(self, proof: Proof) -> str:
        return f"${proof.reserved_usd:.6f}, {proof.running} running"

    @admin.display(description="drift")
    def drift(self, proof: Proof) -> int:
        return proof.wrong_jobs + proof.wrong_counters


@admin.register(ReconciledDay)
class ReconciledDayAdmin(ReadOnly, ForSuperusers, ModelAdmin):  # type: ignore[misc]  # unfold ships no types
    """Theirs / ours, by day and model."""

    list_after_template = "accounts/empty.html"
    empty_hint = "manage.py reconcile PROVIDER FILE compares a provider's usage export with what was charged."
    list_display = (
        "day",
        "upstream_model",
        "is_equal",
        "requests",
        "lost",
        "input_tokens",
        "output_tokens",
        "cost",
        "source",
        "imported_at",
    )
    list_filter = ("is_equal", "upstream_model")
    search_fields = ("upstream_model", "source")
    ordering = ("-imported_at", "day", "upstream_model")

    @admin.display(description="requests, theirs / ours")
    def requests(self, row: ReconciledDay) -> str:
        return _pair(row.their_requests, row.our_requests)

    @admin.display(description="of theirs lost on the way")
    def lost(self, row: ReconciledDay) -> str:
        """Answered, and charged to nobody: that a worker died is no difference."""
        return "-" if row.wasted_requests is None else f"{row.wasted_requests:,}"

    @admin.display(description="input tokens")
    def input_tokens(self, row: ReconciledDay) -> str:
        return _pair(row.their_input_tokens, row.our_input_tokens)

    @admin.display(description="output tokens")
    def output_tokens(self, row: ReconciledDay) -> str:
        return _pair(row.their_output_tokens, row.our_output_tokens)

    @admin.display(description="cost in dollars")
    def cost(self, row: ReconciledDay) -> str:
        theirs = "-" if row.their_cost_usd is None else f"{row.their_cost_usd:.6f}"
        return f"{theirs} / {row.our_cost_usd:.6f}"


def _pair(theirs: int | None, ours: int) -> str:
    return f"{'-' if theirs is None else f'{theirs:,}'} / {ours:,}"
