"use strict";
// The monitor: curves are fetched again when the server says that there are metrics, at most every two seconds, and a
// page that has lost the server says so instead of showing a state that may be over.

window.addEventListener("DOMContentLoaded", () => {
  const monitor = document.getElementById("monitor");
  const session = monitor.dataset.session;
  const lost = document.getElementById("lost");
  const spoken = document.getElementById("spoken");
  let film = null;
  let due = null;
  let began = 0;

  async function redraw() {
    due = null;
    began = Date.now();
    const root = document.getElementById("curves");
    if (!root.querySelector(".plot")) {
      htmx.trigger(root, "new-curves"); // the first metrics have come: the server says which plots there are
      return;
    }
    try { await window.curves.drawSession(root, session); } catch (error) { console.error(error); }
  }

  function soon() {
    if (due === null) due = window.setTimeout(redraw, Math.max(0, 2000 - (Date.now() - began)));
  }

  function look() {
    const now = document.querySelector("#live [data-spoken]").dataset;
    if (spoken.textContent !== now.spoken) spoken.textContent = now.spoken; // read out only what has changed
    if (film !== null && film !== now.film) htmx.trigger("#picture", "new-film");
    film = now.film;
    const log = document.getElementById("log");
    log.scrollTop = log.scrollHeight;
  }

  document.body.addEventListener("sse:metrics", soon);
  document.body.addEventListener("htmx:sseError", () => { lost.hidden = false; });
  document.body.addEventListener("htmx:sseOpen", () => { lost.hidden = true; });
  document.body.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target.id === "live") look();
    if (event.detail.target.id === "curves") { window.curves.forget(); if (event.detail.target.querySelector(".plot")) soon(); }
  });
  look();
  if (document.querySelector("#curves .plot")) redraw();
});
