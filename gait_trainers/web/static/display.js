// Numbers on the screen: speed asked and measured, and how fast the page simulates.

const WINDOW = 1; // s over which a measured speed is averaged
const SHOWN = 8; // s of the chart

export class Display {
  constructor(element) {
    this.fields = Object.fromEntries([...element.querySelectorAll("[data-field]")].map((e) => [e.dataset.field, e]));
    this.chart = element.querySelector("canvas");
    this.clear();
  }

  clear() {
    this.history = []; // [time, asked, measured forward, left, turn]
  }

  /** After each control step: time s, command (3), measured (3). */
  record(time, command, speed) {
    this.history.push([time, command[0], ...speed]);
    while (this.history[0][0] < time - SHOWN - WINDOW) this.history.shift();
  }

  /** Mean measured speed (3) over the last second. */
  measured() {
    const rows = this.history.filter((row) => row[0] > this.history.at(-1)[0] - WINDOW);
    return [2, 3, 4].map((i) => rows.reduce((sum, row) => sum + row[i], 0) / rows.length);
  }

  show({ command, time, way, rate, pace, falls }) {
    if (!this.history.length) return;
    const mean = this.measured();
    const set = (name, text) => (this.fields[name].textContent = text);
    ["forward", "left", "turn"].forEach((name, i) => {
      set(`asked-${name}`, command[i].toFixed(2));
      set(`measured-${name}`, mean[i].toFixed(2));
    });
    set("time", `${time.toFixed(1)} s`);
    set("way", `${way.toFixed(1)} m`);
    set("rate", `${rate.toFixed(0)} steps/s`);
    set("pace", pace > 0.97 ? "real time" : `${(100 * pace).toFixed(0)} % of real time`);
    set("falls", falls === 1 ? "1 fall" : `${falls} falls`);
    this.draw();
  }

  draw() {
    const { chart, history } = this;
    const scale = Math.min(window.devicePixelRatio || 1, 2);
    const width = chart.clientWidth * scale, height = chart.clientHeight * scale;
    if (chart.width !== width || chart.height !== height) Object.assign(chart, { width, height });
    const c = chart.getContext("2d");
    c.clearRect(0, 0, width, height);
    const now = history.at(-1)[0];
    const most = Math.max(0.5, ...history.map((row) => Math.max(row[1], row[2]))) * 1.1;
    const x = (time) => width * (1 - (now - time) / SHOWN), y = (speed) => height * (1 - 0.12 - (0.85 * speed) / most);
    c.strokeStyle = "#ffffff30";
    c.beginPath();
    c.moveTo(0, y(0));
    c.lineTo(width, y(0));
    c.stroke();
    for (const [column, color, wide] of [[2, "#ffb454", 1.5], [1, "#6cc4ff", 2]]) {
      c.strokeStyle = color;
      c.lineWidth = wide * scale;
      c.beginPath();
      for (const row of history) c.lineTo(x(row[0]), y(row[column]));
      c.stroke();
    }
  }
}
