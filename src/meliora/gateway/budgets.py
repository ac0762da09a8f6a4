"""Budgets of keys by day and month (UTC), leased from the store in slices. Refuses to wait: what it knows in memory decides.

How far a budget can be overshot, over N gateways: by N x (one slice + the estimate of one call) + what calls in flight cost above
their estimates. The slice is the credit a gateway takes while its next lease is asked for; each start of a gateway may take it
once. If the store is away, `budget_without_store = deny` takes no credit after five seconds, and `allow` has no bound but the time.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Literal

from meliora.errors import BudgetExhausted
from meliora.gateway.state import KeyState, LeaseGrant, LeaseWish
from meliora.settings.models import Gateway

_DAY_US = 86_400_000_000
PATIENCE_US = 5_000_000
"""Microseconds without an answer after which the store counts as away."""
_ASK_AGAIN_US = 1_000_000


class _Account:
    """What this gateway holds of one key's budget for one period."""

    __slots__ = (
        "budget",
        "elsewhere",
        "exhausted",
        "held",
        "refused",
        "reported",
        "reserved",
        "slice",
        "total",
        "unreported",
    )

    def __init__(self, budget: int, share: float) -> None:
        self.budget = budget
        self.slice = max(1, int(budget * share)) if budget > 0 else 0
        self.held = 0
        """Granted and not spent; below zero: spent on credit."""
        self.reserved = 0
        """Estimates of calls in flight."""
        self.unreported = 0
        self.total = 0
        """Spent since this gateway started."""
        self.reported = 0
        """Sent in the last report, which has not been answered."""
        self.exhausted = budget <= 0
        """The store said that nothing is left."""
        self.refused = False
        """A call was refused since the last report."""
        self.elsewhere: int | None = None
        """Spent in the period by others and before this gateway's start, as the store last said; None: it has not yet."""

    @property
    def free(self) -> int:
        return self.held - self.reserved

    def want(self) -> int:
        """Say how much to ask for: up to a full slice once less than half of one is free."""
        if self.budget <= 0 or self.free * 2 >= self.slice or (self.exhausted and not self.refused):
            return 0
        return self.slice - self.free


class Reservation:
    """Money set aside for a call: settle it once, however the call ended."""

    __slots__ = ("accounts", "estimate", "settled")

    def __init__(self, accounts: tuple[_Account, ...], estimate: int) -> None:
        self.accounts = accounts
        self.estimate = estimate
        self.settled = False


_NO_ACCOUNTS: tuple[_Account, ...] = ()


class BudgetLedger:
    """What this gateway may spend of each key's budgets.

    Each tick the caller sends `wishes` to the store and hands the answer to `grant`; an answer that never comes is reported
    again with the running total, so the store counts each spending once. `now_us` is wall-clock time: if the clock jumps, so do
    the periods, and the money of a period that comes again is asked for anew.
    """

    def __init__(self, settings: Gateway) -> None:
        self._share = settings.budget_slice
        self._without_store: Literal["allow", "deny"] = settings.budget_without_store
        self._accounts: dict[tuple[str, str], _Account] = {}
        self._day = -1
        self._periods = ("", "")
        self._asking_since: int | None = None
        """When the oldest unanswered question came up."""
        self._sent: tuple[_Account, ...] = ()

    def adapt(self, settings: Gateway) -> None:
        """Go on by other settings; slices change with the next period or the next change of a budget."""
        self._share = settings.budget_slice
        self._without_store = settings.budget_without_store

    def reserve(
        self, key: KeyState, estimate_micros: int | None, now_us: int, *, strictly: bool = False
    ) -> Reservation:
        """Set aside the estimate of a call (None, unknown: nothing), or raise `BudgetExhausted`.

        A call is let in while anything is free: it may overdraw by its own size. `strictly` denies, whatever the settings say, where
        the store has been away for longer than the patience with it.
        """
        day, month = key.budget_day_micros, key.budget_month_micros
        if day is None and month is None:
            return Reservation(_NO_ACCOUNTS, 0)
        if now_us // _DAY_US != self._day:
            self._turn(now_us)
        accounts: list[_Account] = []
        for budget, period in ((day, self._periods[0]), (month, self._periods[1])):
            if budget is not None:
                account = self._of(key.id, period, budget)
                self._check(account, period, now_us, "deny" if strictly else self._without_store)
                accounts.append(account)
        estimate = estimate_micros or 0
        for account in accounts:
            account.reserved += estimate
        return Reservation(tuple(accounts), estimate)

    def settle(self, reservation: Reservation, actual_micros: int | None) -> None:
        """Charge what the call cost; None, unknown: the estimate is charged. The period is the one the call began in."""
        if reservation.settled:
            return
        reservation.settled = True
        cost = reservation.estimate if actual_micros is None else actual_micros
        for account in reservation.accounts:
            account.reserved -= reservation.estimate
            account.held -= cost
            account.unreported += cost
            account.total += cost

    def wishes(self, now_us: int) -> list[LeaseWish]:
        """Give what was spent since the last answered report, and what is wished for; empty where there is nothing to say."""
        if now_us // _DAY_US != self._day:
            self._turn(now_us)
        wishes: list[LeaseWish] = []
        sent: list[_Account] = []
        for (key_id, period), account in list(self._accounts.items()):
            account.unreported += account.reported
            account.reported = 0
            over = period not in self._periods
            want = 0 if over else account.want()
            if want or account.unreported:
                wishes.append(LeaseWish(key_id, period, account.unreported, want, account.total, account.held))
                account.reported, account.unreported = account.unreported, 0
                account.refused = False
                sent.append(account)
            elif over and not account.reserved:
                del self._accounts[key_id, period]
        self._sent = tuple(sent)
        if sent and self._asking_since is None:
            self._asking_since = now_us
        return wishes

    def grant(self, grants: Iterable[LeaseGrant]) -> None:
        """Take the answer to the last report: all it said counts as heard, and what is granted adds to what is held."""
        for account in self._sent:
            account.reported = 0
        self._sent = ()
        self._asking_since = None
        for one in grants:
            account = self._accounts.get((one.key_id, one.period))
            if account is not None:
                account.held += one.granted_micros
                account.exhausted = one.exhausted
                if one.spent_micros is not None:
                    account.elsewhere = one.spent_micros - account.total + account.unreported

    def held(self, key_id: str, period: str) -> int | None:
        """Give what is granted and not spent (micro-dollars, below zero on credit); None where nothing is known of the period."""
        account = self._accounts.get((key_id, period))
        return None if account is None else account.held

    def spent(self, key: KeyState, now_us: int) -> tuple[int | None, int | None]:
        """Give what is spent of the key's budgets of the day and of the month, calls in flight at their estimates.

        None where there is no budget, or nothing was heard of it yet. Others' spending is as old as the last lease.
        """
        if now_us // _DAY_US != self._day:
            self._turn(now_us)
        day, month = self._periods
        return self._spent(key.id, day), self._spent(key.id, month)

    def _spent(self, key_id: str, period: str) -> int | None:
        account = self._accounts.get((key_id, period))
        if account is None or account.elsewhere is None:
            return None
        return account.elsewhere + account.total + account.reserved

    @property
    def urgent(self) -> bool:
        """Whether some key is at less than half a slice: a reason to report before the next tick."""
        return any(account.want() for account in self._accounts.values())

    def _of(self, key_id: str, period: str, budget: int) -> _Account:
        account = self._accounts.get((key_id, period))
        if account is None:
            account = self._accounts[key_id, period] = _Account(budget, self._share)
        elif account.budget != budget:
            fresh = _Account(budget, self._share)
            account.budget, account.slice, account.exhausted = budget, fresh.slice, fresh.exhausted
        return account

    def _check(self, account: _Account, period: str, now_us: int, without_store: Literal["allow", "deny"]) -> None:
        """Raise where nothing is free."""
        if account.free > 0:
            return
        if not account.exhausted:
            since = self._asking_since
            if since is None or now_us < since:
                self._asking_since = since = now_us
            if now_us - since > PATIENCE_US:
                if without_store == "allow":
                    return
            elif account.free + account.slice > 0:
                return
        account.refused = True
        kind = "day" if period.startswith("day:") else "month"
        if account.exhausted:
            raise BudgetExhausted(
                f"The budget of this key for the {kind} is used up.", hint=f"It begins anew with the next {kind} (UTC)."
            )
        raise BudgetExhausted(
            f"The part of this key's budget for the {kind} that this gateway holds is used up, and no more has been granted yet.",
            retry_after=_ASK_AGAIN_US / 1e6,
        )

    def _turn(self, now_us: int) -> None:
        """Name the periods of the day."""
        self._day = now_us // _DAY_US
        at = datetime.fromtimestamp(self._day * 86_400, tz=UTC)
        self._periods = (f"day:{at:%Y-%m-%d}", f"month:{at:%Y-%m}")
