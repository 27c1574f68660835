// Hears which seats are taken and freed while somebody looks. A browser opens few connections to a
// host, and a stream keeps one: so it is open only while its map is on the screen.

const AGAIN_FIRST_MS = 5_000;
const AGAIN_MAX_MS = 120_000;

export function listen(root, tell) {
  let source = null;
  let again = 0;
  let pause = AGAIN_FIRST_MS;
  let isOnScreen = false;
  let isLeaving = false;

  const stop = () => {
    clearTimeout(again);
    source?.close();
    source = null;
  };

  const start = () => {
    if (source) return;
    clearTimeout(again);
    source = new EventSource(root.dataset.live);
    source.addEventListener("seats", (event) => {
      pause = AGAIN_FIRST_MS;
      tell(JSON.parse(event.data));
    });
    source.addEventListener("error", () => {
      // By itself it comes back when a stream ends, but not when it is refused.
      if (source?.readyState !== EventSource.CLOSED) return;
      stop();
      again = setTimeout(decide, pause * (0.5 + Math.random() / 2));
      pause = Math.min(pause * 2, AGAIN_MAX_MS);
    });
  };

  const decide = () => {
    const isSeen = isOnScreen && document.visibilityState === "visible";
    if (isSeen && !isLeaving) start();
    else stop();
  };

  new IntersectionObserver((entries) => {
    isOnScreen = entries.at(-1).isIntersecting;
    decide();
  }).observe(root);
  document.addEventListener("visibilitychange", decide);
  // What is taken from now on is taken by this very form; also for who comes back to the page.
  root.closest("form")?.addEventListener("submit", () => {
    isLeaving = true;
    decide();
  });
  window.addEventListener("pagehide", stop);
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) decide();
  });
}
