// A USB scanner is a keyboard that types a code very fast and ends with Enter. Scanned where nothing is being typed, a
// code goes to the page's own field. A member code, which no other field expects, brings the next customer from
// wherever the clerk is, and whatever it typed into a field on its way is taken out again.
const FASTEST_HAND_MILLISECONDS = 35;
const SHORTEST_CODE = 6;
const MEMBER_CODE = /M[0-9A-Z]{39}$/i;
const MEMBER_CODE_LENGTH = 40;
const TYPING = "input, select, textarea";

export function listenToScanner(page) {
  let code = "";
  let last = 0;
  // All that came since the last Enter into one field, however fast: nobody types forty characters by hand, so a member
  // code is known by its shape alone, also where a busy machine hands its letters over slowly.
  let typed = "";
  let field = null;
  let before = "";

  page.addEventListener(
    "keydown",
    (event) => {
      const now = event.timeStamp;
      const fast = now - last < FASTEST_HAND_MILLISECONDS;
      last = now;
      if (event.target !== field) {
        typed = "";
        field = event.target;
      }
      if (event.key === "Enter") {
        const member = MEMBER_CODE.exec(typed)?.[0];
        const scanned = member ?? (fast && code.length >= SHORTEST_CODE ? code : "");
        const left = before + typed.slice(0, -MEMBER_CODE_LENGTH);
        if (scanned && deliver(page, scanned, event.target, left)) {
          event.preventDefault();
          event.stopPropagation();
        }
        code = "";
        typed = "";
      } else if (event.key.length === 1 && !event.ctrlKey && !event.metaKey && !event.altKey) {
        if (!fast) {
          code = "";
        }
        if (!typed) {
          before = event.target.value ?? "";
        }
        code += event.key;
        typed += event.key;
        if (fast && !event.target.matches(TYPING)) {
          event.stopPropagation(); // letters of a code are not the page's keys
        }
      }
    },
    true,
  );
}

function deliver(page, code, target, before) {
  const own = page.querySelector("[data-scan] input[name=who]");
  if (target === own) {
    return false; // it was typed where it belongs; Enter sends it
  }
  if (MEMBER_CODE.test(code)) {
    if (target.matches(TYPING)) {
      target.value = before;
    }
    bringMember(page, own, code);
    return true;
  }
  const field = page.querySelector("main form input:not([type=hidden])");
  if (target.matches(TYPING) || !field) {
    return false;
  }
  field.value = code;
  field.form.requestSubmit();
  return true;
}

function bringMember(page, own, code) {
  if (own) {
    own.value = code;
    own.form.requestSubmit();
    return;
  }
  // Every page of the till has a form that carries the token which a POST needs: signing out, at least.
  const token = page.querySelector("input[name=_csrf_token]");
  const form = page.createElement("form");
  form.method = "post";
  form.action = "/till/find";
  for (const [name, value] of [["who", code], ["_csrf_token", token.value]]) {
    const input = page.createElement("input");
    input.type = "hidden";
    input.name = name;
    input.value = value;
    form.append(input);
  }
  page.body.append(form);
  form.requestSubmit();
}
