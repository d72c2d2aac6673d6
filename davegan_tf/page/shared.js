"use strict";
// What the parts of the page share: the model, the state, and small helpers.

const model = JSON.parse(document.getElementById("content").textContent);
const numbers = new NormalNumbers(crypto.getRandomValues(new Uint32Array(1))[0]);
const FRAME = 10; // milliseconds of a frame that are ours

const state = {
  z: new Float32Array(model.latent),
  dimension: 0, // which the strip varies
  phase: model.phases === 2 ? 1 : 0, // whose φ and S2 are looked at
  a: null, // the two pinned latent vectors
  b: null,
  dirty: true, // to be drawn anew in the next frame
  search: null,
};

/** Networks, pictures, chart and strips, made by start(). */
const page = { ownCurve: null, strips: [] };

function at(id) {
  return document.getElementById(id);
}

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

/** A number with a minus sign, not a hyphen, and none before 0. */
function written(value, digits) {
  return value
    .toFixed(digits)
    .replace(/^-(0\.?0*)$/, "$1")
    .replace("-", "−");
}

/** Tell what is wrong; an empty text takes it back. */
function alertUser(where, text) {
  at(where).textContent = text;
  at(where).hidden = !text;
}

let saying;

/** Tell what happened: at once to the eye, to the ear after a moment's rest. */
function say(text) {
  at("said").textContent = text;
  clearTimeout(saying);
  saying = setTimeout(() => (at("status").textContent = text), 400);
}
