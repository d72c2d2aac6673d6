"use strict";
// A slider for every number of the latent vector.

const REACH = 4; // of a slider, σ
const SHOWN = 16; // sliders, the others only when asked for

function makeSliders() {
  const order = model.activity.map((_, dimension) => dimension);
  order.sort((a, b) => model.activity[b] - model.activity[a] || a - b);
  page.sliders = [];
  order.forEach((dimension, place) => {
    page.sliders[dimension] = makeSlider(dimension);
    at(place < SHOWN ? "sliders" : "more-sliders").append(page.sliders[dimension].row);
    at("dimension").append(element("option", { value: dimension, textContent: `z ${dimension}` }));
  });
  at("more").hidden = order.length <= SHOWN;
  at("more-title").textContent = `${order.length - SHOWN} more`;
  at("dimension").addEventListener("change", () => {
    choose(Number(at("dimension").value));
    remember();
  });
  choose(order[0]);
}

function makeSlider(dimension) {
  const id = `z${dimension}`;
  const activity = model.activity[dimension];
  const bar = element("i");
  bar.style.width = `${Math.max(3, (100 * activity) / Math.max(...model.activity, 1e-9))}%`;
  const label = element("label", { htmlFor: id, title: `${activity.toFixed(2)} nats` }, `z ${dimension}`, bar);
  const input = element("input", { type: "range", id, min: -REACH, max: REACH, step: 0.01 });
  const output = element("output", { htmlFor: id });
  input.addEventListener("focus", () => choose(dimension));
  input.addEventListener("input", () => {
    stopSearch();
    choose(dimension);
    state.z[dimension] = input.valueAsNumber;
    output.textContent = written(input.valueAsNumber, 2);
    changed(dimension);
  });
  input.addEventListener("change", () => commit(`z ${dimension}`));
  return { input, output, row: element("div", { className: "slider" }, label, input, output) };
}

/** Sliders say what z is; beyond their reach they stay at the end, and the number beside tells. */
function syncSliders() {
  page.sliders.forEach(({ input, output }, dimension) => {
    input.value = state.z[dimension];
    output.textContent = written(state.z[dimension], 2);
  });
}

/** The dimension that the strip varies. */
function choose(dimension) {
  const { row } = page.sliders[dimension];
  if (row.classList.contains("chosen")) return;
  page.sliders[state.dimension].row.classList.remove("chosen");
  row.classList.add("chosen");
  state.dimension = dimension;
  at("dimension").value = dimension;
  page.traversal.refresh();
}
