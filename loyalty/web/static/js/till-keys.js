// Keys beside Tab and Enter. Escape goes back, or to a new customer; a control with data-key is pressed by that key;
// F2 opens the receipt's field. Letters count only where nothing is being typed.
const TYPING = "input, select, textarea";

export function listenToKeys(page) {
  page.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) {
      return;
    }
    if (event.key === "Escape") {
      event.preventDefault();
      const back = page.querySelector("[data-escape]");
      if (back) {
        back.click();
      } else {
        window.location.assign("/till");
      }
    } else if (event.key === "F2" && openReceipt(page)) {
      event.preventDefault();
    } else if (event.key.length > 1 || !event.target.matches(TYPING)) {
      const control = page.querySelector(`[data-key="${CSS.escape(event.key.length > 1 ? event.key : event.key.toLowerCase())}"]`);
      if (control) {
        event.preventDefault();
        control.click();
      }
    }
  });
}

function openReceipt(page) {
  const field = page.querySelector(".fold [name=receipt]");
  if (!field) {
    return false;
  }
  field.closest("details").open = true;
  field.focus();
  field.select();
  return true;
}
