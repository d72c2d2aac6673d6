"use strict";
// Structures as pictures: the large one, and strips of small ones.

const STEPS = 7; // pictures of a strip
const LIMIT = 3; // of a traversal, σ

/** A canvas as large as the model's images. */
class Picture {
  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    canvas.width = canvas.height = model.side;
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.pixels = this.context.createImageData(model.side, model.side);
  }

  labels(labels) {
    drawLabels(this.pixels, labels, model.phases);
    this.context.putImageData(this.pixels, 0, 0);
  }

  /** What a generator has made: labels, or probabilities where the user wants them. */
  generated({ labels, probabilities }) {
    if (at("probabilities").checked) drawProbabilities(this.pixels, probabilities, model.phases);
    else drawLabels(this.pixels, labels, model.phases);
    this.context.putImageData(this.pixels, 0, 0);
  }
}

/** Pictures side by side, drawn in the time that a frame leaves. */
class Strip {
  /**
   * @param {HTMLElement} parent
   * @param {(index: number, z: Float32Array) => string} place sets z of a picture and returns its caption
   * @param {() => string} what a choice of a picture is called
   */
  constructor(parent, place, what) {
    this.place = place;
    this.z = new Float32Array(model.latent);
    this.next = STEPS;
    this.items = Array.from({ length: STEPS }, (_, index) => this.makeItem(parent, index, what));
  }

  makeItem(parent, index, what) {
    const value = element("span", { className: "value" });
    const fraction = element("span");
    const canvas = element("canvas", { className: "pixels" });
    canvas.setAttribute("aria-hidden", "true");
    const phi = element("span", { className: "value" }, element("span", { className: "sign", textContent: "φ " }), fraction);
    const button = element("button", { type: "button" }, canvas, value, phi);
    button.addEventListener("click", () => {
      this.place(index, this.z);
      show(this.z, what());
    });
    parent.append(button);
    return { picture: new Picture(canvas), value, fraction };
  }

  refresh() {
    this.next = 0;
  }

  drawNext() {
    const { picture, value, fraction } = this.items[this.next];
    value.textContent = this.place(this.next, this.z);
    page.thumbnail.run(this.z);
    picture.generated(page.thumbnail);
    fraction.textContent = volumeFraction(page.thumbnail.labels, state.phase).toFixed(3);
    this.next++;
  }
}

/** The chosen dimension from −LIMIT to LIMIT, the others as they are. */
function placeAlong(index, z) {
  const value = -LIMIT + (2 * LIMIT * index) / (STEPS - 1);
  z.set(state.z);
  z[state.dimension] = value;
  return `${written(value, 0)} σ`;
}

/** The straight line from A to B. */
function placeBetween(index, z) {
  const share = index / (STEPS - 1);
  between(share, z);
  if (index === 0) return "A";
  return index === STEPS - 1 ? "B" : `${Math.round(100 * share)} %`;
}

function between(share, z) {
  for (let i = 0; i < z.length; i++) z[i] = (1 - share) * state.a[i] + share * state.b[i];
}
