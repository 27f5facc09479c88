// The member QR changes so that a photograph of it is soon worthless. Fetch the next one before the till would refuse
// this one; stop while nobody looks, and keep what is shown when the network fails.
const EVERY_MILLISECONDS = 30_000;

export function keepQrFresh(holder) {
  if (!holder) {
    return;
  }
  const status = document.querySelector("[data-qr-status]");
  let fetchedAt = Date.now();

  async function refresh() {
    if (document.hidden) {
      return;
    }
    try {
      const answer = await fetch(holder.dataset.qr, { credentials: "same-origin", cache: "no-store" });
      if (!answer.ok) {
        throw new Error(String(answer.status));
      }
      const parsed = new DOMParser().parseFromString(await answer.text(), "image/svg+xml");
      holder.replaceChildren(document.importNode(parsed.documentElement, true));
      fetchedAt = Date.now();
      holder.removeAttribute("data-stale");
      status.hidden = true;
    } catch {
      holder.setAttribute("data-stale", "");
      status.hidden = false;
    }
  }

  document.querySelector("[data-qr-refresh]")?.setAttribute("hidden", "");
  setInterval(refresh, EVERY_MILLISECONDS);
  document.addEventListener("visibilitychange", () => {
    if (Date.now() - fetchedAt > EVERY_MILLISECONDS) {
      refresh();
    }
  });
}
