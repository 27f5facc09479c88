// How long points stay on hold. The server said how many seconds were left when it drew the page, so a wrong clock on
// this machine does not matter; when they are over, the page is asked for again and says so.
export function countDown(clock) {
  if (!clock) {
    return;
  }
  const ends = performance.now() + Number(clock.dataset.seconds) * 1000;
  clock.hidden = false;

  function tick() {
    const left = Math.max(0, Math.ceil((ends - performance.now()) / 1000));
    clock.textContent = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
    clock.toggleAttribute("data-short", left <= 60);
    if (left === 0) {
      window.location.reload();
    } else {
      setTimeout(tick, 500);
    }
  }
  tick();
}
