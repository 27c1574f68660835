// Airports are proposed while one types: a combobox after the ARIA Authoring Practices.

const WAIT_MS = 150;
let lists = 0;

class Airports {
  constructor(input) {
    this.input = input;
    this.list = document.createElement("ul");
    this.list.id = `airports-${++lists}`;
    this.list.className = "proposals";
    this.list.setAttribute("role", "listbox");
    this.list.setAttribute("aria-label", "Airports");
    this.list.hidden = true;
    input.after(this.list);
    input.autocomplete = "off";
    for (const [name, value] of Object.entries({
      role: "combobox",
      "aria-autocomplete": "list",
      "aria-expanded": "false",
      "aria-controls": this.list.id,
    })) {
      input.setAttribute(name, value);
    }
    input.addEventListener("input", () => this.typed());
    input.addEventListener("keydown", (event) => this.pressed(event));
    input.addEventListener("blur", () => this.close());
    // Before the input loses the focus.
    this.list.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      const option = event.target.closest("[role=option]");
      if (option) {
        this.take(option);
      }
    });
  }

  typed() {
    clearTimeout(this.waiting);
    const text = this.input.value.trim();
    if (text.length < 2) {
      this.close();
      return;
    }
    this.waiting = setTimeout(() => this.ask(text), WAIT_MS);
  }

  async ask(text) {
    try {
      const reply = await fetch(`/airports?q=${encodeURIComponent(text)}`);
      const found = reply.ok ? await reply.json() : [];
      if (this.input.value.trim() === text && document.activeElement === this.input) {
        this.show(found);
      }
    } catch {
      this.close(); // it can be typed without proposals
    }
  }

  show(found) {
    this.list.replaceChildren(
      ...found.map((airport, at) => {
        const option = document.createElement("li");
        option.id = `${this.list.id}-${at}`;
        option.setAttribute("role", "option");
        option.setAttribute("aria-selected", "false");
        option.dataset.value = `${airport.city} (${airport.code})`;
        const code = document.createElement("b");
        code.textContent = airport.code;
        option.append(code, ` ${airport.city} · ${airport.name}`);
        return option;
      }),
    );
    const open = found.length > 0;
    this.list.hidden = !open;
    this.input.setAttribute("aria-expanded", String(open));
    this.input.removeAttribute("aria-activedescendant");
  }

  close() {
    clearTimeout(this.waiting);
    this.show([]);
  }

  pressed(event) {
    const options = [...this.list.children];
    const at = options.findIndex((option) => option.getAttribute("aria-selected") === "true");
    if (event.key === "ArrowDown" && options.length) {
      this.mark(options, (at + 1) % options.length);
    } else if (event.key === "ArrowUp" && options.length) {
      this.mark(options, (at <= 0 ? options.length : at) - 1);
    } else if (event.key === "Enter" && at >= 0) {
      this.take(options[at]);
    } else if (event.key === "Escape" && options.length) {
      this.close();
    } else {
      return;
    }
    event.preventDefault();
  }

  mark(options, at) {
    options.forEach((option, i) => option.setAttribute("aria-selected", String(i === at)));
    this.input.setAttribute("aria-activedescendant", options[at].id);
    options[at].scrollIntoView({ block: "nearest" });
  }

  take(option) {
    this.input.value = option.dataset.value;
    this.close();
  }
}

for (const input of document.querySelectorAll("[data-airports] input[type=text]")) {
  new Airports(input);
}

// A browser that comes back to an empty form does not fill in again what is not to be completed
// automatically; the address knows it.
for (const form of document.querySelectorAll("form[role=search]")) {
  form.addEventListener("submit", () => {
    if (location.pathname === "/") {
      history.replaceState(null, "", `/?${new URLSearchParams(new FormData(form))}`);
    }
  });
}
