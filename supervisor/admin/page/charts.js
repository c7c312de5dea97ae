// What was seen, one sample a second.
let samples = [], hover = null, failures = 0, lastSeen = 0, dismissed = '';

// quantile is that of the requests finished between two samples, null if there are none.
function quantile(q, from, to) {
  const counts = to.counts.map((n, i) => n - (from.counts[i] || 0)), total = counts.reduce((a, b) => a + b, 0);
  if (total <= 0) return null;
  let left = q * total;
  for (let i = 0; i < counts.length; i++) {
    if (left <= counts[i] && counts[i] > 0) {
      const low = i ? to.bounds[i - 1] : 0, high = i < to.bounds.length ? to.bounds[i] : low;
      return low + (high - low) * left / counts[i];
    }
    left -= counts[i];
  }
  return to.bounds.at(-1);
}

// record makes a sample of an answer. Rates are those since the sample before it.
function record(f) {
  const s = f.status, now = performance.now() / 1000, before = samples.at(-1);
  if (before && (before.pid !== s.pid || before.up > s.uptime_seconds)) samples = [];
  const last = samples.at(-1), dt = last ? s.uptime_seconds - last.up : 0;
  const perSecond = (a, b) => dt > 0 ? (a - b) / dt : null;
  const start = samples.findLast(x => x.t <= now - window_) || samples[0];
  const slots = {}, cpu = {}, had = {}, loads = {}, served = {}, pace = {};
  for (const w of s.workers) {
    slots[w.slot] = (slots[w.slot] || 0) + w.memory_bytes || null;
    if (w.requests !== null) {
      served[w.id] = w.requests;
      if (dt > 0 && w.id in last.served) pace[w.id] = Math.max(0, w.requests - last.served[w.id]) / dt;
    }
    if (w.cpu_seconds === null) continue;
    had[w.id] = w.cpu_seconds;
    if (dt > 0 && w.id in last.had) cpu[w.id] = Math.max(0, w.cpu_seconds - last.had[w.id]) / dt;
    if (w.id in cpu) loads[w.slot] = (loads[w.slot] || 0) + cpu[w.id];
  }
  const sample = {
    t: now, up: s.uptime_seconds, pid: s.pid, codes: f.codes, durations: f.durations, slots, cpu, had, loads, served, pace, backlog: f.backlog, ready: s.ready_workers, memory: s.memory_bytes, loaders: s.loaders.reduce((sum, l) => sum + l.memory_bytes, 0) || null,
    flight: f.in_flight,
    rate: last?.codes && perSecond(f.codes.reduce((a, b) => a + b), last.codes.reduce((a, b) => a + b)),
    r4: last?.codes && perSecond(f.codes[3], last.codes[3]), r5: last?.codes && perSecond(f.codes[4], last.codes[4]),
  };
  for (const [key, q] of [['p50', .5], ['p90', .9], ['p99', .99]]) sample[key] = start?.durations ? quantile(q, start.durations, f.durations) : null;
  samples.push(sample);
  samples = samples.filter(x => x.t > now - memory - window_);
}

// shownSpan is how many seconds the charts show: more, as there is more to show.
function shownSpan() {
  const age = samples.at(-1).t - samples[0].t;
  return age <= 60 ? 60 : age <= 120 ? 120 : memory;
}

// nice is the least round number that is not below n, and how it is divided.
function nice(n, binary) {
  const base = binary ? 1024 ** Math.floor(Math.log(Math.max(n, 1)) / Math.log(1024)) : 1, m = n / base;
  const p = 10 ** Math.floor(Math.log10(m));
  for (const k of [1, 2, 3, 4, 6, 8, 10]) if (k * p >= m * 0.999) return k * p * base;
  return n;
}

const tag = (name, attributes, text) => {
  const node = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const k in attributes) node.setAttribute(k, attributes[k]);
  if (text !== undefined) node.textContent = text;
  return node;
};

// draw draws one chart. A line has a name, a class, and a value of each sample, null where there is none.
function draw(id, lines, o) {
  const figure = chart(id, o), svg = figure.querySelector('svg');
  put(figure.firstChild.firstChild, o.title);
  const W = svg.clientWidth, H = svg.clientHeight, left = 46, base = H - 15, top = 5;
  if (!W) return;
  const from = o.samples || samples, now = o.samples ? performance.now() / 1000 : samples.at(-1).t, span = o.span || shownSpan(), x = t => left + (W - left - 4) * (1 - (now - t) / span);
  const shown = from.filter(s => s.t >= now - span);
  const values = lines.flatMap(l => shown.map(s => l.value(s) ?? 0));
  let ticks, y;
  if (o.log) {
    const high = Math.ceil(Math.log10(Math.max(o.least, ...values))), low = Math.min(high - 2, Math.floor(Math.log10(Math.min(10 ** high, ...values.filter(v => v > 0)))));
    ticks = Array.from({ length: high - low + 1 }, (_, i) => 10 ** (low + i));
    y = v => base - (base - top) * (Math.log10(Math.max(v, ticks[0])) - low) / (high - low);
  } else {
    const most = nice(Math.max(o.least, ...values), o.binary);
    ticks = [0, most / 2, most];
    y = v => base - (base - top) * v / most;
  }
  const nodes = [];
  ticks.forEach((v, i) => {
    nodes.push(tag('line', { class: 'grid', x1: left, x2: W - 4, y1: y(v), y2: y(v) }));
    if (ticks.length < 6 || i % 2 === 0) nodes.push(tag('text', { x: left - 6, y: y(v) + 3.5, 'text-anchor': 'end' }, v ? (o.axis || o.format)(v) : '0'));
  });
  for (const ago of [span, span / 2, 0]) nodes.push(tag('text', { x: x(now - ago), y: H - 2, 'text-anchor': ago ? (ago === span ? 'start' : 'middle') : 'end' }, ago ? '−' + (ago < 120 ? `${ago} s` : `${ago / 60} min`) : 'now'));
  for (const l of lines) {
    let path = '', area = '', first = null, last = null;
    const end = () => { if (first !== null && l.area) area += `L${x(last).toFixed(1)} ${base}L${x(first).toFixed(1)} ${base}Z`; first = last = null; };
    for (const s of shown) {
      const v = l.value(s) ?? null;
      if (v === null || last !== null && s.t - last > (o.gap || 4)) end();
      if (v === null) continue;
      const point = `${first === null ? 'M' : 'L'}${x(s.t).toFixed(1)} ${y(v).toFixed(1)}`;
      path += point; area += point; first ??= s.t; last = s.t;
    }
    end();
    if (l.area) nodes.push(tag('path', { class: 'area ' + l.class, d: area }));
    nodes.push(tag('path', { class: l.class, d: path }));
  }
  if (!shown.length) return;
  const past = hover && !hover.hour === !o.samples ? hover.ago : null;
  const at = past === null ? shown.at(-1) : shown.reduce((a, b) => Math.abs(b.t - (now - past)) < Math.abs(a.t - (now - past)) ? b : a);
  if (past !== null) {
    nodes.push(tag('line', { class: 'cross', x1: x(at.t), x2: x(at.t), y1: top, y2: base }));
    for (const l of lines) { const v = l.value(at) ?? null; if (v !== null) nodes.push(tag('circle', { class: l.class, cx: x(at.t), cy: y(v), r: 3.2 })); }
  }
  svg.replaceChildren(...nodes);
  put(figure.querySelector('output'), o.head(at));
  svg.setAttribute('aria-label', `${figure.querySelector('figcaption').firstChild.textContent}: ${o.head(at)}`);
  const legend = figure.querySelector('.legend'), named = lines.filter(l => l.name);
  while (legend.children.length > named.length) legend.lastChild.remove();
  named.forEach((l, i) => {
    const item = legend.children[i] || legend.appendChild(document.createElement('span')), v = l.value(at) ?? null;
    if (!item.firstChild) item.append('', document.createElement('b'));
    item.className = l.class;
    put(item.firstChild, l.name);
    put(item.lastChild, v === null ? '-' : o.format(v));
  });
}

// chart is a figure, made when it is first drawn.
function chart(id, o = {}) {
  if ($(id)) return $(id);
  const figure = document.createElement('figure'), caption = document.createElement('figcaption'), svg = tag('svg', { role: 'img' }), legend = document.createElement('div');
  figure.id = id; legend.className = 'legend';
  caption.append(' ', document.createElement('output'));
  figure.append(caption, svg, legend);
  const point = e => {
    if (!samples.length) return;
    const box = svg.getBoundingClientRect(), span = o.span || shownSpan(), ago = span * (1 - (e.clientX - box.left - 46) / (box.width - 50));
    hover = ago > span || ago < -span / 12 ? null : { ago: Math.max(ago, 0), hour: !!o.samples };
    drawAll();
  };
  svg.addEventListener('pointermove', point);
  svg.addEventListener('pointerdown', point);
  svg.addEventListener('pointerleave', () => { hover = null; drawAll(); });
  $(o.samples ? 'hours' : 'charts').append(figure);
  return figure;
}

// bySlot are the lines of a chart of something that each slot has.
function bySlot(key, largest) {
  const slots = Object.keys(samples.at(-1).slots), single = slots.length <= 6;
  const lines = slots.map((slot, i) => ({ name: !single ? '' : slot < 0 ? 'spares' : 'slot ' + slot, class: single ? 'c' + [1, 4, 5, 2, 6, 3][i] : 'c1', value: s => s[key][slot] ?? null }));
  if (!single) lines.push({ name: largest, class: 'c3', value: s => Math.max(0, ...Object.values(s[key])) || null });
  return lines;
}

// drawAll draws the charts that have something to show.
function drawAll() {
  if (!samples.length) return;
  const known = samples.at(-1).codes, total = (s, key) => Object.values(s[key]).reduce((a, b) => a + b, 0), has = key => samples.some(s => Object.values(s[key]).some(v => v > 0));
  const some = key => samples.some(s => s[key] > 0), serves = samples.at(-1).ready > 0;
  const shown = { rate: known && (serves || some('rate')), latency: known && some('p50'), flight: some('flight') || some('backlog') || known && serves, cpu: has('had'), memory: has('slots') };
  const names = Object.keys(shown).filter(id => shown[id]);
  if ([...$('charts').children].map(c => c.id).join() !== names.join()) $('charts').replaceChildren(...names.map(id => chart(id)));
  $('charts').dataset.n = names.length;
  const value = (v, format) => v === null || v === undefined ? '-' : format(v), rate = n => number(n);
  const percent = v => (v * 100).toFixed(v < .0995 && v > 0 ? 1 : 0) + '%';
  if (shown.rate) draw('rate', [
    { name: 'all', class: 'c1', area: true, value: s => s.rate }, { name: '4xx', class: 'c2', value: s => s.r4 }, { name: '5xx', class: 'c3', value: s => s.r5 },
  ], { title: 'Requests per second', least: 4, format: rate, head: s => value(s.rate, rate) });
  if (shown.latency) draw('latency', [
    { name: 'p99', class: 'c5', value: s => s.p99 }, { name: 'p90', class: 'c4', value: s => s.p90 }, { name: 'median', class: 'c1', value: s => s.p50 },
  ], { least: 1e-3, log: true, format: short, axis: scale, title: 'Latency', head: s => value(s.p50, v => `median ${short(v)}, p99 ${short(s.p99)}`) });
  const waiting = { name: 'in the backlog', class: 'c2', value: s => s.backlog };
  if (shown.flight && known) draw('flight', [{ name: 'requests', class: 'c1', area: true, value: s => s.flight }, waiting], { title: 'In flight', least: 4, format: number, head: s => value(s.flight, number) });
  else if (shown.flight) draw('flight', [waiting], { title: 'Backlog', least: 4, format: number, head: s => number(s.backlog) });
  if (shown.cpu) draw('cpu', bySlot('loads', 'busiest'), { title: 'CPU', least: .1, format: percent, head: s => s === samples[0] ? '-' : percent(total(s, 'loads')) + ' in all' });
  if (shown.memory) draw('memory', [...bySlot('slots', 'largest'), ...(samples.some(s => s.loaders) ? [{ name: 'loaders', class: 'c2', value: s => s.loaders }] : [])], { title: 'Memory', least: 1024, binary: true, format: bytes, head: s => s.memory ? bytes(s.memory) + ' in all' : '-' });
  drawHour();
}

// hour is what the master has seen in the last hour.
let hour = [];
const hourly = 15; // seconds after which it is asked for again

async function askHour() {
  try {
    const r = await fetch('v1/history', { cache: 'no-store', signal: AbortSignal.timeout(5000) });
    if (!r.ok) return;
    const now = performance.now() / 1000;
    hour = (await r.json()).points.map(p => ({ t: now - p.ago_seconds, workers: p.workers, flight: p.in_flight, rate: p.requests_per_second, p50: p.p50_seconds, p90: p.p90_seconds, p99: p.p99_seconds, memory: p.memory_bytes }));
    drawHour();
  } catch { /* the figures of each second say that there is no answer */ }
}

// drawHour draws what of the last hour there is something to show.
function drawHour() {
  const has = key => hour.some(p => p[key] !== null && p[key] !== undefined), varies = new Set(hour.map(p => p.workers).filter(n => n !== null)).size > 1;
  const shown = ['workers', 'flight', 'p50', 'memory'].filter(key => has(key) && (key !== 'workers' || varies));
  section('hours').hidden = hour.length < 2 || !shown.length;
  if (section('hours').hidden) return;
  const names = shown.map(key => 'hour-' + key);
  if ([...$('hours').children].map(c => c.id).join() !== names.join()) $('hours').replaceChildren();
  $('hours').dataset.n = names.length;
  const o = { samples: hour, span: 3600, gap: 330 }, value = (v, format) => v === null ? '-' : format(v), most = (key, format) => 'at most ' + format(Math.max(...hour.map(p => p[key] ?? 0)));
  if (shown.includes('workers')) draw('hour-workers', [{ name: 'ready', class: 'c4', area: true, value: s => s.workers }], { ...o, title: 'Workers', least: 4, format: number, head: () => most('workers', number) });
  if (has('flight')) draw('hour-flight', [{ name: 'requests', class: 'c1', area: true, value: s => s.flight }, { name: 'finished per second', class: 'c4', value: s => s.rate }],
    { ...o, title: 'In flight', least: 4, format: number, head: () => most('flight', number) });
  if (has('p50')) draw('hour-p50', [{ name: 'p99', class: 'c5', value: s => s.p99 }, { name: 'p90', class: 'c4', value: s => s.p90 }, { name: 'median', class: 'c1', value: s => s.p50 }],
    { ...o, least: 1e-3, log: true, format: short, axis: scale, title: 'Latency', head: s => value(s.p50, v => `median ${short(v)}, p99 ${short(s.p99)}`) });
  if (has('memory')) draw('hour-memory', [{ name: 'workers and loaders', class: 'c1', area: true, value: s => s.memory }],
    { ...o, title: 'Memory', least: 1024, binary: true, format: bytes, head: () => most('memory', bytes) });
}
