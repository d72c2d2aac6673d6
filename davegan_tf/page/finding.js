"use strict";
// The wanted volume fraction: the search runs a little in every frame, and what it has found so far is shown.

/** @param {boolean} near from the structure shown, or from anywhere */
function startSearch(near) {
  const fraction = at("fraction").valueAsNumber;
  if (!(fraction >= 0 && fraction <= 1)) {
    at("found").textContent = "Give a number from 0 to 1.";
    return;
  }
  const start = near ? state.z : undefined;
  state.search = new FractionSearch(page.thumbnail, numbers, { fraction, phase: state.phase, start });
  at("find-button").textContent = "Stop";
}

/** A frame's share of the search. */
function searchOn(began) {
  const { search } = state;
  const before = search.error;
  while (!search.done && performance.now() - began < FRAME) search.step();
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  if (search.done || (search.error < before && !still)) {
    showBest();
  }
  page.traversal.next = STEPS; // once, at the end
  at("found").textContent = `Searching: φ = ${search.found.toFixed(4)} …`;
  if (search.done) stopSearch();
}

function showBest() {
  state.z.set(state.search.best);
  changed();
}

function stopSearch() {
  const { search } = state;
  if (!search) return;
  state.search = null;
  at("find-button").textContent = "Find";
  page.traversal.refresh();
  const numberOf = search.tried === 1 ? "1 structure was" : `${search.tried} structures were`;
  const reached = search.error <= search.tolerance;
  const already = reached && search.best.every((value, i) => value === page.undo.current[i]);
  const how = already ? "the structure shown has it already" : `${numberOf} tried`;
  let text = `φ = ${search.found.toFixed(4)}, wanted ${search.fraction}; ${how}.`;
  if (!reached) {
    const [low, high] = model.samples.phases[state.phase].range.map((value) => value.toFixed(3));
    text += ` This is the nearest; of ${model.samples.count} structures of this model the least had ${low}, the largest ${high}.`;
  }
  at("found").textContent = text;
  commit("Structure found");
  say(text);
}

/** The slider reaches a little beyond what the model usually makes. */
function wireFraction() {
  const { fraction, range } = model.samples.phases[state.phase];
  const slider = at("fraction-slider");
  const margin = Math.max(0.01, 0.15 * (range[1] - range[0]));
  slider.min = Math.max(0, range[0] - margin).toFixed(3);
  slider.max = Math.min(1, range[1] + margin).toFixed(3);
  slider.value = at("fraction").value = fraction[0].toFixed(3);
  at("fraction-of").textContent = `phase ${state.phase}`;
}

function wireFinding() {
  at("find").addEventListener("submit", (event) => {
    event.preventDefault();
    if (state.search) {
      showBest(); // without motion it is not shown yet
      stopSearch();
    } else startSearch(at("near").checked);
  });
  at("fraction-slider").addEventListener("input", () => {
    at("fraction").value = at("fraction-slider").value;
    // From near by, the structure follows the slider.
    if (at("near").checked) startSearch(true);
  });
  at("fraction").addEventListener("input", () => (at("fraction-slider").value = at("fraction").value));
}
