function show(f) {
  const s = f.status;
  document.title = `${s.name} · ${words(s.condition)} ${s.ready_workers}/${s.workers_target}`;
  put($('name'), s.name);
  put($('state'), words(s.condition) + (s.condition === 'ready' ? '' : ` (${s.ready_workers} of ${s.workers_target} ready)`));
  $('state').className = 'pill ' + s.condition;
  const reload = { ok: 'last reload ok', rolled_back: 'last reload rolled back' }[s.last_reload.result];
  put($('facts'), [`gosuper ${s.version}`, `pid ${s.pid}`, `up ${long(s.uptime_seconds)}`, `generation ${s.generation}`, ...(reload ? [reload] : []), ...s.binds].join(' · '));
  const wanted = inReasons(s.counters.recycle_reasons);
  const restarts = inReasons(s.counters.restarts) + (wanted && ` (wanted by workers: ${wanted})`);
  put($('ready'), `${s.ready_workers} of ${s.workers_target} ready` + (s.spares_target ? ` · ${s.ready_spares} of ${s.spares_target} spares` : '') + (restarts && ` · restarts: ${restarts}`) + (s.counters.requests_lost ? ` · requests lost: ${whole(s.counters.requests_lost)}` : ''));
  put($('why'), [s.sizing, s.overlap].filter(Boolean).map(w => w.why).join('\n'));
  put($('unknown'), s.unknown);
  $('unknown').hidden = !s.unknown;
  const loop = s.crash_loop;
  $('looping').hidden = !loop;
  if (loop) put($('looping').firstChild, `${loop.slots.length > 1 ? 'Slots' : 'Slot'} ${loop.slots.join(', ')} ${loop.slots.length > 1 ? 'are' : 'is'} in a crash loop: ${whole(loop.crashes)} crashes in a row, `
    + (loop.next_seconds > 0 ? `the next start in ${short(loop.next_seconds)}.` : 'a new worker is there.')
    + (loop.worker ? `\nWorker ${loop.worker}: ${loop.status}` + (loop.last_lines.length ? '; its last lines:\n' + loop.last_lines.join('\n') : '; it wrote nothing to stderr') : ''));
  const failing = s.loader_failing;
  $('unloaded').hidden = !failing;
  if (failing) put($('unloaded').firstChild, `The loader failed${failing.failures > 1 ? ` ${whole(failing.failures)} times in a row` : ''}${failing.status && ': ' + failing.status}; `
    + (failing.next_seconds > 0 ? `the next start in ${short(failing.next_seconds)}.` : 'another one is there.') + `\n${failing.hint.charAt(0).toUpperCase()}${failing.hint.slice(1)}.`
    + (failing.last_lines.length ? '\nIts last lines:\n' + failing.last_lines.join('\n') : ''));
  const mute = (s.requests || []).filter(silent).sort((a, b) => a.due_seconds - b.due_seconds), shown = 3;
  $('silent').hidden = !mute.length;
  put($('silent').firstChild, [...mute.slice(0, shown).map(q => `Worker ${q.worker}: ${q.method} ${q.path} has made no progress for ${short(q.idle_seconds)}, `
    + (q.due_seconds ? `and is ended in ${short(q.due_seconds)}.` : 'and should have ended by now.')), ...(mute.length > shown ? [`So have ${whole(mute.length - shown)} more.`] : [])].join('\n'));
  put($('target'), `${s.workers_target} worker${s.workers_target === 1 ? '' : 's'}`);
  $('actions').hidden = !f.actions;
  $('less').disabled = (s.sizing ? s.sizing.min <= 0 : s.workers_target <= 1) || s.state === 'stopping';
  for (const id of ['more', 'recycle', 'reload']) $(id).disabled = s.state === 'stopping';
  const r = s.last_reload, told = { running: 'A reload is under way.', rolled_back: 'The last reload was rolled back. ' + r.error }[r.result] || '';
  if (told !== dismissed) dismissed = '';
  $('reloaded').hidden = !told || told === dismissed;
  $('reloaded').className = 'notice' + (r.result === 'rolled_back' ? ' bad' : '');
  put($('reloaded').firstChild, told);
  rows($('workers'), [...s.workers].sort((a, b) => (a.slot < 0) - (b.slot < 0) || a.slot - b.slot || a.id - b.id), w => w.id, w => [
    pill(w.state), w.slot < 0 ? '-' : w.slot, w.id, w.pid ?? '-', w.generation, long(w.age_seconds),
    figure(w.requests) + (w.max_requests ? ` / ${whole(w.max_requests)}` : ''), w.requests === null ? '-' : (samples.at(-1).pace[w.id] ?? 0).toFixed(1), figure(w.in_flight), w.cpu_seconds === null ? '-' : ((samples.at(-1).cpu[w.id] ?? 0) * 100).toFixed(0) + '%',
    w.memory_bytes ? bytes(w.memory_bytes) : '-', whole(w.restarts), doing(w, s.requests || []), recycler(f, w),
  ]);
  $('workers').closest('.scroll').hidden = !s.workers.length;
  section('loaders').hidden = !s.loaders.length;
  const reloads = inReasons(s.counters.loader_restarts);
  put($('loads'), 'the workers are forked from' + (reloads && ` · restarts: ${reloads}`));
  rows($('loaders'), s.loaders, l => l.pid ?? 0, l => [
    pill(l.state), l.pid ?? '-', l.generation, long(l.age_seconds), whole(l.forks), l.cpu_seconds === null ? '-' : short(l.cpu_seconds), l.memory_bytes ? bytes(l.memory_bytes) : '-', l.status,
  ]);
  const requests = grouped(s.requests || [], q => [q.method, q.path, q.streaming], (g, q) => {
    g.age_seconds = Math.max(g.age_seconds, q.age_seconds);
    g.idle_seconds = Math.max(g.idle_seconds, q.idle_seconds);
    g.request_id = '';
  }).sort((a, b) => b.age_seconds - a.age_seconds), most = 100;
  put($('count'), whole((s.requests || []).length) + (requests.length > most ? `, the ${most} oldest kinds` : ''));
  section('requests').hidden = !requests.length;
  rows($('requests'), requests.slice(0, most), q => q.key, q => [
    whole(q.count), short(q.age_seconds), short(q.idle_seconds), q.streaming ? 'streaming' : 'waiting', q.method, q.path,
    few(q.of, 'workers'), q.request_id || '',
  ]);
  incidents = f.incidents;
  showIncidents();
  section('leases').hidden = !s.leases.length;
  const free = s.leases.filter(l => l.worker === null).length;
  put($('leased'), free ? `${whole(free)} of ${whole(s.leases.length)} free` : 'none is free');
  const held = s.leases.filter(l => l.worker !== null);
  rows($('leases'), free ? [...held, null] : held, l => l ? JSON.stringify(l.values) : 'free', l => l
    ? [pill(l.unkillable ? 'unkillable' : 'held'), leaseText(l), holder(l, s.workers)]
    : [pill('free'), td => { td.colSpan = 2; put(td, s.leases.filter(f => f.worker === null).map(leaseText).join(', ')); }, td => { td.hidden = true; }]);
  glance();
  drawAll();
}

// glance says in a line what a narrow screen shows far below, and of any what happened lately.
function glance() {
  const s = samples.at(-1), fault = incidents.find(i => i.ago_seconds < 3600), known = (v, text) => v === null || v === undefined ? [] : [text(v)];
  put($('glance').firstChild, [
    ...known(s.codes && s.flight, v => `${number(v)} in flight`), ...(s.backlog ? [`${number(s.backlog)} in the backlog`] : []), ...known(s.rate, v => `${number(v)} requests/s`),
    ...known(s.p99, v => `p99 ${short(v)}`), ...known(s.memory, bytes),
  ].map(text => text.replaceAll(' ', '\u00a0')).join(' · '));
  put($('glance').lastChild, fault ? `last incident ${long(fault.ago_seconds)} ago: ${words(fault.reason)}` : '');
}

function say(text, bad) {
  put($('answer').firstChild, text);
  $('answer').className = 'notice' + (bad ? ' bad' : '');
  $('answer').hidden = false;
  clearTimeout(say.timer);
  if (!bad) say.timer = setTimeout(() => { $('answer').hidden = true; }, 5000);
}

// act asks the master for something. The header and the type of the body say that this page asks.
async function act(what, body, done) {
  try {
    const r = await fetch('v1/' + what, { method: 'POST', headers: { 'Content-Type': 'application/json', 'X-Gosuper-Action': '1' }, body: JSON.stringify(body) });
    const text = await r.text();
    if (r.ok) { say(done, false); poll(); return; }
    let why = text;
    try { const e = JSON.parse(text); why = e.error + (e.hint ? ` (${e.hint})` : ''); } catch { /* plain text */ }
    say(`Cannot ${what}: ${why}`, true);
  } catch (e) { say(`Cannot ${what}: ${e.message}`, true); }
}

// poll asks for the figures, and again a second later while somebody looks.
let next = 0, asking = false, asked = -Infinity;
async function poll() {
  if (asking) return;
  asking = true;
  clearTimeout(next);
  const begin = performance.now();
  try {
    const r = await fetch('feed', { cache: 'no-store', signal: AbortSignal.timeout(5000) });
    if (!r.ok) throw new Error(await r.text());
    const f = await r.json();
    record(f);
    show(f);
    if (begin - asked >= hourly * 1000) { asked = begin; askHour(); }
    failures = 0;
    lastSeen = begin;
  } catch {
    if (++failures > 1) { put($('state'), lastSeen ? `no answer for ${long((begin - lastSeen) / 1000)}` : 'no answer'); $('state').className = 'pill lost'; }
  }
  document.body.classList.toggle('stale', failures > 1);
  asking = false;
  if (!document.hidden) next = setTimeout(poll, Math.max(1000 - (performance.now() - begin), 100));
}

document.addEventListener('visibilitychange', () => { clearTimeout(next); if (!document.hidden) poll(); });
addEventListener('resize', drawAll);
$('reloaded').lastChild.addEventListener('click', () => { dismissed = $('reloaded').firstChild.textContent; $('reloaded').hidden = true; });
$('answer').lastChild.addEventListener('click', () => { $('answer').hidden = true; });
$('less').addEventListener('click', () => act('scale', { by: -1 }, 'One worker less.'));
$('more').addEventListener('click', () => act('scale', { by: 1 }, 'One worker more.'));
twice($('recycle'), () => act('recycle', { all: true }, 'All workers will be replaced.'));
twice($('reload'), () => act('reload', {}, 'The reload has begun.'));
poll();
