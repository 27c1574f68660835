// Where a key leads from a seat: arrows by letter and by row, Home and End to the ends of the row
// (with Ctrl: of the cabin), PageUp and PageDown by ten rows.

const ROWS_A_PAGE = 10;

const rowOf = (seat) => parseInt(seat.dataset.seat, 10);
const letterOf = (seat) => seat.dataset.seat.slice(-1);

// Whose turn it is and what was said may lie over the map's edges: no focus hides under them.
const COVERED_PX = 120;

export function focusOn(seat) {
  seat.focus({ preventScroll: true });
  const { top, bottom } = seat.getBoundingClientRect();
  if (top < COVERED_PX || bottom > innerHeight - COVERED_PX) seat.scrollIntoView({ block: "center" });
}

// The seat to go to, or null; `seats` are in order, row by row from the front, left to right.
export function moveFocus(seats, from, { key, ctrlKey }) {
  const row = seats.filter((seat) => rowOf(seat) === rowOf(from));
  const column = seats.filter((seat) => letterOf(seat) === letterOf(from));
  const beside = (step) => row[row.indexOf(from) + step];
  const along = (step) => column[column.indexOf(from) + step];
  const pageTo = (step) => {
    const wanted = rowOf(from) + step * ROWS_A_PAGE;
    const passed = column.filter((seat) => (rowOf(seat) - wanted) * step >= 0);
    const nearest = step > 0 ? passed[0] : passed.at(-1);
    return nearest ?? (step > 0 ? column.at(-1) : column[0]);
  };
  const moves = {
    ArrowLeft: () => beside(-1),
    ArrowRight: () => beside(1),
    ArrowUp: () => along(-1),
    ArrowDown: () => along(1),
    Home: () => (ctrlKey ? seats : row)[0],
    End: () => (ctrlKey ? seats : row).at(-1),
    PageUp: () => pageTo(-1),
    PageDown: () => pageTo(1),
  };
  return Object.hasOwn(moves, key) ? (moves[key]() ?? from) : null;
}
