"""The request that asks a model to repair its answer."""

from typing import Any

_ANSWER_LENGTH = 100_000


def repair_body(body: dict[str, Any], *, endpoint: str, answer: str, reason: str) -> dict[str, Any]:
    """The same request, continued by the wrong answer and by what is wrong with it."""
    wrong = {"role": "assistant", "content": answer[:_ANSWER_LENGTH] or "(nothing)"}
    asked = {
        "role": "user",
        "content": f"Your answer does not have the form that was asked for. At {reason}\n"
        "Answer the same question once more, with the corrected JSON alone: no words around it, no code fence.",
    }
    if endpoint != "/v1/responses":
        return body | {"messages": [*body.get("messages", []), wrong, asked]}
    given = body.get("input")
    so_far = given if isinstance(given, list) else [{"role": "user", "content": given}] if given else []
    return body | {"input": [*so_far, wrong, asked]}
