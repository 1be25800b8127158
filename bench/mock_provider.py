"""A provider that answers in OpenAI's shapes; the model `sleep-50` takes 50 ms. Run: python bench/mock_provider.py PORT."""

import asyncio
import re
import sys

import orjson
import uvloop
from aiohttp import web

_SLEEP = re.compile(r"sleep-(\d+)")


async def _answer(request: web.Request) -> web.Response:
    body = orjson.loads(await request.read())
    found = _SLEEP.fullmatch(body["model"])
    await asyncio.sleep(int(found[1]) / 1000 if found else 0)
    usage = {"prompt_tokens": 20, "completion_tokens": 10, "total_tokens": 30}
    shapes = {
        "/v1/chat/completions": {
            "id": "chatcmpl-1", "object": "chat.completion", "created": 1,
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello."}, "finish_reason": "stop"}],
        },
        "/v1/embeddings": {"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [0.25] * 8}]},
    }  # fmt: skip
    content = orjson.dumps(shapes[request.path] | {"model": body["model"], "usage": usage})
    return web.Response(body=content, content_type="application/json")


def main() -> None:
    application = web.Application()
    application.router.add_post("/v1/{tail:.*}", _answer)
    uvloop.install()
    web.run_app(application, host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None)


if __name__ == "__main__":
    main()
