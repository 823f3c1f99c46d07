"use strict";
// The monitor. The server says by server-sent events that something has changed; the page then asks for its parts: at
// once when the session's state is another, else at most every five seconds, as the processors are the training's.
// A page that has lost the server says so instead of showing a state that may be over.

const ACTIVE = ["queued", "running", "pausing", "stopping", "finishing"];
const PAUSE = 5000; // ms between two requests for the same part

// Calls `work` now or, if that was done just before, after the pause: the last change is never missed.
function throttled(work) {
  let due = null;
  let began = -Infinity;
  return () => {
    if (due !== null) return;
    due = window.setTimeout(() => { due = null; began = performance.now(); work(); },
      Math.max(0, PAUSE - (performance.now() - began)));
  };
}

window.addEventListener("DOMContentLoaded", () => {
  const session = document.getElementById("monitor").dataset.session;
  const curves = document.getElementById("curves");
  const lost = document.getElementById("lost");
  const spoken = document.getElementById("spoken");
  let source = null;
  let film = null;
  const began = document.querySelector("#live [data-spoken]").dataset.spoken.split(",")[0]; // its state
  let latest = began;

  const redraw = throttled(() => {
    if (!curves.querySelector(".plot")) {
      htmx.trigger(curves, "new-curves"); // the first metrics have come: the server says which plots there are
    } else {
      window.curves.drawSession(curves, session).catch(() => window.setTimeout(redraw, 5000)); // a server that is busy
    }
  });
  const reloadNow = () => htmx.trigger("#live", "new-status");
  const reload = throttled(reloadNow);

  function look() {
    const now = document.querySelector("#live [data-spoken]").dataset;
    if (spoken.textContent !== now.spoken) spoken.textContent = now.spoken; // read out only what has changed
    if (film !== null && film !== now.film) htmx.trigger("#picture", "new-film");
    film = now.film;
    const log = document.getElementById("log");
    log.scrollTop = log.scrollHeight;
  }

  // After the last event the server ends the stream; closed first, it is not taken for a server that is lost.
  function changed(event) {
    const { state } = JSON.parse(event.detail.data);
    if (began !== state) document.querySelectorAll("main > [aria-live] .note.good").forEach((note) => note.remove()); // "Queued."
    if (source !== null && !ACTIVE.includes(state)) {
      source.close();
      source = null;
      lost.hidden = true;
      redraw();
    }
    if (state === latest) reload(); else reloadNow();
    latest = state;
  }

  document.body.addEventListener("sse:metrics", redraw);
  document.body.addEventListener("sse:status", changed);
  document.body.addEventListener("htmx:sseOpen", (event) => { source = event.detail.source; lost.hidden = true; });
  document.body.addEventListener("htmx:sseError", () => { if (source !== null) { lost.hidden = false; reload(); } });
  document.body.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target.id === "live") look();
    if (event.detail.target.id === "curves") { window.curves.forget(); if (curves.querySelector(".plot")) redraw(); }
  });
  window.setInterval(() => { if (source !== null) reload(); }, 15000); // a supervisor that fell silent sends nothing
  look();
  if (curves.querySelector(".plot")) redraw();
});
