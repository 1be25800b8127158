"""What a turn of a conversation costs beside its call: preparing it, writing it with its item, and closing it.

    python -m bench turns [--quick]

Milliseconds of CPU of the process that does it, and statements (but BEGIN and COMMIT), for one turn. Nobody is asked: each item is ended
as settle leaves it.
The conversation has 40 turns before it, and a collection of 200 passages; each question is a new one.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import orjson
import psycopg
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from apps.conversations.actions import create_conversation
from apps.jobs.actions import close_turns, turn_ask
from apps.jobs.actions.prepare_turn import Busy, prepare_turn
from apps.jobs.actions.submit_call import submit_call
from apps.jobs.domain.call_request import Caller
from apps.jobs.domain.turn_request import read_native_turn
from apps.jobs.models import Item
from apps.knowledge.actions import add_document, create_collection, extract_document
from apps.lib.ids import uuid7
from apps.traces.actions import store_bodies
from apps.traces.domain.bodies import make_body
from bench.harness import MODEL, declare_model, prepare
from bench.report import machine, percentiles, print_table, write_results

_BEFORE = 40
_SAID = "Money is paid back when the goods return within thirty days of delivery, unless they were made to order. "


class _Counted:
    """Statements of all cursors, Django's and plain ones."""

    statements = 0

    @classmethod
    def begin(cls) -> None:
        execute = psycopg.Cursor.execute

        def counting(*arguments: Any, **values: Any) -> Any:
            cls.statements += 1
            return execute(*arguments, **values)

        psycopg.Cursor.execute = counting  # type: ignore[method-assign]  # to count


class Costs:
    """CPU and statements by step."""

    def __init__(self) -> None:
        self.cpu: defaultdict[str, list[float]] = defaultdict(list)
        self.statements: dict[str, int] = {}

    def of(self, step: str, work: Callable[[], Any]) -> Any:
        before, started = _Counted.statements, time.process_time()
        done = work()
        self.cpu[step].append(time.process_time() - started)
        self.statements[step] = _Counted.statements - before
        return done

    def rows(self) -> list[dict[str, Any]]:
        return [
            {"step": step, "statements": self.statements[step], **{name: told[name] for name in ("p50_ms", "p99_ms")}}
            for step, told in ((step, percentiles(seconds)) for step, seconds in self.cpu.items())
        ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the turns")
    arguments = parser.parse_args()
    prepare()
    _Counted.begin()
    workspace, _ = declare_model("http://127.0.0.1:9/v1")
    collection = create_collection(workspace_id=workspace.id, name=f"rules-{uuid7().hex}", language="simple", now=timezone.now())
    content = SimpleUploadedFile("rules.txt", "\n\n".join(f"{number}. {_SAID * 12}" for number in range(200)).encode())
    added = add_document(
        collection_id=collection.id, api_key_id=None, filename="rules.txt", content=content, metadata=None, now=timezone.now()
    )
    extract_document(version_id=added.version.id)
    caller = Caller(workspace.id, None)
    conversation = create_conversation(workspace_id=workspace.id, model_name=MODEL, collection_id=collection.id, now=timezone.now())
    costs, rounds = Costs(), 20 if arguments.quick else 200
    for number in range(_BEFORE + rounds):
        if number == _BEFORE:
            costs = Costs()
        _turn(costs, caller, conversation.id, f"When is money paid back, question {number}?")
    print_table(costs.rows())
    print(f"machine: {machine()}")
    write_results("turns", {"rows": costs.rows()}, quick=arguments.quick)


def _turn(costs: Costs, caller: Caller, conversation_id: Any, text: str) -> None:
    ask, item_id = turn_ask(caller, conversation_id, read_native_turn({"input": text}), headers={}), uuid7()
    call = costs.of("prepare", lambda: prepare_turn(ask))
    if isinstance(call, Busy):
        message = "a turn of nobody's is open"
        raise TypeError(message)
    costs.of("write", lambda: submit_call(item_id=item_id, reply_to="", caller=caller, request=call, repeats=None, now=timezone.now()))
    said = {"role": "assistant", "content": _SAID + "[1]"}
    answer = make_body(caller.workspace_id, orjson.dumps({"choices": [{"index": 0, "message": said, "finish_reason": "stop"}]}))
    store_bodies([answer])
    Item.objects.filter(id=item_id).update(state="done", answer_body_id=answer.id, ended_at=timezone.now())
    costs.of("close", lambda: close_turns(item_id=item_id))


if __name__ == "__main__":
    main()
