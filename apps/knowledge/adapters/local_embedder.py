"""The embedder that needs no provider: the word vectors that the package wordllama ships, averaged over a text's tokens.

Its files are read here, not by its own loader: mapped into memory, all processes share the 16 MB of vectors. A process that embeds
holds 37 MB more than before, 24 of them its own; with the package's loader it is 92, of which 73 are its own.
"""

import os
import struct
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import orjson

from apps.knowledge.domain.embedders import LOCAL_DIMENSIONS as DIMENSIONS

_WEIGHTS = "weights/l2_supercat_256.safetensors"
_TOKENIZER = "tokenizers/l2_supercat_tokenizer_config.json"
_TENSOR = "embedding.weight"
_AT_ONCE = 64


def embed_texts(texts: Sequence[str]) -> Iterator[list[float]]:
    """A vector of length 1 for each; all zero for a text without a known token."""
    tokenizer, weights = _model()
    for start in range(0, len(texts), _AT_ONCE):
        for encoding in tokenizer.encode_batch_fast(list(texts[start : start + _AT_ONCE]), add_special_tokens=False):
            yield _average(weights, encoding.ids)


def _average(weights: Any, ids: Sequence[int]) -> list[float]:
    import numpy as np  # noqa: PLC0415 -- as below

    if not ids:
        return [0.0] * DIMENSIONS
    vector = weights[ids].mean(axis=0, dtype=np.float32)
    length = float(np.linalg.norm(vector))
    found: list[float] = (vector / length if length else vector).tolist()
    return found


@cache
def _model() -> tuple[Any, Any]:
    """Loaded when it is first wanted, for the processes that never search or read."""
    # One text at a time is too little for threads, and the workers share the cores as processes.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    import numpy as np  # noqa: PLC0415 -- see above
    from tokenizers import Tokenizer  # noqa: PLC0415 -- see above

    folder = _folder()
    file = folder / _WEIGHTS
    with file.open("rb") as stream:
        (length,) = struct.unpack("<Q", stream.read(8))
        told = orjson.loads(stream.read(length))[_TENSOR]
    if told["dtype"] != "F16" or told["shape"][1] != DIMENSIONS:
        msg = f"{file} holds other vectors than those that are stored: {told}"
        raise RuntimeError(msg)
    weights = np.memmap(file, dtype=np.float16, mode="r", offset=8 + length + told["data_offsets"][0], shape=tuple(told["shape"]))
    tokenizer = Tokenizer.from_file(str(folder / _TOKENIZER))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer, weights


def _folder() -> Path:
    spec = find_spec("wordllama")
    if spec is None or not spec.submodule_search_locations:
        msg = "The package wordllama is missing: it carries the vectors of the local embedder."
        raise RuntimeError(msg)
    return Path(spec.submodule_search_locations[0])
