"""Bugs in how bookings are made, cancelled and expired."""

from __future__ import annotations

from . import CALM, Mutant, edit

BOOK = "booking/services/book.py"
ADVANCE = "booking/services/advance.py"
BOOKINGS = "booking/services/bookings.py"
CANCEL = "booking/services/cancel.py"
REPOSITORY = "booking/repositories/booking_moves.py"
QUESTIONS = "booking/repositories/bookings.py"
MODEL = "booking/models/booking.py"

MUTANTS = (
    Mutant(
        "release-under-a-key",
        "a hold whose answer was lost is released although a retry with its key may come",
        frozenset({"seat_kept"}),
        [
            edit(
                BOOK,
                """
                |        if key is None:
                |            self._background.spawn(
                """,
                """
                |        if key != "":
                |            self._background.spawn(
                """,
            ),
            # No bug: what is done in the background is sometimes done a little later.
            edit(
                BOOK,
                """
                |        reach("book.before_give_back")
                """,
                """
                |        await asyncio.sleep(3)
                """,
            ),
        ],
        options={"mix": {"booking→flight": {"drop_request": 45}}, "only": (), "buyers": 20},
    ),
    Mutant(
        "acknowledged-before-commit",
        "a booking is answered 201 before the transaction that records it",
        frozenset({"nothing_lost"}),
        [
            edit(
                BOOK,
                """
                |                await self._recorder.record(booking)
                """,
                """
                |                async def soon(booking=booking):
                |                    await asyncio.sleep(0.3)
                |                    await self._recorder.record(booking)
                |                self._background.spawn(soon(), name="record")
                """,
            )
        ],
        options={"only": ("kill",), "strike_every_s": 1.0},
    ),
    Mutant(
        "key-ignored",
        "a retry with the same key is a new booking",
        frozenset({"one_key"}),
        [
            edit(
                BOOK,
                """
                |            if known := await self._under_key(user_id, key, order):
                |                return known
                |            try:
                |                booking_id = derived_id(user_id, key, str(attempt))
                |                return await self._attempt(booking_id, user_id, order, key)
                """,
                """
                |            try:
                |                return await self._attempt(new_id(), user_id, order, None)
                """,
            )
        ],
        options={"mix": {"buyers→booking": {"drop_answer": 20}}, "only": ()},
    ),
    Mutant(
        "cancelled-while-paying",
        "a booking can be cancelled while its payment is under way",
        frozenset({"at_rest", "money_for_seats", "books_agree"}),
        [
            edit(
                BOOKINGS,
                """
                |        if booking.status is BookingStatus.PAYING:
                |            raise PaymentInProgress
                |        if booking.status is BookingStatus.EXPIRED:
                """,
                """
                |        if booking.status is BookingStatus.PAYING:
                |            return
                |        if booking.status is BookingStatus.EXPIRED:
                """,
            ),
            edit(
                REPOSITORY,
                """
                |        .values(status=BookingStatus.CANCELLED,
                """,
                """
                |        .values(active_payment_id=None, status=BookingStatus.CANCELLED,
                """,
            ),
        ],
        options=CALM,
    ),
    Mutant(
        "paying-unguarded",
        "paying begins by read-then-write: the row is read as payable, then simply updated",
        frozenset({"charged_once", "at_rest"}),
        [
            edit(
                REPOSITORY,
                """
                |    BookingRow.status == BookingStatus.HELD,
                |    BookingRow.payment_required_by > bindparam("now"),
                """,
                """
                |    BookingRow.payment_required_by > bindparam("now"),
                """,
            )
        ],
        options=CALM,
    ),
    Mutant(
        "expired-unguarded",
        "a booking expires by read-then-write: paid meanwhile, it expires all the same",
        frozenset({"no_way_back", "true_story", "money_for_seats"}),
        [
            edit(
                ADVANCE,
                """
                |        now = self.clock.now()
                |
                |        async def expire(tx: Tx) -> bool:
                """,
                """
                |        now = self.clock.now()
                |        import asyncio
                |        await asyncio.sleep(1)  # between the read and the write
                |
                |        async def expire(tx: Tx) -> bool:
                """,
            ),
            edit(
                REPOSITORY,
                """
                |            BookingRow.status == BookingStatus.HELD,
                |            BookingRow.payment_required_by <= now,
                |        )
                |        .values(status=BookingStatus.EXPIRED,
                """,
                """
                |        )
                |        .values(active_payment_id=None, status=BookingStatus.EXPIRED,
                """,
            ),
        ],
        options=CALM,
    ),
    Mutant(
        "expired-too-early",
        "a booking expires without a look at its deadline",
        frozenset({"kept_word"}),
        [
            edit(
                MODEL,
                """
                |            return Step.EXPIRE if booking.payment_required_by <= now else None
                """,
                """
                |            return Step.EXPIRE
                """,
            ),
            edit(
                REPOSITORY,
                """
                |            BookingRow.status == BookingStatus.HELD,
                |            BookingRow.payment_required_by <= now,
                """,
                """
                |            BookingRow.status == BookingStatus.HELD,
                """,
            ),
            edit(
                QUESTIONS,
                """
                |        .where(BookingRow.due_at <= now, BookingRow.status.in_(statuses))
                """,
                """
                |        .where(BookingRow.status.in_(statuses))
                """,
            ),
        ],
        options=CALM,
    ),
    Mutant(
        "expired-seats-kept",
        "an expired booking does not give its seats back",
        frozenset({"no_seat_stuck", "at_rest"}),
        [
            edit(
                ADVANCE,
                """
                |            await self._give_back(booking)
                """,
                """
                |            pass
                """,
            )
        ],
        options=CALM,
    ),
    Mutant(
        "refund-forgotten",
        "a paid booking is cancelled, and nobody owes the money back",
        frozenset({"money_for_seats"}),
        [
            edit(
                CANCEL,
                """
                |        owed = await _owe_refund(tx, booking, now)
                """,
                """
                |        pass
                """,
            )
        ],
        options=CALM,
    ),
)
