// What the console gains with JavaScript: on a phone the section one is in is in view; a form is sent once. A file that
// is downloaded leaves its page in place, so its form may be sent again.
import { offerCamera } from "./camera.js";
import { sendOnce } from "./forms.js";

for (const link of document.querySelectorAll(".sections [aria-current]")) {
  link.scrollIntoView({ inline: "center", block: "nearest" });
}
sendOnce(document);
offerCamera(document);
document.addEventListener("submit", (event) => {
  if (/\.(csv|pdf|zip)$/.test(event.target.action)) {
    setTimeout(() => {
      delete event.target.dataset.sent;
      event.target.querySelector("[aria-busy]")?.removeAttribute("aria-busy");
    }, 1500);
  }
});
