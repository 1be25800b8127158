"""The local embedder gives what the package's own loader gives, whatever the texts that come with it."""

from pathlib import Path

import numpy as np
import wordllama

from apps.knowledge.adapters.local_embedder import DIMENSIONS, embed_texts

TEXTS = ["refund my money", "I want my cash back", "A line\nand another. " * 50, "Überweisung in ¥ 漢字 🙂", "x"]


def test_its_vectors_are_those_of_the_package() -> None:
    model = wordllama.WordLlama.load(cache_dir=Path(wordllama.__file__).parent, disable_download=True)
    theirs = model.embed(TEXTS, norm=True)
    assert np.abs(np.array(list(embed_texts(TEXTS))) - theirs).max() < 1e-5


def test_a_text_has_one_vector_alone_and_among_others_and_an_empty_one_has_none() -> None:
    many = list(embed_texts([*TEXTS, "", *TEXTS * 20]))
    assert many[2] == next(embed_texts([TEXTS[2]]))
    assert many[len(TEXTS)] == [0.0] * DIMENSIONS
    assert list(embed_texts([])) == []
