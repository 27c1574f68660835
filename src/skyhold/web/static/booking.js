// The countdown of a booking that is held, and pages that wait for something.

const LOOK_AGAIN_MS = 2500;
const PAYING = /\/pay$/;

// After a payment that was refused the address is its form's. Looked at again, the page is the
// booking's, and the browser does not ask whether to send the form once more.
if (PAYING.test(location.pathname)) {
  history.replaceState(null, "", location.pathname.replace(PAYING, ""));
}

function countDown(place) {
  const endsAt = performance.now() + 1000 * Number(place.dataset.secondsLeft);
  const tick = () => {
    const left = Math.max(0, Math.round((endsAt - performance.now()) / 1000));
    place.textContent = `${Math.floor(left / 60)} min ${String(left % 60).padStart(2, "0")} s left`;
    place.classList.toggle("soon", left < 60);
    if (left > 0) {
      setTimeout(tick, 250);
    } else {
      // A moment later, so that the server's clock has passed it too.
      setTimeout(() => location.replace(location.pathname), 1500);
    }
  };
  tick();
}

document.querySelectorAll("[data-seconds-left]").forEach(countDown);

// What is on its way is looked at again. Only the page's own address: no form is sent twice.
if (document.querySelector("[data-look-again]")) {
  setTimeout(() => location.replace(location.pathname), LOOK_AGAIN_MS);
}

// A form that acts is sent once, however often its button is pressed.
for (const form of document.querySelectorAll("form[data-once]")) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) {
      event.preventDefault();
    }
    form.dataset.sent = "yes";
    form.querySelector("button").setAttribute("aria-disabled", "true");
  });
}
// Back from another page, a browser may show this one as it was left.
addEventListener("pageshow", (event) => {
  if (event.persisted) {
    location.reload();
  }
});
