"""The usual way, for comparison: one Celery task per item, the OpenAI SDK, a result in Redis."""

import os

import openai
from celery import Celery
from kombu import Queue

app = Celery("peer", broker=os.environ["REDIS_URL"], backend=os.environ["REDIS_URL"])
app.conf.update(
    task_queues=[Queue("peer")],
    task_default_queue="peer",
    worker_prefetch_multiplier=1,
    task_acks_late=True,
    broker_transport_options={"max_connections": 200},
)

_client: list[openai.OpenAI] = []


@app.task
def ask(prompt: str) -> str:
    """One call, one result."""
    if not _client:
        _client.append(openai.OpenAI(base_url=os.environ["PEER_BASE_URL"], api_key="none", max_retries=2))
    answer = _client[0].chat.completions.create(model="simulated", messages=[{"role": "user", "content": prompt}])
    return answer.choices[0].message.content or ""
