// What was typed into a form is still there when its page is loaded again. A browser does that by
// itself only for whoever comes back. It is kept where the browser keeps its own: in the history.

const NEVER = ["hidden", "password", "radio"];

function fields(form) {
  return [...form.elements].filter((it) => it.name && !NEVER.includes(it.type));
}

function put(field, text) {
  const isList = field instanceof HTMLSelectElement;
  if (!isList || [...field.options].some((it) => it.value === text && !it.disabled)) {
    field.value = text;
  }
}

for (const form of document.querySelectorAll("form[data-typed]")) {
  const keep = () => {
    history.replaceState({ typed: fields(form).map((field) => field.value) }, "");
  };
  const typed = history.state?.typed ?? [];
  fields(form).forEach((field, at) => typed[at] && put(field, typed[at]));
  // From here on this place in the history is a page to look at: if a form that was refused led
  // here, loading it again does not ask whether to send that form once more.
  keep();
  // After whatever else listens to these: the seat map sets its lists by itself.
  ["input", "change", "click", "keyup"].forEach((it) => document.addEventListener(it, keep));
}
