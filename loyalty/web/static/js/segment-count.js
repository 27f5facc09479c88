// How many members the sentences find, while they are being changed. Without this the page says it after each edit.
const form = document.querySelector("form[data-count]");
const counted = form.querySelector("[data-counted]");
const said = form.querySelector("[data-said]");
let waiting;
let asking;

async function count() {
  asking?.abort();
  asking = new AbortController();
  counted.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(form.dataset.count, {
      method: "POST",
      body: new URLSearchParams(new FormData(form)),
      signal: asking.signal,
    });
    if (answer.ok) {
      const words = await answer.json();
      counted.textContent = words.count;
      said.textContent = words.said;
    }
    counted.removeAttribute("aria-busy");
  } catch (error) {
    if (error.name !== "AbortError") {
      counted.removeAttribute("aria-busy");
    }
  }
}

form.addEventListener("input", (event) => {
  event.target.closest(".sentence")?.querySelector(".field__error")?.remove();
  if (!event.target.name.endsWith(".new") && event.target.name !== "note") {
    clearTimeout(waiting);
    waiting = setTimeout(count, 400);
  }
});
