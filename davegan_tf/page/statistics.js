"use strict";
// What is measured on phase labels: volume fraction and two-point correlation.

/** Share of the pixels that have this label. */
function volumeFraction(labels, phase) {
  let count = 0;
  for (let i = 0; i < labels.length; i++) if (labels[i] === phase) count++;
  return count / labels.length;
}

/** Share of the pixels that two images have in common. */
function agreement(labels, others) {
  let count = 0;
  for (let i = 0; i < labels.length; i++) if (labels[i] === others[i]) count++;
  return count / labels.length;
}

/**
 * Periodic two-point correlation S2, averaged over directions: the probability that both ends of a lag lie in the
 * phase, at lags of 0, 1, … side / 2 pixels. Computed from one fast Fourier transform (Wiener–Khinchin).
 */
class TwoPointCorrelation {
  /** @param {number} side of the images in pixels, a power of 2 */
  constructor(side) {
    this.side = side;
    this.real = new Float64Array(side * side);
    this.imaginary = new Float64Array(side * side);
    this.cosine = Float64Array.from({ length: side / 2 }, (_, i) => Math.cos((2 * Math.PI * i) / side));
    this.sine = Float64Array.from({ length: side / 2 }, (_, i) => -Math.sin((2 * Math.PI * i) / side));
    this.reversed = new Uint16Array(side);
    for (let i = 1; i < side; i++) this.reversed[i] = (this.reversed[i >> 1] >> 1) | (i & 1 ? side >> 1 : 0);
    // Ring of each displacement: its length, rounded; displacements beyond half the side are the shorter other way.
    this.ring = new Uint16Array(side * side);
    this.members = new Uint32Array(side);
    const shorter = (lag) => Math.min(lag, side - lag);
    for (let y = 0; y < side; y++) {
      for (let x = 0; x < side; x++) {
        const ring = Math.round(Math.hypot(shorter(y), shorter(x)));
        this.ring[y * side + x] = ring;
        this.members[ring]++;
      }
    }
    /** Result of run. */
    this.curve = new Float64Array(side / 2 + 1);
  }

  /**
   * @param {Uint8Array} labels row by row
   * @param {number} phase
   * @returns {Float64Array} this.curve
   */
  run(labels, phase) {
    const { real, imaginary, side, ring, members, curve } = this;
    for (let i = 0; i < labels.length; i++) real[i] = labels[i] === phase ? 1 : 0;
    imaginary.fill(0);
    this.transform();
    for (let i = 0; i < real.length; i++) {
      real[i] = real[i] ** 2 + imaginary[i] ** 2;
      imaginary[i] = 0;
    }
    // The power is symmetric, so that the transform is its own inverse but for the factor.
    this.transform();
    curve.fill(0);
    for (let i = 0; i < real.length; i++) if (ring[i] < curve.length) curve[ring[i]] += real[i];
    for (let lag = 0; lag < curve.length; lag++) curve[lag] /= members[lag] * side ** 4;
    return curve;
  }

  /** Fourier transform of real + i · imaginary, in place: rows, then columns. */
  transform() {
    for (let row = 0; row < this.side; row++) this.transformLine(row * this.side, 1);
    for (let column = 0; column < this.side; column++) this.transformLine(column, this.side);
  }

  transformLine(start, stride) {
    const { real, imaginary, side, cosine, sine, reversed } = this;
    for (let i = 0; i < side; i++) {
      const j = reversed[i];
      if (j <= i) continue;
      const a = start + i * stride;
      const b = start + j * stride;
      const re = real[a];
      const im = imaginary[a];
      real[a] = real[b];
      imaginary[a] = imaginary[b];
      real[b] = re;
      imaginary[b] = im;
    }
    for (let half = 1; half < side; half *= 2) {
      const turn = side / (2 * half);
      for (let first = 0; first < side; first += 2 * half) {
        for (let k = 0; k < half; k++) {
          const a = start + (first + k) * stride;
          const b = a + half * stride;
          const c = cosine[k * turn];
          const s = sine[k * turn];
          const re = real[b] * c - imaginary[b] * s;
          const im = real[b] * s + imaginary[b] * c;
          real[b] = real[a] - re;
          imaginary[b] = imaginary[a] - im;
          real[a] += re;
          imaginary[a] += im;
        }
      }
    }
  }
}
