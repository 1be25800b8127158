"""Values that work: with the sample model of `make demo`, and with ids of the right shape. A test sends every one of them."""

from typing import Any

MODEL = "smollm2-135m-instruct"
_KEY = "0192f0c1c0de7000800000000000000"
FILE = f"file-{_KEY}1"

# By the name of a path's parameter.
PATH_VALUES = {
    "file_id": FILE,
    "batch_id": f"batch_{_KEY}2",
    "job_id": f"batch_{_KEY}2",
    "item_id": f"item_{_KEY}3",
    "key_id": f"key_{_KEY}4",
    "upload_id": f"upload_{_KEY}5",
    "webhook_id": f"we_{_KEY}7",
    "delivery_id": f"dlv_{_KEY}8",
    "provider_id": f"prov_{_KEY}9",
    "target_id": f"target_{_KEY}a",
    "alert_id": f"alert_{_KEY}b",
    "budget_id": f"budget_{_KEY}c",
    "prompt_id": f"prompt_{_KEY}d",
    "collection_id": f"col_{_KEY}e",
    "document_id": f"doc_{_KEY}f",
    "snapshot_id": f"snap_{'0' * 32}{_KEY}1",
    "position": 1,
    "recipe_id": f"recipe_{_KEY[:-1]}10",
    "profile_id": f"profile_{_KEY[:-1]}11",
    "key": "language",
    "conversation_id": f"conv_{_KEY[:-1]}12",
    "name": MODEL,
}

# By the name of a query's parameter; an operation may have a value of its own.
QUERY_VALUES: dict[str, Any] = {
    "limit": 10,
    "order": "desc",
    "purpose": "batch",
    "dry_run": "false",
    "created_after": "2026-01-01T00:00:00Z",
    "kind": "batch",
    "lane": "default",
    "state": "dead",
    "error_code": "context_length_exceeded",
    "severity": "critical",
    "period": "month",
    "by": "feature",
    "step": "day",
    "list_documents.collection": "handbook",
    "list_documents.status": "ready",
    "offset": 0,
    "version": 1,
    "list_job_documents.state": "failed",
    "delete_collection.name": "example",
    "end_user": "ada@example.org",
    "seq": 1,
    "expected_seq": 1,
    "why": "she has moved to Lyon",
    "list_alerts.state": "open",
    "list_alerts.kind": "dead.share",
}

_ASK = {"model": MODEL, "max_tokens": 20}
_LINE = (
    '{"custom_id": "line-1", "method": "POST", "url": "/v1/chat/completions", '
    f'"body": {{"model": "{MODEL}", "messages": [{{"role": "user", "content": "Name a colour."}}]}}}}\n'
)

# By operation.
BODIES: dict[str, dict[str, Any]] = {
    "create_file": {"file": _LINE, "purpose": "batch"},
    "create_batch": {
        "input_file_id": FILE,
        "endpoint": "/v1/chat/completions",
        "completion_window": "24h",
        "metadata": {"feature": "colours", "priority": "bulk"},
    },
    "create_chat_completion": _ASK | {"messages": [{"role": "user", "content": "Name a colour."}]},
    "create_completion": _ASK | {"prompt": "The colour of the sky is"},
    "create_embedding": {"model": MODEL, "input": ["blue", "green"]},
    "create_response": {"model": MODEL, "input": "Name a colour."},
    "create_upload": {"bytes": len(_LINE), "filename": "in.jsonl", "mime_type": "application/jsonl", "purpose": "batch"},
    "add_upload_part": {"data": _LINE},
    "complete_upload": {"part_ids": [f"part_{_KEY}6"]},
    "change_lane": {"lane": "bulk"},
    "requeue_dead_items": {"fingerprint": "0123456789abcdef", "dry_run": True},
    "discard_dead_items": {"fingerprint": "0123456789abcdef", "reason": "the model is gone"},
    "create_webhook": {
        "name": "our back end",
        "url": "https://hooks.example.com/aiplatform",
        "events": ["batch.completed", "batch.failed"],
    },
    "change_webhook": {"url": "https://hooks.example.com/v2/aiplatform", "enabled": True},
    "pause_provider": {"reason": "maintenance until noon"},
    "resume_provider": {"reason": "maintenance is over"},
    "pause_target": {"reason": "its answers are bad"},
    "resume_target": {"reason": "its answers are good again"},
    "revoke_key": {"reason": "the nightly import has a new one"},
    "correct_answer": {"answer": "Within fourteen days [1].", "note": "The rules say so on page 2."},
    "rerun_failed": {"reason": "the provider is back"},
    "create_budget": {"scope": "feature", "name": "colours", "period": "month", "cap_usd": "25"},
    "change_budget": {"cap_usd": "50", "reason": "twice the traffic since May"},
    "top_up_budget": {"amount_usd": "10", "reason": "the campaign runs a week longer"},
    "create_prompt": {"name": "letter", "description": "Answers to customers."},
    "save_prompt_draft": {
        "system": "You answer letters in a {{ tone }} tone.",
        "user": "<letter>\n{{ letter }}\n</letter>",
        "variables": [{"name": "letter"}, {"name": "tone", "type": "choice", "choices": ["dry", "warm"], "default": "warm"}],
        "model": MODEL,
        "parameters": {"temperature": 0, "max_tokens": 20},
        "note": "a tone can be chosen",
    },
    "publish_prompt": {"version": 1},
    "archive_prompt": {"version": 1},
    "declare_recipe": {
        "name": "refunds",
        "kind": "ask",
        "description": "What a contract says about money back.",
        "declared": {"model": MODEL, "question": "When is money paid back?", "passages": 5},
    },
    "create_document_job": {
        "recipe": "summary",
        "collection": "handbook",
        "filter": {"department": "sales"},
        "lane": "bulk",
        "max_cost_usd": "5",
    },
    "create_conversation": {
        "model": MODEL,
        "title": "Refunds",
        "end_user": "ada@example.org",
        "instructions": "You are a clerk of a shop.",
        "window_tokens": 4096,
        "on_conflict": "retry",
    },
    "change_conversation": {"title": "Refunds in May", "instructions": "You are a friendly clerk of a shop."},
    "fork_conversation": {"version": 0},
    "create_turn": {"input": "When is money paid back?", "parameters": {"max_tokens": 20}},
    "create_collection": {"name": "rules", "description": "What the staff goes by.", "language": "english"},
    "describe_collection": {"description": "What the staff goes by since May."},
    "search_collection": {"query": "When is money paid back?", "top_k": 5, "metadata": {"department": "sales"}},
    "upload_documents": {
        "collection": "handbook",
        "file": ["Refunds\n\nMoney is paid back within fourteen days.\n"],
        "metadata": '{"department": "sales"}',
    },
    "create_profile": {"end_user": "grace@example.org"},
    "set_memory": {"text": "Answers in French, please.", "expected_seq": 1, "why": "she has said so"},
    "create_key": {"name": "nightly import", "scopes": ["files", "batches"]},
}

# Where the answer to one operation leads: operation -> (parameter, where its value stands, operations that take it).
LINKS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "create_file": ("file_id", "/id", ("retrieve_file", "download_file", "delete_file", "retrieve_native_file", "read_native_file")),
    "create_upload": ("upload_id", "/id", ("add_upload_part", "complete_upload", "cancel_upload")),
    "list_files": ("file_id", "/data/0/id", ("retrieve_file",)),
    "list_native_files": ("file_id", "/data/0/id", ("retrieve_native_file", "delete_native_file")),
    "create_batch": ("batch_id", "/id", ("retrieve_batch", "cancel_batch", "read_batch_results")),
    "list_batches": ("batch_id", "/data/0/id", ("retrieve_batch",)),
    "list_jobs": (
        "job_id",
        "/data/0/id",
        (
            "retrieve_job",
            "pause_job",
            "resume_job",
            "cancel_job",
            "change_lane",
            "rerun_failed",
            "read_job_results",
            "list_items",
            "list_job_documents",
        ),
    ),
    "list_items": ("item_id", "/data/0/id", ("retrieve_item",)),
    "create_webhook": (
        "webhook_id",
        "/id",
        ("retrieve_webhook", "change_webhook", "delete_webhook", "rotate_webhook_secret", "test_webhook", "list_deliveries"),
    ),
    "create_prompt": (
        "prompt_id",
        "/id",
        ("retrieve_prompt", "list_prompt_versions", "retrieve_prompt_draft", "save_prompt_draft", "publish_prompt", "archive_prompt"),
    ),
    "declare_recipe": ("recipe_id", "/id", ("retrieve_recipe", "archive_recipe")),
    "list_recipes": ("recipe_id", "/data/0/id", ("retrieve_recipe",)),
    "create_conversation": (
        "conversation_id",
        "/id",
        ("retrieve_conversation", "change_conversation", "fork_conversation", "read_history", "create_turn", "delete_conversation"),
    ),
    "list_conversations": ("conversation_id", "/data/0/id", ("retrieve_conversation", "read_history")),
    "create_collection": ("collection_id", "/id", ("retrieve_collection", "describe_collection", "delete_collection", "search_collection")),
    "search_collection": ("snapshot_id", "/id", ("retrieve_snapshot",)),
    "upload_documents": (
        "document_id",
        "/data/0/document/id",
        ("retrieve_document", "list_document_versions", "read_document_text", "delete_document"),
    ),
    "list_alerts": ("alert_id", "/data/0/id", ("retrieve_alert", "acknowledge_alert")),
    "test_webhook": ("delivery_id", "/id", ("retrieve_delivery", "replay_delivery")),
    "create_budget": ("budget_id", "/id", ("retrieve_budget", "change_budget", "top_up_budget")),
    "create_profile": (
        "profile_id",
        "/id",
        ("retrieve_profile", "erase_profile", "read_memory", "read_remembered", "set_memory", "forget_memory", "list_memory_events"),
    ),
    "create_key": ("key_id", "/id", ("revoke_key",)),
    "list_providers": ("provider_id", "/data/0/id", ("retrieve_provider",)),
    "retrieve_provider": ("target_id", "/targets/0/id", ("retrieve_target",)),
    "list_models": ("name", "/data/0/id", ("retrieve_model",)),
}
