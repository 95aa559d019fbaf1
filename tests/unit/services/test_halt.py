"""The kill switch: written first, then broadcast; lifted by name or whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.courier import CONTROL_QUEUE, DISPATCH, MERGE, message_id
from orchestrator.domain.halt import Reach
from orchestrator.domain.rounds import PUBLISH
from orchestrator.errors import InputError, NotFoundError
from orchestrator.services.halt import halt, resume
from orchestrator.store import Wake
from tests.helpers.attempts import BLUEPRINT, claim, enqueue, fence_of, names

if TYPE_CHECKING:
    from orchestrator.domain.halt import Halt
    from orchestrator.services.floor import Floor
    from tests.helpers.couriers import MemoryCourier


def place(floor: Floor, reach: Reach = Reach.FLEET, name: str = "") -> Halt:
    return halt(floor, reach, name, why="a test", who="ann")


def test_a_halt_is_in_force_until_it_is_lifted_and_both_are_told(floor: Floor) -> None:
    placed = place(floor)
    assert floor.store.halts() == [placed]
    assert resume(floor, [], who="bob") == [placed]
    assert floor.store.halts() == []
    assert [(event.type, event.who) for event in floor.store.events()] == [("halt", "ann"), ("resume", "bob")]


def test_halts_are_numbered(floor: Floor) -> None:
    first, second = place(floor), place(floor, Reach.HOST, "h1")
    assert (first.epoch, second.epoch) == (1, 2)


def test_the_messages_of_exactly_the_attempts_that_it_stops_are_revoked(floor: Floor, courier: MemoryCourier) -> None:
    task, _ = claim(floor), claim(floor, id="T2")
    place(floor, Reach.TASK, task.id)
    fence = fence_of(task)
    expected = {message_id("T1", fence, 0, "prepare")} | {
        message_id("T1", fence, number, name) for number in (1, 2, 3) for name in (*names(BLUEPRINT.steps), PUBLISH)
    }
    assert set(courier.revoked) == expected
    assert len(courier.revoked) == len(expected)


@pytest.mark.parametrize(
    ("reach", "name"), [(Reach.FLEET, ""), (Reach.REPOSITORY, "R1"), (Reach.BLUEPRINT, "codemod"), (Reach.HOST, "h1")]
)
def test_a_wide_halt_reaches_every_attempt_in_it(floor: Floor, courier: MemoryCourier, reach: Reach, name: str) -> None:
    claim(floor)
    claim(floor, id="T2")
    place(floor, reach, name)
    assert {message.split(".")[0] for message in courier.revoked} == {"T1", "T2"}


def test_a_halt_stops_no_message_where_nothing_runs(floor: Floor, courier: MemoryCourier) -> None:
    enqueue(floor)
    place(floor)
    assert courier.revoked == []


@pytest.mark.parametrize(("reach", "name"), [(Reach.TASK, "T404"), (Reach.REPOSITORY, "R404")])
def test_a_halt_of_what_does_not_exist_is_refused(floor: Floor, reach: Reach, name: str) -> None:
    with pytest.raises(NotFoundError, match="404"):
        place(floor, reach, name)
    assert floor.store.halts() == []


@pytest.mark.parametrize("reach", [reach for reach in Reach if reach is not Reach.FLEET])
def test_a_narrowed_halt_without_a_name_is_refused(floor: Floor, reach: Reach) -> None:
    with pytest.raises(InputError, match=f"{reach} needs a name"):
        place(floor, reach)
    assert floor.store.halts() == []


def test_a_halt_of_the_fleet_takes_no_name(floor: Floor) -> None:
    with pytest.raises(InputError, match="fleet takes no name"):
        place(floor, Reach.FLEET, "R1")


def test_a_host_or_blueprint_may_be_halted_before_it_is_known(floor: Floor) -> None:
    place(floor, Reach.HOST, "h9")
    place(floor, Reach.BLUEPRINT, "migration")
    assert [each.key for each in floor.store.halts()] == ["blueprint:migration", "host:h9"]


def test_only_the_halts_that_are_named_are_lifted(floor: Floor) -> None:
    for name in ("h1", "h2"):
        place(floor, Reach.HOST, name)
    assert [each.name for each in resume(floor, ["host:h2"], who="bob")] == ["h2"]
    assert [each.name for each in floor.store.halts()] == ["h1"]


def test_lifting_what_is_not_in_force_is_refused_and_says_what_is(floor: Floor) -> None:
    place(floor, Reach.HOST, "h1")
    with pytest.raises(NotFoundError, match=r"host:h2.*In force: host:h1"):
        resume(floor, ["host:h1", "host:h2"], who="bob")
    assert len(floor.store.halts()) == 1


def test_lifting_all_where_none_is_in_force_does_nothing(floor: Floor) -> None:
    assert resume(floor, [], who="bob") == []
    assert floor.store.events() == []


def test_work_goes_on_at_once_when_a_halt_is_lifted(floor: Floor, courier: MemoryCourier) -> None:
    place(floor)
    resume(floor, [], who="bob")
    assert courier.sent == [Wake(DISPATCH, (), CONTROL_QUEUE), Wake(MERGE, ("R1",), CONTROL_QUEUE)]
