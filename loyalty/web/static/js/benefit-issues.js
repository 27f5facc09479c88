// How far an issue is, while it is under way. Without this the page says it whenever it is loaded.
const place = document.querySelector("[data-issues]");

async function look() {
  try {
    const answer = await fetch(place.dataset.issues);
    if (answer.ok && !place.querySelector("details[open]")) {
      place.innerHTML = await answer.text();
    }
  } catch {
    // The network is away; the next look may find it.
  }
  wait();
}

function wait() {
  if (place?.querySelector("[data-running=yes]")) {
    setTimeout(look, 1500);
  }
}

wait();
