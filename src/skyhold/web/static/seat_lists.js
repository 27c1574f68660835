// The lists of seats: what can be had no more, and what can be had again.

const find = (all, test) => [...all].find(test);
const optionOf = (list, number) => find(list.options, (option) => option.value === number);

export function withdraw(list, number) {
  const option = optionOf(list, number);
  if (option) option.disabled = true;
}

// `words` say what the seat is, its number first; `order` has all seats from the front.
export function offer(list, number, words, order) {
  const known = optionOf(list, number);
  if (known) known.disabled = false;
  else insert(list, number, words, order);
}

// A seat that was taken when the page was made has no place in the list yet.
function insert(list, number, words, order) {
  const isBehind = (option) =>
    option.value && order.indexOf(option.value) > order.indexOf(number);
  const next = find(list.options, isBehind);
  const option = new Option(words.join(", "), number);
  const row = `Row ${parseInt(number, 10)}${words.includes("exit row") ? ", exit row" : ""}`;
  const group = find(list.querySelectorAll("optgroup"), (each) => each.label === row);
  if (group) {
    group.insertBefore(option, next?.parentElement === group ? next : null);
    return;
  }
  const fresh = document.createElement("optgroup");
  fresh.label = row;
  fresh.append(option);
  list.insertBefore(fresh, next?.parentElement ?? null);
}
