"""Which calls a policy makes of one request; who answers stands in for the providers."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import orjson
import pytest

from apps.providers.actions import answer_by_policy
from apps.providers.actions.share_answers import SharedAnswers
from apps.providers.domain.calls import Call, Completion, Exchange, Stage
from apps.providers.domain.catalogue import Catalogue
from apps.providers.domain.outcomes import Outcome
from apps.providers.domain.policy import AnswerPolicy
from apps.spend.domain.usage import TokenUsage
from tests.factories.providers import clock, make_call, make_route

TINY, SMALL = UUID(int=1), UUID(int=7)
CATALOGUE = Catalogue(ids={"tiny": TINY, "small": SMALL}, routes_by_model={SMALL: (make_route(upstream_model="dear"),)})
OBJECT = {"type": "json_object"}
CONTRACT = AnswerPolicy(has_contract=True)
FIRST = AnswerPolicy(first_model="tiny")


def answer(text: str | None = None, outcome: Outcome = Outcome.OK) -> Completion:
    body = orjson.dumps({"choices": [{"message": {"content": text}, "finish_reason": "stop" if text else "content_filter"}]})
    exchange = Exchange(
        target_id=UUID(int=1), provider_id=UUID(int=2), upstream_model="m", path="/v1/chat/completions", outcome=outcome, sent_at=clock(),
        duration_seconds=0.1, answer=body,
    )  # fmt: skip
    usage = TokenUsage(input_tokens=1, output_tokens=1) if outcome is Outcome.OK else None
    return Completion(outcome=outcome, exchanges=(exchange,), answer=body, status_code=200, usage=usage)


class Answering:
    """Gives these completions in turn, and remembers what it was asked."""

    def __init__(self, *completions: Completion) -> None:
        self.completions = list(completions)
        self.calls: list[Call] = []

    async def __call__(self, call: Call) -> Completion:
        self.calls.append(call)
        return self.completions.pop(0)

    @property
    def models(self) -> Sequence[UUID]:
        return [call.model_id for call in self.calls]


async def answered(ask: Answering, policy: AnswerPolicy, *, body: dict[str, Any] | None = None, **left: Any) -> Completion:
    return await answer_by_policy(make_call(**body or {}), policy, ask=ask, catalogue=CATALOGUE, **left)


async def test_an_accepted_first_answer_is_the_only_call() -> None:
    ask = Answering(answer("hi"))
    completion = await answered(ask, FIRST)
    assert ask.models == [TINY]
    assert completion.course is not None
    assert (completion.course.is_accepted, completion.course.answered_by, len(completion.course.paid)) == (True, "first_model", 1)


@pytest.mark.parametrize("outcome", [Outcome.REJECTED, Outcome.FAILED_UPSTREAM, Outcome.CREDENTIAL, Outcome.NOT_SENT, Outcome.AMBIGUOUS])
async def test_what_the_first_model_fails_at_is_asked_of_the_model(outcome: Outcome) -> None:
    ask = Answering(answer("no", outcome), answer("yes"))
    completion = await answered(ask, FIRST)
    assert ask.models == [TINY, SMALL]
    assert completion.course is not None
    assert [len(completion.exchanges), len(completion.course.paid)] == [2, 1]


async def test_a_repair_holds_the_wrong_answer_and_the_reason() -> None:
    ask = Answering(answer("[1]"), answer("{}"))
    completion = await answered(ask, CONTRACT, body={"response_format": OBJECT})
    repair = orjson.loads(ask.calls[1].body)
    assert [message["role"] for message in repair["messages"]] == ["user", "assistant", "user"]
    assert repair["messages"][1]["content"] == "[1]"
    assert "not an object" in repair["messages"][2]["content"]
    assert repair["response_format"] == OBJECT
    assert completion.outcome is Outcome.OK


async def test_a_repair_of_a_response_goes_on_from_its_input() -> None:
    ask = Answering(answer("[1]"), answer("{}"))
    call = Call(
        run_id=UUID(int=5),
        model_id=SMALL,
        endpoint="/v1/responses",
        body=b'{"model":"small","input":"hi","text":{"format":{"type":"json_object"}}}',
    )
    await answer_by_policy(call, CONTRACT, ask=ask, catalogue=CATALOGUE)
    repair = orjson.loads(ask.calls[1].body)
    assert [(message["role"], message["content"]) for message in repair["input"]][:2] == [("user", "hi"), ("assistant", "[1]")]


async def test_a_draft_is_repaired_without_the_first_call() -> None:
    ask = Answering(answer("{}"))
    completion = await answered(ask, CONTRACT, body={"response_format": OBJECT}, stage=Stage.REPAIR, draft=answer("[1]").answer)
    assert len(ask.calls) == 1
    assert completion.course is not None
    assert (completion.course.answered_by, len(completion.course.paid)) == ("repair", 1)


async def test_a_draft_that_has_expired_is_asked_for_anew() -> None:
    ask = Answering(answer("{}", Outcome.FAILED_UPSTREAM))
    completion = await answered(ask, CONTRACT, body={"response_format": OBJECT}, stage=Stage.REPAIR, draft=None)
    assert completion.course is not None
    assert completion.course.stage is Stage.MODEL


async def test_a_request_whose_contract_cannot_be_kept_is_rejected() -> None:
    ask = Answering()
    assert (await answered(ask, CONTRACT)).error_code == "invalid_contract"


async def test_a_rerun_by_the_first_model_itself_asks_it_once() -> None:
    ask = Answering(answer(None))
    await answered(ask, FIRST, body={"model": "tiny"})
    assert ask.models == [TINY]


async def test_a_key_is_free_again_when_who_asked_has_failed() -> None:
    shared, key, run = SharedAnswers(), b"k", UUID(int=1)
    async with shared.asking(key, run) as asked:
        assert shared.find(key) is asked
        asked.completion = answer("no", Outcome.REJECTED)
    assert await asked.wait() is None
    assert shared.find(key) is None


async def test_a_settled_run_does_not_free_the_key_of_another() -> None:
    shared, key = SharedAnswers(), b"k"
    async with shared.asking(key, UUID(int=1)) as asked:
        asked.completion = answer("yes")
    shared.forget(key, UUID(int=2))
    assert shared.find(key) is asked
    shared.forget(key, UUID(int=1))
    assert shared.find(key) is None
