// Reads a code with the camera into a field and sends the field's form. The browser reads it where it can
// (BarcodeDetector); elsewhere a frame goes to the server a few times a second, and nothing is kept of it there.
const PAUSE_MILLISECONDS = 300;
const SLOW_MILLISECONDS = 15000;
const WIDEST = 960;
const FORMATS = ["qr_code", "data_matrix", "code_128", "ean_13"];

export function offerCamera(page) {
  if (!navigator.mediaDevices?.getUserMedia) {
    return; // not over HTTPS, or no such browser: the field can still be typed into
  }
  for (const holder of page.querySelectorAll("[data-scan-into]")) {
    holder.hidden = false;
    holder.querySelector("[data-camera-open]").addEventListener("click", () => look(holder));
  }
}

async function look(holder) {
  const dialog = holder.querySelector("dialog");
  const close = dialog.querySelector("[data-camera-close]");
  const ended = new AbortController();
  const say = (what) => {
    dialog.querySelector(".camera__say").textContent = holder.getAttribute(`data-say-${what}`);
  };
  // Keys are the dialog's while it is open: Escape closes it and does not leave the page.
  dialog.addEventListener("keydown", (event) => event.stopPropagation(), { signal: ended.signal });
  dialog.addEventListener("close", () => ended.abort(), { signal: ended.signal });
  close.addEventListener("click", () => dialog.close(), { signal: ended.signal });
  const video = dialog.querySelector("video");
  const light = dialog.querySelector("[data-camera-light]");
  video.hidden = light.hidden = true;
  say("starting");
  dialog.showModal();
  close.focus();
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({
      video: { facingMode: "environment", width: { ideal: 1280 }, height: { ideal: 720 } },
    });
  } catch (error) {
    say({ NotAllowedError: "denied", SecurityError: "denied", NotReadableError: "busy" }[error.name] ?? "missing");
    return;
  }
  const stop = () => stream.getTracks().forEach((track) => track.stop());
  if (ended.signal.aborted) {
    stop();
    return;
  }
  ended.signal.addEventListener("abort", stop);
  offerLight(light, stream, ended.signal);
  video.hidden = false;
  video.srcObject = stream;
  try {
    await video.play();
  } catch {
    return; // closed meanwhile
  }
  say("looking");
  const code = await firstCode(video, holder, say, ended.signal);
  if (code !== null) {
    dialog.close();
    enter(holder, code);
  }
}

function offerLight(light, stream, signal) {
  const [track] = stream.getVideoTracks();
  light.hidden = !track.getCapabilities?.().torch;
  light.setAttribute("aria-pressed", "false");
  light.addEventListener(
    "click",
    async () => {
      const on = light.getAttribute("aria-pressed") !== "true";
      try {
        await track.applyConstraints({ advanced: [{ torch: on }] });
        light.setAttribute("aria-pressed", String(on));
      } catch {
        light.hidden = true; // said to have a light, and has none
      }
    },
    { signal },
  );
}

async function firstCode(video, holder, say, signal) {
  const detect = await detector();
  const canvas = document.createElement("canvas");
  while (!signal.aborted) {
    let wait = PAUSE_MILLISECONDS;
    if (video.videoWidth) {
      const [code, trouble] = detect ? await detect(video) : await askServer(video, canvas, holder, signal);
      if (code) {
        return signal.aborted ? null : code;
      }
      if (!signal.aborted) {
        say(trouble ?? "looking");
      }
      if (trouble === "signed-out") {
        return null;
      }
      if (trouble) {
        wait = trouble === "slow" ? SLOW_MILLISECONDS : 5 * PAUSE_MILLISECONDS;
      }
    }
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
  return null;
}

async function detector() {
  try {
    const known = await window.BarcodeDetector.getSupportedFormats();
    const formats = FORMATS.filter((format) => known.includes(format));
    if (!formats.includes("qr_code")) {
      return null;
    }
    const reader = new window.BarcodeDetector({ formats });
    return async (video) => {
      try {
        return [(await reader.detect(video))[0]?.rawValue, null];
      } catch {
        return [null, "failed"];
      }
    };
  } catch {
    return null; // there is none
  }
}

async function askServer(video, canvas, holder, signal) {
  const scale = Math.min(1, WIDEST / video.videoWidth);
  canvas.width = Math.round(video.videoWidth * scale);
  canvas.height = Math.round(video.videoHeight * scale);
  canvas.getContext("2d").drawImage(video, 0, 0, canvas.width, canvas.height);
  const frame = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.8));
  try {
    const answer = await fetch(holder.dataset.read, {
      method: "POST",
      credentials: "same-origin",
      headers: {
        "content-type": "image/jpeg",
        "x-csrftoken": document.querySelector("input[name=_csrf_token]").value,
      },
      body: frame,
      signal,
    });
    if (answer.ok) {
      return [(await answer.json()).codes[0], null];
    }
    return [null, { 401: "signed-out", 403: "signed-out", 429: "slow" }[answer.status] ?? "failed"];
  } catch {
    return [null, "failed"];
  }
}

function enter(holder, code) {
  const field = document.getElementById(holder.dataset.scanInto);
  field.value = code;
  field.dispatchEvent(new Event("input", { bubbles: true }));
  field.form.requestSubmit();
}
