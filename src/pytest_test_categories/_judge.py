"""The judge: finds the guards that an attempt is charged to, and whether they permit it.

Guarantees:

- An attempt goes on only if each guard around it permits it, or warns. ``decide`` has the rules; this file has none.
- What no guard restricts, and what is permitted on this machine, is remembered in the scope that it was permitted in
  (the memo): the next such call costs one look.
- Every refusal is in the ledger before an error is raised or a warning is emitted.

Assumes that layers ask it on the thread and in the context of the call, before the call has any effect.
"""

from __future__ import annotations

import contextlib
import os
import sys
import weakref
from typing import TYPE_CHECKING, Any, Final

from pytest_test_categories._attribution.origin import asked_here, charge, scope_here
from pytest_test_categories._host import names
from pytest_test_categories._host.names import look_ups, reach_of_address
from pytest_test_categories._host.unix_sockets import names_denied
from pytest_test_categories._ledger.records import Refusal
from pytest_test_categories._rules.address import Endpoint, Reach, is_local_ip, parse_ip
from pytest_test_categories._rules.policy import Attempt, EnforcementMode, Kind, decide
from pytest_test_categories._watch import connections
from pytest_test_categories._watch.passes import Permitted

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_test_categories._attribution.origin import Charge, Scope
    from pytest_test_categories._ledger.ledger import Ledger
    from pytest_test_categories._rules.address import IPAddress
    from pytest_test_categories._watch import Outside, Sight

MEMO_ENTRIES: Final = 1024
"""How many permitted targets a scope remembers."""

DEBUG_VARIABLE: Final = "TEST_CATEGORIES_DEBUG"
"""If set to 1, each attempt that is judged is printed on stderr. What the memo permits is not judged again."""


class Judge:
    """Judges attempts, and records those that a guard refuses or a run observes.

    Args:
        ledger: Where they are recorded.

    Attributes:
        outside: The layer outside of this process, if there is one: it is told what it would see otherwise.
        listing: Whoever may list what alone is reached. While there are any, the answers of all look-ups are kept: a
            connection that a shared fixture has opened may be used by a test that lists the name.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.outside: Outside | None = None
        self.listing: weakref.WeakSet[object] = weakref.WeakSet()
        self._debug = os.environ.get(DEBUG_VARIABLE) == "1"

    def ask(
        self,
        kind: Kind,
        route: str,
        family: int,
        address: Any,
        sock: Any,
        read: Callable[[Kind, int, Any], Sight | None],
    ) -> bool:
        """Judge one attempt, and return if it may go on; True if a guard restricts what it leads to.

        Args:
            kind: The kind of access.
            route: The entry point, for reports.
            family: The address family, as a number of the socket module.
            address: The address as the caller passed it.
            sock: The socket; it is closed when a connect or bind is refused.
            read: Returns the endpoint for a family and address; None if such calls are not judged.

        Raises:
            NetworkAccessViolationError: A strict guard refuses it.
        """
        __tracebackhide__ = True
        key = (kind, address)
        scope = scope_here()
        plain = type(address) is tuple and bool(address) and type(address[0]) is str
        if plain and scope is not None:
            try:
                if (known := scope.memo.get(key)) is not None:
                    return known is True
            except TypeError:  # an unhashable address: the call itself raises the right error
                pass
        charged = charge()
        if charged is None or not charged.scopes:
            self._vouch(kind, (), Reach.BEYOND)
            return False
        sight = read(kind, family, address)
        if sight is None:
            return False
        ip = parse_ip(sight.endpoint.host) if sight.endpoint.family == "ip" else None
        attempt = _attempt(kind, sight, ip)
        if sight.endpoint.family == "unix":
            deny = [entry for link in charged.scopes if link.policy is not None for entry in link.policy.deny]
            attempt = attempt._replace(names=names_denied(sight.endpoint.host, deny)) if deny else attempt
        if sight.stays is not None and _somebody_minds(charged, attempt) and sight.stays():
            attempt = attempt._replace(reach=Reach.NOWHERE)
        if self._debug:
            _tell(attempt, route, charged)
        refusing: list[Refusal] = []
        watching = []
        on_record = False
        for link in charged.scopes:
            policy = link.policy
            if policy is None:
                continue
            if link.observe is not None:
                link.observe(attempt)
            verdict = decide(policy, attempt)
            if not verdict.permitted:
                if policy.mode is EnforcementMode.OFF:  # nothing is enforced, but the run observes
                    watching.append(link)
                elif kind is Kind.REUSE and connections.is_reported(sock, link.serial):
                    on_record = True  # this socket's connect was recorded; another socket's is new
                else:
                    refusing.append(Refusal(link, policy, verdict))
        if refusing:
            self._refuse(refusing, charged, attempt, route, sock)
        elif watching and watching[-1].kind.observes:
            self._ledger.observe(watching, charged, attempt, route)
        else:
            unrestricted = _is_unrestricted(charged.scopes) and not self.listing
            if plain and not on_record:
                self._memoize(charged, key, attempt, ip, restricted=not unrestricted)
            self._vouch(kind, charged.scopes, attempt.reach)
            return not unrestricted
        self._vouch(kind, (), attempt.reach)  # warned about, observed, or not charged to a test: it goes on
        return True

    def _refuse(self, refusing: list[Refusal], charged: Charge, attempt: Attempt, route: str, sock: Any) -> None:
        """Record the attempt; a strict guard then raises its error, and another one warns."""
        __tracebackhide__ = True
        try:
            warned = self._ledger.refuse(refusing, charged, attempt, route)
        except Exception:
            # Close the socket, since callers do not clean up after an error that is not an OSError.
            if sock is not None and (attempt.kind is Kind.CONNECT or attempt.kind is Kind.BIND):
                sock.close()
            raise
        if warned and attempt.kind is Kind.CONNECT:
            connections.note_reported(sock, {refusal.scope.serial for refusal in refusing})

    def _vouch(self, kind: Kind, scopes: tuple[Scope, ...], reach: Reach) -> None:
        if (outside := self.outside) is not None:  # another thread may set it to None meanwhile
            outside.vouch(kind, scopes, reach)

    def _memoize(
        self,
        charged: Charge,
        key: tuple[Kind | Reach, Any],
        attempt: Attempt,
        ip: IPAddress | None,
        *,
        restricted: bool,
    ) -> None:
        """Remember a permitted attempt in the innermost scope; never a datagram socket's connect.

        That connect sends nothing, but has the same key as a stream's connect, which does. Of a look-up, ``ask``'s
        answer is remembered; of a local name, which the hosts file may lose, only that file's stamp, for the wrappers.
        """
        scope = scope_here()
        if scope is None or charged.scopes[0] is not scope:
            return
        kind, reach = attempt.kind, attempt.reach
        if kind is Kind.CONNECT and reach is Reach.NOWHERE:
            return
        looks_up = kind is Kind.LOOKUP or kind is Kind.REVERSE_LOOKUP
        if looks_up and self.outside is not None:  # it is told each answer
            return
        known: object = restricted if looks_up else Permitted(key[1], scope.serial)
        if restricted and not _is_permitted_for_good(charged, attempt, ip):
            here = Reach.NOWHERE if kind is Kind.LOOKUP else Reach.MACHINE
            if ip is not None or reach is not here or self.outside is not None:
                return
            known, key = names.hosts_file.stamp(), (here, key)
        for link in charged.scopes:
            # A later look-up may give the address a name that is denied.
            if link.observe is not None or (link.policy is not None and link.policy.deny and link.policy.denies_names):
                return
        with contextlib.suppress(TypeError):
            if len(scope.memo) < MEMO_ENTRIES:
                scope.memo[key] = known
            # A layer outside that needs to see each call empties the memos first, and may have done so just now.
            if (outside := self.outside) and not outside.agrees(kind, charged.scopes, reach):
                scope.memo.pop(key, None)


def _is_permitted_for_good(charged: Charge, attempt: Attempt, ip: IPAddress | None) -> bool:
    """Tell whether guards permit an attempt whatever changes while they last: this machine's names and addresses.

    That holds for loopback, and for what an allow entry permits. An address that such an entry permits by a name stays
    permitted when the name gets another one, and would be permitted without the memo as well. Of a call that takes a
    name and looks it up by itself, the address is judged each time.
    """
    if ip is None:
        return attempt.kind is Kind.LOOKUP and not _somebody_minds(charged, attempt._replace(reach=Reach.BEYOND))
    return is_local_ip(ip) or not _somebody_minds(charged, attempt._replace(reach=Reach.BEYOND))


def _is_unrestricted(scopes: tuple[Scope, ...]) -> bool:
    """Tell whether no scope restricts or observes what is reached."""
    for link in scopes:
        if link.policy is None or link.policy.size is None or link.policy.restricts or link.observe is not None:
            return False
    return True


def _attempt(kind: Kind, sight: Sight, ip: IPAddress | None) -> Attempt:
    """Return the facts for a decision: what the layer has seen, and what this process knows about the address."""
    reach = sight.reach if sight.reach is not None or ip is None else reach_of_address(ip)
    names = () if ip is None else look_ups.names_of(ip)
    label = asked_here()
    meant = None if label is None else Endpoint(label.host, label.port)
    return Attempt(kind, sight.endpoint, reach or Reach.BEYOND, names, meant)


def _somebody_minds(charged: Charge, attempt: Attempt) -> bool:
    """Tell whether one of the charged guards does not permit an attempt."""
    return any(link.policy is not None and not decide(link.policy, attempt).permitted for link in charged.scopes)


def _tell(attempt: Attempt, route: str, charged: Charge) -> None:
    """Print to the process's own stderr who is charged with an attempt, by which rule, the verdict and its reason."""
    what = f"{attempt.kind.value} {attempt.endpoint} by {route}, reaches {attempt.reach.value}"
    lines = [f"test categories debug: {what}; charged: {charged.rule}{charged.late and f', {charged.late}'}"]
    for link in charged.scopes:
        policy = link.policy
        if policy is None:
            lines.append(f"  {link.kind.value} {link.test}: takes note")
        else:
            verdict = decide(policy, attempt)
            size = "no size" if policy.size is None else policy.size.value
            word = "permitted" if verdict.permitted else "known" if verdict.known else "not permitted"
            lines.append(f"  {link.kind.value} {link.test} ({size}, {policy.mode.value}): {word}, {verdict.because}")
    print("\n".join(lines), file=sys.__stderr__, flush=True)
