"use strict";
// Random structures, and the one among them that has a wanted volume fraction.

/** Normal random numbers N(0, 1), a function of the seed. */
class NormalNumbers {
  /** @param {number} seed whole number below 2 ** 32 */
  constructor(seed) {
    this.state = seed >>> 0;
    this.spare = NaN;
  }

  /** Uniform in (0, 1): a counter, scrambled (Mulberry32). */
  uniform() {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let t = this.state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (((t ^ (t >>> 14)) >>> 0) + 0.5) / 2 ** 32;
  }

  /** Box and Muller make two at a time. */
  next() {
    if (!Number.isNaN(this.spare)) {
      const value = this.spare;
      this.spare = NaN;
      return value;
    }
    const radius = Math.sqrt(-2 * Math.log(this.uniform()));
    const angle = 2 * Math.PI * this.uniform();
    this.spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }

  fill(z) {
    for (let i = 0; i < z.length; i++) z[i] = this.next();
    return z;
  }
}

/**
 * A search for a structure of a wanted volume fraction, one candidate a step.
 *
 * First samples of the prior, then neighbours of the best of them, z' = cos(t) z + sin(t) ξ with ξ ~ N(0, 1): a move
 * that leaves the prior as it is (pCN, Cotter et al., Statistical Science 28, 424, 2013), so that what is found looks
 * like any other sample. The angle t is drawn anew for every move, small ones as often as large ones. Where no
 * neighbour is better for long, the search begins again elsewhere.
 */
class FractionSearch {
  /**
   * @param {Generator} generator
   * @param {NormalNumbers} numbers
   * @param {object} wanted
   * @param {number} wanted.fraction in [0, 1]
   * @param {number} wanted.phase
   * @param {Float32Array} [wanted.start] search near this z first
   */
  constructor(generator, numbers, { fraction, phase, start }) {
    Object.assign(this, { generator, numbers, fraction, phase });
    const latent = generator.network.input.length;
    this.candidate = new Float32Array(latent);
    this.here = { z: new Float32Array(latent), error: Infinity };
    this.best = new Float32Array(latent);
    this.error = Infinity;
    this.found = NaN;
    this.tolerance = Math.max(0.0005, 0.5 / generator.labels.length);
    this.tried = 0;
    this.inVain = 0;
    this.samples = start ? 0 : FractionSearch.SAMPLES; // yet to be drawn
    if (start) {
      this.candidate.set(start);
      this.judge();
    }
  }

  get done() {
    return this.error <= this.tolerance || this.tried >= FractionSearch.MOST;
  }

  step() {
    const { candidate, here, numbers } = this;
    if (this.samples > 0) {
      this.samples--;
      numbers.fill(candidate);
    } else {
      const [least, largest] = FractionSearch.ANGLES;
      const angle = least * (largest / least) ** numbers.uniform();
      const keep = Math.cos(angle);
      const change = Math.sin(angle);
      for (let i = 0; i < candidate.length; i++) candidate[i] = keep * here.z[i] + change * numbers.next();
    }
    this.judge();
    if (this.inVain < FractionSearch.PATIENCE) return;
    this.inVain = 0;
    this.here.error = Infinity;
    this.samples = FractionSearch.SAMPLES;
  }

  judge() {
    const { candidate, here } = this;
    this.generator.run(candidate);
    this.tried++;
    this.inVain++;
    const fraction = volumeFraction(this.generator.labels, this.phase);
    const error = Math.abs(fraction - this.fraction);
    if (error < here.error) {
      this.inVain = 0;
      here.error = error;
      here.z.set(candidate);
    }
    if (error < this.error) {
      this.error = error;
      this.found = fraction;
      this.best.set(candidate);
    }
  }
}
FractionSearch.SAMPLES = 48;
FractionSearch.PATIENCE = 150;
FractionSearch.MOST = 1000;
FractionSearch.ANGLES = [0.02, 1.2];
