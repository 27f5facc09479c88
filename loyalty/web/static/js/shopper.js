// What a shopper's page gains with JavaScript; without it everything works, with a reload here and there.
import { keepQrFresh } from "./member-qr.js";
import { sendOnce } from "./forms.js";

sendOnce(document);
keepQrFresh(document.querySelector("[data-qr]"));
