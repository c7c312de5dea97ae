// rows makes the rows of a table those of the items. Rows that stay keep their nodes, and with them the focus and what was selected. A row that is single
// has one cell as wide as the table.
function rows(body, items, key, cells, single = () => false) {
  const labels = [...body.parentNode.tHead.rows[0].cells], old = new Map([...body.rows].map(r => [r.dataset.key, r]));
  items.forEach((item, at) => {
    const k = String(key(item));
    let row = old.get(k);
    if (!row) {
      row = document.createElement('tr');
      row.dataset.key = k;
      if (single(item)) { const td = row.insertCell(); td.colSpan = labels.length; td.className = 'single'; } else for (const th of labels) { const td = row.insertCell(); td.dataset.label = th.textContent; td.className = th.className; }
    }
    old.delete(k);
    if (body.rows[at] !== row) body.insertBefore(row, body.rows[at] || null);
    cells(item).forEach((cell, i) => {
      const td = row.cells[i];
      if (typeof cell === 'function') cell(td); else { put(td, cell); if (td.classList.contains('wide')) td.title = cell; }
    });
  });
  for (const row of old.values()) row.remove();
}

// inReasons are numbers by reason, the most frequent first.
const inReasons = numbers => Object.entries(numbers).filter(([, n]) => n > 0).sort((a, b) => b[1] - a[1]).map(([reason, n]) => `${words(reason)} ${whole(n)}`).join(', ');

// grouped makes one line of equal items. It is like the first of them, but for what more does with each further one.
function grouped(items, facts, more) {
  const groups = new Map();
  for (const item of items) {
    const key = JSON.stringify(facts(item)), g = groups.get(key);
    if (!g) groups.set(key, { key, ...item, count: 1, of: new Set([item.worker]) });
    else { g.count++; g.of.add(item.worker); more(g, item); }
  }
  return [...groups.values()];
}

// few are the members of a set, if they are few.
const few = (set, name) => set.size > 3 ? `${set.size} ${name}` : [...set].join(', ');

const pill = text => td => {
  const node = td.firstChild || td.appendChild(document.createElement('span'));
  put(node, text);
  node.className = 'pill ' + text;
};

// twice has a button ask back before it does something.
function twice(button, act) {
  const label = button.textContent;
  let timer;
  const calm = () => { clearTimeout(timer); timer = 0; button.classList.remove('armed'); put(button, label); };
  button.addEventListener('click', () => {
    if (timer) { calm(); act(); return; }
    button.classList.add('armed');
    put(button, 'Really?');
    timer = setTimeout(calm, 4000);
  });
  button.addEventListener('blur', calm);
}

const recycler = (f, w) => td => {
  if (!f.actions || w.state === 'spare') { td.replaceChildren(); return; }
  const button = td.firstChild || td.appendChild(document.createElement('button'));
  if (!button.textContent) { put(button, 'Recycle'); twice(button, () => act('recycle', { workers: [w.id] }, `Worker ${w.id} will be replaced.`)); }
  button.disabled = w.state !== 'ready';
  button.setAttribute('aria-label', `recycle worker ${w.id}`);
};

const words = text => text.replaceAll('_', ' ');
const figure = n => n === null ? '-' : whole(n);
const section = id => $(id).closest('section');

// silent is whether a request has made no progress for at least as long as it still has before it is ended.
const silent = q => q.due_seconds !== null && q.idle_seconds >= q.due_seconds;

// doing is what a worker does now: that it is to be replaced, the request that has made no progress for too long, or else the oldest, and what it says of itself.
const doing = (w, requests) => td => {
  const own = requests.filter(q => q.worker === w.id).sort((a, b) => silent(b) - silent(a) || b.age_seconds - a.age_seconds), [first] = own;
  const more = Math.max((w.in_flight ?? 0), own.length) - 1, mute = first && silent(first);
  const request = first && `${first.method} ${first.path} for ${short(first.age_seconds)}${first.streaming ? ', streaming' : ''}${mute ? `, no progress for ${short(first.idle_seconds)}` : ''}${more ? `, and ${whole(more)} more` : ''}`;
  put(td, [w.recycle && `to be replaced: ${words(w.recycle)}`, request, w.status].filter(Boolean).join(' · '));
  td.classList.toggle('late', !!mute);
};

const leaseText = l => Object.entries(l.values).sort().map(([name, value]) => `${name}=${value}`).join(' ');
const holder = (l, workers) => l.worker === null ? '' : `worker ${l.worker}` + (l.unkillable ? ', which SIGKILL has not ended' : workers.some(w => w.id === l.worker) ? '' : ', which is gone: a process of its group is left');
