// The seat map beside the lists. The lists are what the form sends; the map sets them and shows
// what they say, in both directions. Without this module the lists work alone.

import { focusOn, moveFocus } from "./seat_keys.js";
import { offer, withdraw } from "./seat_lists.js";
import { listen } from "./seat_live.js";

const SVG = "http://www.w3.org/2000/svg";

class SeatPicker {
  constructor(root) {
    this.root = root;
    this.form = root.closest("form");
    this.price = root.dataset.price;
    this.lists = [...root.querySelectorAll("select[name=seat]")];
    this.seats = new Map(
      [...root.querySelectorAll("[data-seat]")].map((seat) => [seat.dataset.seat, seat]),
    );
    // Of each its number and what it is, as it was spoken first, without price and state.
    this.words = new Map(
      [...this.seats].map(([number, seat]) => [
        number,
        seat.getAttribute("aria-label").split(", ").slice(0, -1).filter((it) => it !== this.price),
      ]),
    );
    this.turns = this.makeTurns();
    this.turn = 0;
    this.takeOver();
    this.show();
    this.nextTurn();
  }

  takeOver() {
    const map = this.root.querySelector("[data-map]");
    map.inert = false;
    map.addEventListener("click", (event) => {
      const seat = event.target.closest("[data-seat]");
      if (seat) {
        this.enter(seat);
        this.press(seat);
      }
    });
    map.addEventListener("keydown", (event) => this.key(event));
    this.lists.forEach((list, place) =>
      list.addEventListener("change", () => this.listed(place)),
    );
    this.form?.addEventListener("input", (event) => {
      if (event.target.name === "given_name") this.show();
    });
  }

  // --- whose turn it is -------------------------------------------------------------------------

  makeTurns() {
    const fieldset = this.root.querySelector("[data-turns]");
    const turns = this.lists.map((_, place) => {
      const radio = document.createElement("input");
      radio.type = "radio";
      radio.name = `turn-${this.root.dataset.segment}`;
      radio.setAttribute("form", ""); // of no form: it is not sent
      radio.addEventListener("change", () => (this.turn = place));
      const label = document.createElement("label");
      label.append(radio, document.createElement("span"));
      fieldset.append(label);
      return label;
    });
    fieldset.hidden = false;
    return turns;
  }

  takeTurn(place) {
    this.turn = place;
    this.turns[place].firstChild.checked = true;
  }

  // The next passenger without a seat, from whoever's turn it is; when all have one, they stay.
  nextTurn() {
    const places = this.lists.map((_, step) => (this.turn + step) % this.lists.length);
    this.takeTurn(places.find((place) => !this.lists[place].value) ?? this.turn);
  }

  name(place) {
    const inputs = this.form?.querySelectorAll("[name=given_name]") ?? [];
    return inputs[place]?.value.trim() || `passenger ${place + 1}`;
  }

  owner(number) {
    return this.lists.findIndex((list) => list.value === number);
  }

  // --- choosing ---------------------------------------------------------------------------------

  key(event) {
    const seat = event.target.closest("[data-seat]");
    if (!seat || event.altKey || event.metaKey) return;
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      if (!event.repeat) this.press(seat);
      return;
    }
    const next = moveFocus([...this.seats.values()], seat, event);
    if (!next) return;
    event.preventDefault();
    this.enter(next);
    focusOn(next);
  }

  // One seat at a time is where Tab comes to.
  enter(seat) {
    this.seats.forEach((each) => each.setAttribute("tabindex", each === seat ? 0 : -1));
  }

  press(seat) {
    const number = seat.dataset.seat;
    const owner = this.owner(number);
    if (owner >= 0) this.giveBack(owner);
    else if (seat.matches(".available")) this.choose(this.turn, number);
    else this.say(`${number} cannot be had.`);
  }

  choose(place, number) {
    this.lists[place].value = number;
    this.takeTurn(place);
    this.nextTurn();
    this.show();
    this.say(`${this.chosen(place)}${this.whoIsNext()}`);
  }

  giveBack(place) {
    const number = this.lists[place].value;
    this.lists[place].value = "";
    this.takeTurn(place);
    this.show();
    this.say(`${number} given back. Choosing for ${this.name(place)}.`);
  }

  // A list was changed by hand: a seat that another passenger had changes hands.
  listed(place) {
    const number = this.lists[place].value;
    this.lists.forEach((list, other) => {
      if (number && other !== place && list.value === number) list.value = "";
    });
    this.takeTurn(place);
    this.nextTurn();
    this.show();
    this.say(number ? this.chosen(place) : `We choose a seat for ${this.name(place)}.`);
  }

  chosen(place) {
    const price = this.price ? `, ${this.price}` : "";
    return `${this.lists[place].value} chosen for ${this.name(place)}${price}.`;
  }

  whoIsNext() {
    const isOpen = !this.lists[this.turn].value;
    return isOpen ? ` Now choosing for ${this.name(this.turn)}.` : "";
  }

  // --- what others do ---------------------------------------------------------------------------

  changed({ taken, free }) {
    const lost = taken.map((number) => this.take(number)).filter(Boolean);
    free.forEach((number) => this.free(number));
    this.show();
    if (lost.length) this.say(`${lost.join(" ")} Please choose another seat.`);
  }

  // Answers what has to be said about it, if it was chosen here.
  take(number) {
    const seat = this.seats.get(number);
    if (!seat || seat.matches(".taken, .blocked")) return "";
    const owner = this.owner(number);
    seat.setAttribute("class", "seat taken");
    this.lists.forEach((list) => withdraw(list, number));
    if (owner < 0) return "";
    this.lists[owner].value = "";
    this.takeTurn(owner);
    return `${number}, chosen for ${this.name(owner)}, was taken by somebody else just now.`;
  }

  free(number) {
    const seat = this.seats.get(number);
    if (!seat?.matches(".taken")) return;
    seat.setAttribute("class", "seat available");
    const words = this.words.get(number);
    this.lists.forEach((list) => offer(list, number, words, [...this.seats.keys()]));
  }

  // --- what is seen and spoken ------------------------------------------------------------------

  show() {
    for (const [number, seat] of this.seats) this.showSeat(number, seat);
    this.turns.forEach((label, place) => {
      const name = this.name(place);
      const number = this.lists[place].value;
      const who = name.startsWith("passenger ") ? `Passenger ${place + 1}` : `${name} (${place + 1})`;
      label.lastChild.textContent = number ? `${who}: ${number}` : who;
    });
  }

  showSeat(number, seat) {
    const owner = this.owner(number);
    if (seat.matches(".available, .chosen")) {
      seat.setAttribute("class", owner < 0 ? "seat available" : "seat chosen");
      seat.setAttribute("aria-pressed", owner >= 0);
      seat.removeAttribute("aria-disabled");
      const state = owner < 0 ? "free" : `chosen for ${this.name(owner)}`;
      this.label(seat, [...this.words.get(number), this.price, state]);
    } else if (seat.matches(".taken")) {
      seat.removeAttribute("aria-pressed");
      seat.setAttribute("aria-disabled", true);
      this.label(seat, [...this.words.get(number), "taken"]);
    }
    this.write(seat, owner < 0 ? "" : owner + 1);
  }

  label(seat, parts) {
    const said = parts.filter(Boolean).join(", ");
    if (seat.getAttribute("aria-label") !== said) seat.setAttribute("aria-label", said);
  }

  write(seat, text) {
    let written = seat.querySelector("text");
    if (!text) {
      written?.remove();
      return;
    }
    if (!written) {
      const [x, y, width] = ["x", "y", "width"].map((name) =>
        Number(seat.querySelector("rect").getAttribute(name)),
      );
      written = document.createElementNS(SVG, "text");
      written.setAttribute("x", x + width / 2);
      written.setAttribute("y", y + 20);
      seat.append(written);
    }
    written.textContent = text;
  }

  say(text) {
    this.root.querySelector("[data-said]").textContent = text;
  }
}

for (const root of document.querySelectorAll("[data-seat-picker]")) {
  const picker = new SeatPicker(root);
  // A browser that comes back to this page puts into the lists what was chosen before.
  window.addEventListener("pageshow", () => picker.show());
  if (root.dataset.live) listen(root, (news) => picker.changed(news));
}
