"""A host's heartbeat: shows that it lives, renews its leases, watches for halts, is the dead man's switch."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from orchestrator.courier import CLEAR, host_queue
from orchestrator.domain.fleet import Host
from orchestrator.domain.halt import halt_of
from orchestrator.errors import ShopfloorError, UnreachableError
from orchestrator.services.attempt import gave_up, halted
from orchestrator.services.verify import verify_abandoned
from orchestrator.store import Holder, Wake
from workers.host import Stop, machine_seconds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.config import Settings
    from orchestrator.services.floor import Floor
    from orchestrator.store import Lease
    from workers.host import HostState, Underway

_log = logging.getLogger(__name__)

_BEATS_PER_LEASE = 6
_SAFETY = 0.3
"""Part of a lease that is kept back: agents are dead before anybody else may be given their task."""

_STOPPED_POLL = 0.05  # seconds

VERSION = "0.1.0"


class Heartbeat:
    """Beats in a thread of the worker's main process, several times a lease and at every nudge.

    Args:
        floor: The ports.
        settings: This host's name, slots, capabilities.
        state: Where attempts are noted, and the pulse is written.
    """

    def __init__(self, floor: Floor, settings: Settings, state: HostState) -> None:
        self.floor = floor
        self._settings = settings
        self._state = state
        self._started_at = floor.clock()
        self._stopping = threading.Event()
        self._draining = False
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)
        self._cut_off = False

    def start(self) -> None:
        """Beat from now on."""
        self._thread.start()

    def stop_attempts(self) -> None:
        """Tell every step on this host to stop, and its task to go back: the worker is shutting down."""
        self._draining = True
        self._sign_off()
        self._stop_all()

    def await_stopped(self, seconds: float) -> None:
        """Wait until no attempt is left on this host, or the time is over."""
        deadline = time.monotonic() + seconds
        while self._state.underway() and time.monotonic() < deadline:
            time.sleep(_STOPPED_POLL)

    def stop(self) -> None:
        """Stop beating, and strike the host off."""
        self._stopping.set()
        self._sign_off()

    def _stop_all(self) -> None:
        why = Stop("halted", f"host {self._settings.host} is shutting down")
        underway = self._state.underway()
        self._stop(self._deadline(machine_seconds()), underway, {each.lease: why for each in underway})

    def _stop(self, deadline: float, underway: Sequence[Underway], stops: Mapping[Lease, Stop]) -> None:
        """Write the pulse, which stops the steps that run, and end the attempts that are between two steps.

        A halt revokes the message of their next step, so nobody else would. A step that begins at this moment notes
        itself first and asks then whether its task is still its own: one of both sides sees the other.
        """
        self._state.beat(deadline, stops)
        for each in underway:
            stop = stops.get(each.lease)
            if stop is None or each.pid is not None:
                continue
            try:
                if stop.kind == "halted":
                    halted(self.floor, each.id, each.fence, stop.why)
            except ShopfloorError as error:
                _log.warning("attempt %s is not given back now: %s", each.lease.name, error)
                continue
            if self._state.is_idle(each.lease):
                self._lay_aside(each.lease)

    def _sign_off(self) -> None:
        """Strike the host off, so that nothing more is placed here."""
        try:
            self.floor.store.remove_host(self._settings.host)
        except UnreachableError as error:
            _log.warning("host %s could not sign off: %s", self._settings.host, error)

    def give_back_leftovers(self) -> None:
        """Give back every attempt that an earlier worker of this host left behind."""
        for each in self._state.underway():
            self._give_up(each, f"the worker of host {self._settings.host} was restarted")

    def beat(self) -> None:
        """Beat once: renew what goes on, write the pulse. A host that shuts down renews nothing, and is not listed.

        Raises:
            UnreachableError: the store does not answer.
        """
        if self._draining:
            self._stop_all()
            return
        began = machine_seconds()
        underway = self._state.underway()
        for each in list(underway):
            if why := self._lost(each, began):
                self._give_up(each, f"{why} on host {self._settings.host}")
                underway.remove(each)
        answer = self.floor.store.beat(self._host(), [each.lease for each in underway], self.floor.lease_seconds)
        stops: dict[Lease, Stop] = {lease: Stop("lost", "its lease is another's by now") for lease in answer.lost}
        for each in underway:
            halt = halt_of(answer.halts, each, self._settings.host)
            if halt:
                stops[each.lease] = Stop("halted", halt.sentence())
        self._stop(self._deadline(began), underway, stops)

    def _lost(self, each: Underway, now: float) -> str | None:
        """Why an attempt goes on no more, if so.

        There is a process for each slot and one for a verification, so a next step that does not begin for the time of
        a lease does not wait for a process: its message was lost, with the broker or with the process that sent it.
        """
        if not each.is_alive():
            return "the process that carried it out died"
        if each.pid is None and now - each.since > self.floor.lease_seconds:
            return "the message of its next step was lost"
        return None

    def _deadline(self, began: float) -> float:
        return began + self.floor.lease_seconds * (1 - _SAFETY)

    def _host(self) -> Host:
        return Host(
            name=self._settings.host,
            slots=self._settings.slots,
            capabilities=self._settings.capabilities,
            version=VERSION,
            started_at=self._started_at,
            seen_at=self.floor.clock(),
        )

    def _run(self) -> None:
        every = self.floor.lease_seconds / _BEATS_PER_LEASE
        while not self._stopping.is_set():
            try:
                for _ in self.floor.store.nudges(every):
                    if self._stopping.is_set():
                        return
                    self.beat()
                    self._tell_reconnected()
            except UnreachableError as error:
                self._tell_cut_off(error)
                self._stopping.wait(min(1.0, every))
            except Exception:  # noqa: BLE001 - a heart that stops at any error would disown healthy work; it is logged
                _log.exception("heartbeat of host %s failed; it goes on", self._settings.host)
                self._stopping.wait(min(1.0, every))

    def _tell_cut_off(self, error: UnreachableError) -> None:
        if not self._cut_off:
            _log.error(
                "host %s is cut off from the fleet; its agents stop before their leases run out: %s",
                self._settings.host,
                error,
            )
        self._cut_off = True

    def _tell_reconnected(self) -> None:
        if self._cut_off:
            _log.warning("host %s is connected to the fleet again", self._settings.host)
        self._cut_off = False

    def _give_up(self, underway: Underway, why: str) -> None:
        lease = underway.lease
        try:
            if lease.kind is Holder.TASK:
                gave_up(self.floor, underway.id, lease.fence, why)
            else:
                verify_abandoned(self.floor, underway.repository, lease.fence, self._settings.host)
        except ShopfloorError as error:
            _log.warning("attempt %s is left for its lease to run out: %s", lease.name, error)
        self._lay_aside(lease)

    def _lay_aside(self, lease: Lease) -> None:
        """Have the directories of an attempt that is over cleared away, by a process of the pool (`clear_aside`)."""
        self._state.lay_aside(lease)
        try:
            self.floor.send((Wake(CLEAR, (), host_queue(self._settings.host)),))
        except ShopfloorError as error:
            _log.warning("attempt %s is cleared away with the next one: %s", lease.name, error)
