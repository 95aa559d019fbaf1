"""Tasks as cards in the columns of the board."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from rich.text import Text

from orchestrator.cli.render import MARKS, STATE_STYLES, bar
from orchestrator.cli.text import age, amount, line, minutes, span
from orchestrator.domain.scope import Scope

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from orchestrator.desk import TrainView
    from orchestrator.domain.task import Task

DIM = "bright_black"
_BAR = 4  # columns
_STEP = 8  # columns
_HOST = 10  # columns
_TITLE_LEAST = 12  # columns that a title has in a flat card


@dataclass(frozen=True)
class Card:
    """A task: its first line, what stands under it, and what is put beside it where a card has one line only."""

    heading: Text
    under: tuple[Text, ...] = ()
    beside: Text | None = None

    def lines(self, width: int, *, flat: bool) -> list[Text]:
        """The lines of this card; flat, there is one."""
        if not flat:
            return [_fit(self.heading), *(_fit(Text.assemble("  ", each)) for each in self.under)]
        if self.beside is None or width < self.beside.cell_len + _TITLE_LEAST:
            return [_fit(self.heading)]
        heading = self.heading.copy()
        heading.truncate(width - self.beside.cell_len - 2, overflow="ellipsis", pad=True)
        return [_fit(Text.assemble(heading, "  ", self.beside))]


@dataclass(frozen=True)
class Column:
    """The cards of one kind, under their name and number."""

    name: str
    cards: Sequence[Card]
    style: str = ""

    def lines(self, room: int, width: int, *, flat: bool = False) -> list[Text]:
        """Draw as many cards as there is room for, whole where all fit so, else a line each; the rest is counted."""
        style = self.style or STATE_STYLES.get(self.name, "default")
        head = Text.assemble((self.name.upper(), f"bold {style}"), (f"  {len(self.cards)}", DIM))
        whole = [each.lines(width, flat=flat) for each in self.cards]
        if sum(map(len, whole)) > room - 1:
            whole = [each.lines(width, flat=True) for each in self.cards]
        if len(whole) > room - 1 and sum(map(len, whole)) > room - 1:
            hidden = len(whole) - max(0, room - 2)
            whole = [*whole[: max(0, room - 2)], [Text(f"+ {hidden} more", DIM)]]
        return [_fit(head), *(drawn for card in whole for drawn in card)]


def queued(task: Task, now: datetime, holders: Sequence[Task] = ()) -> Card:
    """A task that waits to be placed, or for others.

    Args:
        task: The task.
        now: The time of the frame.
        holders: Tasks that hold their scopes; the first whose scope meets that of the task is named.
    """
    since = age(task.queued_at or task.created_at, now)
    holder = next((each.id for each in holders if _in_the_way(each, task)), None)
    if task.state == "waiting":
        why = f"after {', '.join(task.depends_on)}"
    else:
        why = f"scope of {holder} · {since}" if holder else f"{since} · p{task.priority}"
    return Card(_heading(task, task.state), (Text(f"{why} · {line(task.blueprint)}", DIM),))


def _in_the_way(holder: Task, task: Task) -> bool:
    return holder.repository == task.repository and _meet(holder.scope, task.scope)


@lru_cache(maxsize=65536)  # a board is drawn four times a second, and may have hundreds of tasks in its queue
def _meet(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    return Scope.of(one).meets(Scope.of(other))


def running(task: Task, now: datetime) -> Card:
    """A task at work: where, at which step, and how much of its limits is used up."""
    since = age(task.attempt_started_at or task.started_at, now)
    turn = f"{task.round}/{task.rounds_max}" if task.round else "0"
    step, host = line(task.next_step), line(task.host or "-")
    where = Text.assemble((step, "bold"), (f" · {turn} · {host} · {since}", DIM))
    short = Text.assemble((f"{step[:_STEP]:<{_STEP}}", "bold"), (f" {turn:<3} {host[:_HOST]:<{_HOST}}  ", DIM))
    return Card(_heading(task, "running"), (where, _spent(task)), short.append_text(_spent(task)))


def _spent(task: Task) -> Text:
    """What a task has used up, in columns that stand under one another."""
    time, tokens = task.minutes, task.tokens
    return Text.assemble(
        bar(time.spent, time.budget, _BAR),
        (f" {f'{minutes(time.spent)}/{minutes(time.budget)}m':<8}  ", DIM),
        bar(tokens.spent, tokens.budget, _BAR),
        (f" {f'{amount(tokens.spent)}/{amount(tokens.budget)}':<10}", DIM),
    )


def review(task: Task, now: datetime) -> Card:
    """A change that waits to be accepted."""
    tier = task.change.tier if task.change else "auto"
    who = Text("a person", STATE_STYLES["review"]) if tier == "human" else Text(f"tier {tier}", DIM)
    return Card(_heading(task, "review"), (who.append(f" · {age(task.change_opened_at, now)}", DIM),))


def merging(tasks: Sequence[Task], trains: Sequence[TrainView], now: datetime) -> list[Card]:
    """Changes on the merge trains: the candidates first, then in the order in which they land."""
    order = [each for shown in trains for each in shown.waiting]
    candidates = {shown.train.candidate.task: shown for shown in trains if shown.train.candidate}

    def place(task: Task) -> tuple[bool, int]:
        return task.id not in candidates, order.index(task.id) if task.id in order else len(order)

    return [
        _merging(task, candidates.get(task.id), number, now) for number, task in enumerate(sorted(tasks, key=place), 1)
    ]


def _merging(task: Task, shown: TrainView | None, number: int, now: datetime) -> Card:
    if shown is None or shown.train.candidate is None:
        return Card(_heading(task, "merging"), (Text(f"number {number} on the train", DIM),))
    if shown.train.blocked:
        return Card(_heading(task, "merging"), (Text(line(shown.train.blocked.text), "red"),))
    candidate = shown.train.candidate
    since = age(candidate.verify_started_at or candidate.built_at, now)
    where = line(candidate.host) if candidate.host else "no host yet"
    return Card(_heading(task, "merging"), (Text(f"verify · {since} · {where}", DIM),))


def ended(task: Task, now: datetime) -> Card:
    """A task that has landed, or that a person decides about."""
    if task.state == "escalated":
        code = task.reason.code.replace("_", " ") if task.reason else "escalated"
        return Card(_heading(task, "escalated"), (Text(f"{code} · {age(task.ended_at, now)}", "red"),))
    took = span((task.ended_at - task.created_at).total_seconds()) if task.ended_at else ""
    turns = f" · {task.round} rounds" if task.round > 1 else ""
    return Card(_heading(task, "merged"), (Text(f"took {took}{turns} · {age(task.ended_at, now)}", DIM),))


def _heading(task: Task, state: str) -> Text:
    return Text.assemble((MARKS[state], STATE_STYLES[state]), " ", (task.id, "bold"), " ", line(task.title))


def _fit(words: Text) -> Text:
    words.no_wrap, words.overflow = True, "ellipsis"
    return words
