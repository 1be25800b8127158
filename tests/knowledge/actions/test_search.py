"""Searches: by meaning, by words, both; narrowed, as of a revision; frozen and pinned."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import IntegrityError, connection, connections, transaction
from django.utils import timezone

from apps.knowledge.actions import PinTo, delete_document, pin_snapshot, search_collection
from apps.knowledge.actions.rank_chunks import Scope, rank_by_vector
from apps.knowledge.adapters.local_embedder import embed_texts
from apps.knowledge.domain.request import Mode, SearchRequest, digest
from apps.knowledge.models import Chunk, Collection, Pin, Snapshot
from apps.lib.http_errors import ApiError
from apps.lib.sql import server_cursor
from tests.factories.accounts import make_workspace
from tests.factories.knowledge import make_collection, make_document

pytestmark = pytest.mark.django_db

TEXTS = {
    "refunds.txt": "Money is paid back within fourteen days of the return.",
    "shipping.txt": "Parcels leave the warehouse on the evening of the order.",
    "codes.txt": "Error E4711 means that the valve is closed.",
    "weather.txt": "In spring the rain in the mountains is warm.",
}


def library(*, name: str = "handbook", language: str = "simple") -> Collection:
    made = make_collection(name=name, language=language)
    for title, text in TEXTS.items():
        make_document(text, collection=made, name=title, kind=title.partition(".")[0])
    return Collection.objects.get(id=made.id)


def names(snapshot: Snapshot) -> list[str]:
    found = {str(chunk.id): chunk.document.name for chunk in Chunk.objects.select_related("document")}
    return [found[result["chunk"]] for result in snapshot.results]


def search(collection: Collection, query: str, pin_to: PinTo | None = None, **values: object) -> Snapshot:
    return search_collection(collection_id=collection.id, request=SearchRequest(query=query, **values), pin_to=pin_to)  # type: ignore[arg-type]  # of any kind


def test_each_way_finds_what_it_is_good_at_and_both_together_find_both() -> None:
    collection = library()
    assert names(search(collection, "How do I get a refund of my cash?", mode=Mode.VECTOR))[0] == "refunds.txt"
    assert names(search(collection, "E4711", mode=Mode.TEXT)) == ["codes.txt"]
    assert names(search(collection, "what does E4711 mean"))[0] == "codes.txt"
    assert names(search(collection, "zzzz", mode=Mode.TEXT)) == []
    both = search(collection, "when is money paid", top_k=2).results
    assert (len(both), both[0]["vector_rank"], both[0]["text_rank"]) == (2, 1, 1)


def test_words_are_taken_as_they_are_meant() -> None:
    collection = library()
    assert names(search(collection, '"the return"', mode=Mode.TEXT)) == ["refunds.txt"]
    assert names(search(collection, '"return the"', mode=Mode.TEXT)) == []
    assert set(names(search(collection, "the -order -valve", mode=Mode.TEXT))) == {"refunds.txt", "weather.txt"}
    for odd in ("'", "\\", "a & b | !", "<->", "it's", "\\'", ":*", '"'):
        search(collection, odd, mode=Mode.TEXT)


def test_a_language_knows_the_forms_of_its_words() -> None:
    english, plain = library(name="english", language="english"), library(name="plain")
    assert names(search(english, "parcel leaving", mode=Mode.TEXT)) == ["shipping.txt"]
    assert names(search(plain, "parcel leaving", mode=Mode.TEXT)) == []


def test_filters_narrow_it() -> None:
    collection = library()
    ids = dict(collection.documents.values_list("name", "id"))
    wanted = f"doc_{ids['weather.txt'].hex}"
    assert names(search(collection, "money", document_ids=(wanted,))) == ["weather.txt"]
    assert names(search(collection, "money", metadata={"kind": "codes"})) == ["codes.txt"]
    assert names(search(collection, "money", metadata={"kind": "none"})) == []
    with pytest.raises(ApiError, match="No such document in the collection"):
        search(collection, "money", document_ids=("doc_" + "0" * 32,))


def test_another_collection_is_not_searched() -> None:
    library()
    empty = make_collection(make_workspace("other"), name="empty")
    assert names(search(empty, "money")) == []


def test_an_older_revision_finds_what_it_had_and_its_snapshot_stays() -> None:
    collection = library()
    before = search(collection, "money paid back", top_k=1)
    make_document("Nothing is given back.", collection=collection, name="refunds.txt")
    delete_document(document_id=collection.documents.get(name="weather.txt").id, now=timezone.now())
    collection.refresh_from_db()
    assert collection.revision == 6
    now = search(collection, "money paid back", top_k=4)
    assert "weather.txt" not in names(now)
    assert "Nothing is given back." in [Chunk.objects.get(id=one["chunk"]).text for one in now.results]
    again = search(collection, "money paid back", top_k=1, as_of=4)
    assert again.results == before.results
    assert Snapshot.objects.get(id=before.id).content == before.content
    assert names(search(collection, "rain", mode=Mode.TEXT, as_of=4)) == ["weather.txt"]
    assert names(search(collection, "rain", mode=Mode.TEXT, as_of=0)) == []
    with pytest.raises(ApiError, match="there is no 7 yet"):
        search(collection, "rain", as_of=7)


def test_a_snapshot_is_named_by_what_it_says_is_stored_once_and_never_changes() -> None:
    collection = library()
    first, again = search(collection, "money"), search(collection, "money")
    assert (first.id, Snapshot.objects.count()) == (again.id, 1)
    assert digest(Snapshot.objects.get().content) == first.id
    assert search(collection, "money", top_k=2).id != first.id
    with pytest.raises(IntegrityError, match="rows of knowledge_snapshot never change"), transaction.atomic():
        Snapshot.objects.filter(id=first.id).update(query="other")


def test_a_state_keeps_its_snapshot_whatever_changes() -> None:
    collection = library()
    state = PinTo("conversation-1", 3)
    first = search(collection, "money", state)
    make_document("Money, money, money.", collection=collection, name="song.txt")
    assert search(collection, "money", state).id == first.id
    assert search(collection, "money", PinTo("conversation-1", 4)).id != first.id
    assert search(collection, "money").id != first.id
    assert Pin.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_of_two_that_pin_at_once_one_wins_and_both_read_it() -> None:
    collection = library()
    snapshots = [search(collection, "money", top_k=number) for number in (1, 2, 3, 4)]
    state = PinTo("conversation-1", 1)

    def pin(snapshot: Snapshot) -> str:
        try:
            return pin_snapshot(snapshot=snapshot, pin_to=state, query_key="q").id
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        winners = set(pool.map(pin, snapshots))
    assert len(winners) == 1
    assert winners == {Pin.objects.get().snapshot_id}


def test_the_graph_finds_what_comparing_finds() -> None:
    """Through the index, whatever the size of the collection."""
    collection = library()
    make_document("Of another collection: money, money.", collection=make_collection(name="other"))
    (vector,) = embed_texts(["give me my money back"])
    with server_cursor() as cursor:
        for number in (collection.chunk_count, 10_000_000):
            scope = Scope(collection=collection, revision=collection.revision, document_ids=None, searched=number)
            found = rank_by_vector(cursor, scope, vector, limit=10)
            assert Chunk.objects.get(id=found[0]).document.name == "refunds.txt"
            assert len(found) == 4
        cursor.execute("SHOW enable_sort")
        assert cursor.fetchall() == [("on",)]
    assert connection.in_atomic_block
