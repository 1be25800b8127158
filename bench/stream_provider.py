"""A provider of `bench streams`, as a process of its own: streams its own clock first, then as many words as the question asks for.

The question says how, as `Speak. {"pieces": 60, "gap": 0.02}`; `{"holds": true}` waits for a POST to /release behind the first piece.
"""

import asyncio
import sys
import time
from typing import Any

import orjson
from aiohttp import web

THINKS_SECONDS = 0.2
_HEAD = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "bench"}
_WORD_TOKENS = 1


def _event(delta: dict[str, Any], *, finish_reason: str | None = None) -> bytes:
    return b"data: " + orjson.dumps(_HEAD | {"choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]}) + b"\n\n"


_WORD, _STOP = _event({"content": "word "}), _event({}, finish_reason="stop")


class Provider:
    """Answers all questions; those that hold wait for one word."""

    def __init__(self) -> None:
        self.released = asyncio.Event()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        question = orjson.loads(await request.read())["messages"][-1]["content"]
        plan = orjson.loads(question[question.index("{") :])
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await asyncio.sleep(THINKS_SECONDS)
        await response.prepare(request)
        await response.write(_event({"content": f"{time.time():.6f} "}))
        if plan.get("holds"):
            await self.released.wait()
        pieces = plan.get("pieces", 0)
        for _ in range(pieces):
            await asyncio.sleep(plan["gap"])
            await response.write(_WORD)
        usage = {"prompt_tokens": 20, "completion_tokens": pieces * _WORD_TOKENS, "total_tokens": 20 + pieces * _WORD_TOKENS}
        end = b"data: " + orjson.dumps(_HEAD | {"choices": [], "usage": usage}) + b"\n\ndata: [DONE]\n\n"
        await response.write(_STOP + end)
        await response.write_eof()
        return response

    async def release(self, _: web.Request) -> web.Response:
        self.released.set()
        return web.Response()


def main() -> None:
    async def application() -> web.Application:
        provider = Provider()
        app = web.Application()
        app.router.add_post("/v1/chat/completions", provider.answer)
        app.router.add_post("/release", provider.release)
        return app

    web.run_app(application(), host="127.0.0.1", port=int(sys.argv[1]), backlog=2048, access_log=None)


if __name__ == "__main__":
    main()
