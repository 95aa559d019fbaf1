"""The Redis store on servers that are not as they should be: each error says what was wrong and what to do."""

from __future__ import annotations

import threading
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
import redis

from orchestrator.domain.task import Cause, Note, State
from orchestrator.errors import ShopfloorError, UnreachableError
from orchestrator.stores.redis import RedisStore, connection
from tests.helpers.servers import RedisServer, free_port
from tests.helpers.tasks import (
    LONG,
    advance,
    claim,
    claim_of,
    make_event,
    make_halt,
    make_host,
    make_repository,
    noted,
    start,
    submit,
)
from tests.helpers.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from orchestrator.stores.redis.keys import Keys

HOST = make_host()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """One retry is as good as four where a server stays away."""
    monkeypatch.setattr(connection, "_ATTEMPTS", 1)


@pytest.fixture
def starved(tmp_path: Path) -> Iterator[RedisServer]:
    """A server that never throws anything away, to be given too little memory."""
    server = RedisServer(tmp_path / "starved", ["maxmemory-policy noeviction"])
    try:
        yield server.start()
    finally:
        server.stop()


def refused(url: str) -> UnreachableError:
    with closing(RedisStore(url)) as store, pytest.raises(UnreachableError) as caught:
        store.ping()
    assert caught.value.exit_code == 3
    assert caught.value.remedy
    return caught.value


def test_a_wrong_password_is_said_to_be_wrong(redis_server: RedisServer) -> None:
    error = refused(f"redis://:wrong@127.0.0.1:{redis_server.port}/0")
    assert "password" in error.message
    assert "SHOPFLOOR_REDIS_URL" in error.remedy


def test_a_missing_password_is_asked_for(redis_server: RedisServer) -> None:
    assert "password" in str(refused(f"redis://127.0.0.1:{redis_server.port}/0"))


def test_where_nothing_listens_the_error_says_how_to_start_one() -> None:
    error = refused(f"redis://127.0.0.1:{free_port()}/0")
    assert "shopfloor up" in error.remedy


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "127.0.0.1:6379", "", "redis://127.0.0.1:port/0"])
def test_what_is_no_redis_url_is_answered_with_what_one_looks_like(url: str) -> None:
    assert "redis://" in refused(url).remedy


def test_a_password_is_in_no_message() -> None:
    error = refused(f"redis://:s3cr3t@127.0.0.1:{free_port()}/0")
    assert "s3cr3t" not in str(error)


def test_a_database_that_does_not_exist_is_an_error_for_a_person(redis_server: RedisServer) -> None:
    url = f"redis://:{redis_server.password}@127.0.0.1:{redis_server.port}/9999"
    with closing(RedisStore(url)) as store, pytest.raises(ShopfloorError) as caught:
        store.ping()
    assert caught.value.remedy


def test_a_server_that_went_away_is_unreachable_and_then_found_again(own_server: RedisServer) -> None:
    with closing(RedisStore(own_server.url)) as store:
        store.ping()
        task = submit(store)
        port = own_server.port
        own_server.stop()
        for act in (store.ping, store.tasks, store.halts, lambda: store.commit(noted(task, Note.STARTED))):
            with pytest.raises(UnreachableError, match="cannot be reached"):
                act()
        own_server.start()
        assert own_server.port == port
        assert store.tasks() == [task]
        store.commit(noted(task, Note.STARTED))
        assert store.last_seq() == 2


def test_what_was_committed_outlives_a_killed_server(own_server: RedisServer) -> None:
    with closing(RedisStore(own_server.url)) as store:
        store.add_repository(make_repository())
        store.beat(HOST, [], LONG)
        task = start(store, HOST)
        own_server.kill()
        own_server.start()
        assert (store.task("T1"), store.busy(), store.last_seq()) == (task, {"h1": 1}, 2)
        assert [holding.task for holding in store.holdings()] == ["T1"]


def test_a_listener_is_told_when_its_server_goes_away(own_server: RedisServer) -> None:
    caught: list[UnreachableError] = []
    listening = threading.Event()

    def listen() -> None:
        with closing(RedisStore(own_server.url)) as store:
            try:
                for _ in store.nudges(0.05):
                    listening.set()
            except UnreachableError as error:
                caught.append(error)

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    assert listening.wait(10)
    own_server.kill()
    listener.join(30)
    assert len(caught) == 1


@pytest.mark.parametrize(
    ("key", "act"),
    [
        ("outbox", lambda store: store.due()),
        ("leases", lambda store: store.expired()),
        ("halts", lambda store: store.halts()),
        ("events", lambda store: store.events()),
        ("hosts", lambda store: store.beat(HOST, [], LONG)),
        ("counter:fence", lambda store: store.next_fence()),
        ("task:T1", submit),
        ("layout", lambda store: store.ping()),
    ],
)
def test_a_key_that_another_program_wrote_is_named_as_that(
    open_redis: Callable[[], RedisStore], keys: Keys, key: str, act: Callable[[RedisStore], object]
) -> None:
    store = open_redis()
    store._redis.sadd(f"{keys.prefix}:{key}", "theirs") if key != "outbox" else store._redis.set(keys.outbox, "theirs")
    with pytest.raises(ShopfloorError, match="WRONGTYPE") as caught:
        act(store)
    assert "database of its own" in caught.value.remedy


def test_state_of_another_layout_is_refused_and_left_alone(open_redis: Callable[[], RedisStore], keys: Keys) -> None:
    store = open_redis()
    store._redis.set(keys.layout, "7")
    with pytest.raises(UnreachableError, match="layout 7"):
        store.ping()
    assert store._redis.get(keys.layout) == b"7"


def test_a_server_that_forgot_the_scripts_is_taught_them_again(open_redis: Callable[[], RedisStore]) -> None:
    store = open_redis()
    task = submit(store)
    store._redis.script_flush()
    store.commit(noted(task, Note.STARTED))
    assert store.last_seq() == 2


def test_out_of_memory_names_the_remedy_and_writes_nothing_by_half(starved: RedisServer) -> None:
    with closing(RedisStore(starved.url)) as store, closing(redis.Redis.from_url(starved.url)) as person:
        store.ping()
        store.add_repository(make_repository())
        store.beat(HOST, [], LONG)
        task = submit(store)
        before = everything(person)
        person.config_set("maxmemory", "1")
        acts: list[Callable[[], object]] = [
            lambda: submit(store, id="T2", depends_on=("T1",)),
            lambda: store.commit(noted(task, Note.STARTED)),
            lambda: store.claim(claim_of(task, HOST, 7)),
            lambda: store.commit_train(store.train(make_repository()).noted(None), [make_event("driven")]),
            lambda: store.beat(HOST, [], LONG),
            lambda: store.acquire("merge", "a", LONG),
            store.ping,
        ]
        for act in acts:
            with pytest.raises(UnreachableError, match="memory") as caught:
                act()
            assert "maxmemory" in caught.value.remedy
            assert everything(person) == before
        assert store.tasks() == [task]
        person.config_set("maxmemory", "0")
        assert claim(store, task, HOST) is None


def test_a_halt_is_put_in_force_and_lifted_even_out_of_memory(starved: RedisServer) -> None:
    with closing(RedisStore(starved.url)) as store, closing(redis.Redis.from_url(starved.url)) as person:
        store.ping()
        person.config_set("maxmemory", "1")
        halt = store.add_halt(make_halt(), make_event("halted"))
        assert store.halts() == [halt]
        assert store.lift_halts([], make_event("resumed")) == [halt]


def test_a_server_takes_another_port_where_its_own_was_taken(tmp_path: Path, redis_server: RedisServer) -> None:
    server = RedisServer(tmp_path / "late")
    server.port = redis_server.port
    try:
        server.start()
        assert server.port != redis_server.port
        with closing(RedisStore(server.url)) as store:
            store.ping()
    finally:
        server.stop()


def test_a_stopped_server_leaves_its_port_free(tmp_path: Path) -> None:
    server = RedisServer(tmp_path / "brief").start()
    server.stop()
    server.stop()
    eventually(lambda: not answers(server.url), "a port that nothing listens on")


def answers(url: str) -> bool:
    with closing(redis.Redis.from_url(url, retry=None)) as client:
        try:
            return bool(client.ping())
        except redis.ConnectionError:
            return False


def everything(person: redis.Redis) -> dict[bytes, bytes | None]:
    """The whole database, as the server itself writes it out."""
    return {key: person.dump(key) for key in sorted(person.scan_iter())}


def test_what_a_newer_version_wrote_into_a_task_is_read_past(open_redis: Callable[[], RedisStore], keys: Keys) -> None:
    store = open_redis()
    task = submit(store, id="T1", state=State.WAITING)
    newer = task.model_dump_json().removesuffix("}") + ',"mood":"calm"}'
    store._redis.hset(keys.task("T1"), "d", newer)
    advance(store, store.task("T1"), Cause.UNBLOCKED, State.QUEUED)
    assert [each.id for each in store.tasks([State.QUEUED])] == ["T1"]
