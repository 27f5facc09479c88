// While the basket's amount or the points are typed, ask the server what they come to, and show its answer. Nothing is
// computed here: a price comes from the server or not at all.
const PAUSE_MILLISECONDS = 140;

export function followTyping(form, offers) {
  if (!form || !offers) {
    return;
  }
  const amount = form.querySelector("[name=amount]");
  let timer;
  let asked = 0;

  function later(show) {
    clearTimeout(timer);
    timer = setTimeout(async () => {
      const turn = ++asked;
      const query = new URLSearchParams({ amount: amount.value });
      const points = offers.querySelector("[name=points]");
      if (show === showWorth && points) {
        query.set("points", points.value);
      }
      try {
        const answer = await fetch(`${form.dataset.live}?${query}`, { credentials: "same-origin", cache: "no-store" });
        if (answer.ok && !answer.redirected && turn === asked) {
          show(offers, new DOMParser().parseFromString(await answer.text(), "text/html"));
        }
      } catch {
        // The network failed: Enter still asks the server, with a page of its own.
      }
    }, PAUSE_MILLISECONDS);
  }

  amount.addEventListener("input", () => later(showOffers));
  offers.addEventListener("input", (event) => {
    if (event.target.name === "points") {
      later(showWorth);
    }
  });
}

function showOffers(offers, page) {
  for (const field of page.querySelectorAll("[autofocus]")) {
    field.removeAttribute("autofocus"); // the clerk is still typing the amount
  }
  offers.replaceChildren(...page.body.childNodes);
}

function showWorth(offers, page) {
  const fresh = page.querySelector("[data-worth]");
  if (fresh) {
    offers.querySelector("[data-worth]")?.replaceChildren(...fresh.childNodes);
  }
}
