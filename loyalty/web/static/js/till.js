// What the till gains with JavaScript: keys, a scanner that needs no click, a camera, prices while typing, a clock. Every step
// works without it.
import { offerCamera } from "./camera.js";
import { sendOnce } from "./forms.js";
import { listenToKeys } from "./till-keys.js";
import { listenToScanner } from "./till-scanner.js";
import { followTyping } from "./till-live.js";
import { countDown } from "./till-clock.js";

document.documentElement.dataset.keys = "on";
document.querySelector("[autofocus]")?.select?.();
for (const button of document.querySelectorAll("[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => window.print());
}
sendOnce(document);
listenToKeys(document);
listenToScanner(document);
offerCamera(document);
followTyping(document.querySelector("[data-live]"), document.querySelector("#offers"));
countDown(document.querySelector("[data-seconds]"));
