"use strict";
// The curve of S2 over the lag, drawn anew at every change.

/** Round numbers between two others, about `count` of them. */
function roundTicks(low, high, count) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough);
  const ticks = [];
  for (let i = Math.ceil(low / step); i * step <= high + 1e-9; i++) ticks.push(Number((i * step).toPrecision(12)));
  return ticks;
}

class CurveChart {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {number} pixelSize length of a pixel's side
   * @param {string} unit of that length
   */
  constructor(canvas, pixelSize, unit) {
    Object.assign(this, { canvas, pixelSize, unit });
    this.context = canvas.getContext("2d");
    this.background = document.createElement("canvas");
    this.reference = null;
    this.low = this.high = NaN;
  }

  /** @param {{mean: number[], std: number[]}} reference curve with its band */
  setReference(reference) {
    this.reference = reference;
    this.low = Math.max(0, Math.min(...reference.mean.map((value, i) => value - 2 * reference.std[i])));
    this.high = Math.max(...reference.mean.map((value, i) => value + 2 * reference.std[i]));
    const margin = 0.04 * (this.high - this.low || 0.1);
    this.low = Math.max(0, this.low - margin);
    this.high += margin;
    this.paintBackground();
  }

  /** Fit the page: size, resolution and colours. */
  refit() {
    const ratio = window.devicePixelRatio || 1;
    this.width = this.canvas.clientWidth;
    this.height = this.canvas.clientHeight;
    this.canvas.width = Math.round(this.width * ratio);
    this.canvas.height = Math.round(this.height * ratio);
    this.background.width = this.canvas.width;
    this.background.height = this.canvas.height;
    this.ratio = ratio;
    const style = getComputedStyle(this.canvas);
    this.colors = Object.fromEntries(
      ["ink", "soft", "line", "crops", "samples", "own"].map((name) => [name, style.getPropertyValue(`--${name}`).trim()]),
    );
    this.font = `12px ${style.fontFamily}`;
    if (this.reference) this.paintBackground();
  }

  x(lag) {
    return 46 + ((this.width - 56) * lag) / (this.reference.mean.length - 1);
  }

  y(value) {
    return this.height - 40 - ((this.height - 50) * (value - this.low)) / (this.high - this.low);
  }

  /** What does not change from structure to structure: axes and the reference. */
  paintBackground() {
    if (!this.width || !this.height) return;
    const { mean, std } = this.reference;
    const context = this.background.getContext("2d");
    context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    context.clearRect(0, 0, this.width, this.height);
    context.font = this.font;
    const last = mean.length - 1;
    context.lineWidth = 1;
    context.strokeStyle = this.colors.line;
    context.fillStyle = this.colors.soft;
    context.textBaseline = "middle";
    context.textAlign = "right";
    for (const tick of roundTicks(this.low, this.high, 5)) {
      context.beginPath();
      context.moveTo(this.x(0), this.y(tick));
      context.lineTo(this.x(last), this.y(tick));
      context.stroke();
      context.fillText(String(tick), this.x(0) - 6, this.y(tick));
    }
    context.textBaseline = "top";
    context.textAlign = "center";
    for (const tick of roundTicks(0, last * this.pixelSize, 6)) {
      const x = this.x(tick / this.pixelSize);
      context.beginPath();
      context.moveTo(x, this.y(this.low));
      context.lineTo(x, this.y(this.low) + 4);
      context.stroke();
      context.fillText(String(tick), x, this.y(this.low) + 7);
    }
    context.fillText(`lag r (${this.unit})`, (this.x(0) + this.x(last)) / 2, this.height - 15);
    context.save();
    context.translate(4, (this.y(this.low) + this.y(this.high)) / 2);
    context.rotate(-Math.PI / 2);
    context.fillText("S₂(r)", 0, -3);
    context.restore();

    context.fillStyle = this.colors.crops;
    context.globalAlpha = 0.3;
    context.beginPath();
    mean.forEach((value, lag) => context.lineTo(this.x(lag), this.y(value + std[lag])));
    for (let lag = last; lag >= 0; lag--) context.lineTo(this.x(lag), this.y(mean[lag] - std[lag]));
    context.fill();
    context.globalAlpha = 1;
    context.strokeStyle = this.colors.crops;
    context.lineWidth = 1.6;
    context.beginPath();
    mean.forEach((value, lag) => context.lineTo(this.x(lag), this.y(value)));
    context.stroke();
  }

  /**
   * @param {Float64Array} curve of the structure shown
   * @param {?Float64Array} own curve of the user's image
   */
  draw(curve, own) {
    // A chart that is not laid out yet, or not shown.
    if (!this.width || !this.height) return;
    this.widen(curve);
    if (own) this.widen(own);
    const { context } = this;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    context.drawImage(this.background, 0, 0);
    context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    if (own) this.line(own, this.colors.own, 1.6, CurveChart.DASHED);
    this.line(curve, this.colors.samples, 2.2, CurveChart.SOLID);
  }

  line(curve, color, width, dash) {
    const { context } = this;
    context.strokeStyle = color;
    context.lineWidth = width;
    context.setLineDash(dash);
    context.beginPath();
    for (let lag = 0; lag < curve.length; lag++) context.lineTo(this.x(lag), this.y(curve[lag]));
    context.stroke();
    context.setLineDash(CurveChart.SOLID);
  }

  /** Make room for a curve beyond the axes, in steps, so that they rest while a slider moves. */
  widen(curve) {
    let low = this.low;
    let high = this.high;
    for (let lag = 0; lag < curve.length; lag++) {
      if (curve[lag] < low) low = Math.max(0, curve[lag] - 0.05);
      if (curve[lag] > high) high = Math.min(1.02, curve[lag] + 0.05);
    }
    if (low === this.low && high === this.high) return;
    this.low = low;
    this.high = high;
    this.paintBackground();
  }
}
CurveChart.SOLID = [];
CurveChart.DASHED = [6, 4];
