"""Bugs in how money is taken and given back."""

from __future__ import annotations

from . import CALM, Mutant, edit

COLLECT = "booking/services/collect.py"
SETTLE = "booking/services/settle.py"
LEDGER = "sandbox/ledger.py"
LEDGER_MOVES = "sandbox/moves.py"

# Seats are gone when a payment comes to them late: the flight service's clock is ahead, or the
# payer took their time.
SEATS_GO = {"only": ("clock",), "mix": {}}
DROPS = {"mix": {"booking→provider": {"drop_answer": 25}}, "only": ()}

# No bug: it takes its time before it makes a note of an authorisation, longer than we wait.
SLOW_PROVIDER = edit(
    LEDGER,
    """
    |        state = OPENS.get(token, State.DECLINED)
    """,
    """
    |        state = OPENS.get(token, State.DECLINED)
    |        if token == "tok_slow":
    |            await asyncio.sleep(16)
    """,
)

MUTANTS = (
    Mutant(
        "none-but-a-slow-provider",
        "nothing: the provider takes 16 s for some authorisations, and remembers what is cancelled",
        frozenset(),
        [SLOW_PROVIDER],
        options=CALM,
    ),
    Mutant(
        "captured-before-confirmed",
        "the money is collected before the seats are made final",
        frozenset({"money_for_seats"}),
        [
            edit(
                COLLECT,
                """
                |            reach("pay.before_confirm")
                """,
                """
                |            await self.provider.capture(charge_for(self.provider, payment))
                |            reach("pay.before_confirm")
                """,
            )
        ],
        options=SEATS_GO,
    ),
    Mutant(
        "authorised-and-confirmed-in-one",
        "the seats are made final before the authorisation is written down",
        frozenset({"steps_in_order"}),
        [
            edit(
                COLLECT,
                """
                |        if answer.state in RESERVED:
                |            taken =
                """,
                """
                |        if answer.state in RESERVED:
                |            await self.flights.confirm(booking.id)
                |            taken =
                """,
            )
        ],
        options={"mix": {"booking→flight": {"drop_answer": 15, "late_answer": 15}}, "only": ()},
    ),
    Mutant(
        "silence-taken-for-no",
        "a capture without an answer counts as refused",
        frozenset({"money_for_seats"}),
        [
            edit(
                COLLECT,
                """
                |    async def capture(self, booking: Booking, payment: Payment) -> Taken:
                """,
                """
                |    async def capture(self, booking: Booking, payment: Payment) -> Taken:
                |        refused = Failure.CAPTURE_REFUSED
                |        try:
                |            return await self._capture(booking, payment)
                |        except Unknown:
                |            await self._fail(booking, payment, refused, BookingStatus.CANCELLED)
                |            return ONWARD
                |
                |    async def _capture(self, booking: Booking, payment: Payment) -> Taken:
                """,
            )
        ],
        options=DROPS,
    ),
    Mutant(
        "captured-twice",
        "the provider forgets that it has collected a payment, and collects it again",
        frozenset({"charged_once"}),
        [
            edit(
                LEDGER_MOVES,
                """
                |    Op.CAPTURE: {State.AUTHORIZED: State.CAPTURED
                """,
                """
                |    Op.CAPTURE: {State.CAPTURED: State.AUTHORIZED, State.AUTHORIZED: State.CAPTURED
                """,
            )
        ],
        options=DROPS,
    ),
    Mutant(
        "cancel-without-tombstone",
        "a slow provider forgets a cancellation that reaches it before the authorisation",
        frozenset({"books_agree"}),
        [
            edit(
                LEDGER,
                """
                |        payment = await self._do(Op.CANCEL, id, tombstone)
                |        assert payment is not None, "the ledger forgets nothing"
                |        return payment
                """,
                """
                |        return await self._do(Op.CANCEL, id) or tombstone
                """,
            ),
            SLOW_PROVIDER,
        ],
        options=CALM,
    ),
    Mutant(
        "void-forgotten",
        "a payment that came to nothing is not voided at the provider",
        frozenset({"books_agree"}),
        [
            edit(
                SETTLE,
                """
                |            answer = await self.provider.cancel(charge_for(self.provider, payment))
                """,
                """
                |            answer = Answer(ProviderState.CANCELLED)
                """,
            ),
            edit(
                SETTLE,
                """
                |from skyhold.booking.clients.payments.port import PaymentProvider
                """,
                """
                |from skyhold.booking.clients.payments.port import Answer, PaymentProvider
                """,
            ),
        ],
        options=CALM,
    ),
    Mutant(
        "refund-told-twice",
        "a refund is noted by read-then-write: who comes second tells of it again",
        frozenset({"true_story"}),
        [
            edit(
                SETTLE,
                """
                |            if moved:
                |                await booking_moves.touch(tx, payment.booking_id)
                """,
                """
                |            if moved := True:
                |                await booking_moves.touch(tx, payment.booking_id)
                """,
            )
        ],
        options=CALM,
    ),
    Mutant(
        "refund-taken-for-done",
        "a refund that failed is noted as made",
        frozenset({"books_agree"}),
        [
            edit(
                SETTLE,
                """
                |        if answer.state is not ProviderState.REFUNDED:
                """,
                """
                |        if answer.state is ProviderState.PENDING:
                """,
            ),
            # No bug: of every payment the first refund fails, and not only of some.
            edit(
                LEDGER,
                """
                |(token == "tok_refund_fails")
                """,
                """
                |(token != "")
                """,
            ),
        ],
        options=CALM,
    ),
)
