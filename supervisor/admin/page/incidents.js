
// opened is what was asked for about incidents that somebody has opened, by key; null while there is no answer.
const opened = new Map();
const incidentKey = i => `${i.at} ${i.process} ${i.worker}`;

// toggle asks for all of an incident, which the figures of each second do not have, or forgets it.
async function toggle(i) {
  const key = incidentKey(i);
  if (opened.delete(key)) { showIncidents(); return; }
  opened.set(key, null);
  showIncidents();
  let found;
  try {
    const r = await fetch('v1/incidents?worker=' + i.worker, { cache: 'no-store', signal: AbortSignal.timeout(5000) });
    if (!r.ok) throw new Error(await r.text());
    found = (await r.json()).incidents.find(one => one.at === i.at) || { error: 'It is forgotten: newer ones have taken its place.' };
  } catch (e) { found = { error: `Cannot ask for it: ${e.message}` }; }
  if (opened.has(key)) { opened.set(key, found); showIncidents(); }
}

// wholeIncident shows all of an incident.
const wholeIncident = found => td => {
  if (td.found === found && td.firstChild) return;
  td.found = found;
  td.replaceChildren();
  const add = (name, text) => { const node = document.createElement(name); node.textContent = text; td.append(node); };
  if (!found || found.error) { add('p', found ? found.error : 'asking …'); return; }
  const memory = found.memory_bytes === null ? [] : [`${bytes(found.memory_bytes)} of memory`];
  add('p', [new Date(found.at).toLocaleString(), `pid ${found.pid}`, `generation ${found.generation}`, ...memory].join(' · '));
  const held = found.requests || [], sent = { begun: ', response begun', upgraded: ', upgraded', ended: ', ended at its deadline' };
  if (held.length) {
    add('b', `It held ${whole(held.length + found.requests_more)} request${held.length + found.requests_more === 1 ? '' : 's'}`);
    add('pre', held.map(q => `${q.method} ${q.path}${q.request_id && ` (${q.request_id})`}  ${short(q.age_seconds)}, idle for ${short(q.idle_seconds)}${sent[q.sent] || ''}`).join('\n') + (found.requests_more ? `\nand ${whole(found.requests_more)} more` : ''));
  } else add('p', found.requests ? 'It held no request.' : 'Nobody knows which requests it held.');
  for (const [title, lines] of [['Its last lines', found.last_lines], ['Its stacks', found.stacks]]) {
    if (lines.length) { add('b', title); add('pre', lines.join('\n')); }
  }
};

const opener = i => td => {
  const button = td.firstChild || td.appendChild(document.createElement('button'));
  if (!button.className) { button.className = 'open'; button.addEventListener('click', () => toggle(td.incident)); }
  td.incident = i;
  button.setAttribute('aria-expanded', opened.has(incidentKey(i)));
  put(button, words(i.reason));
};

// showIncidents shows those of the last answer, each with all of it if it is open.
let incidents = [];
function showIncidents() {
  const keys = new Set(incidents.map(incidentKey));
  for (const key of opened.keys()) if (!keys.has(key)) opened.delete(key);
  section('incidents').hidden = !incidents.length;
  put($('past'), incidents.length === 1 ? 'one died, was killed or was replaced for a fault' : `the last ${whole(incidents.length)} that died, were killed or were replaced for a fault`);
  const items = incidents.flatMap(i => opened.has(incidentKey(i)) ? [{ i }, { i, found: opened.get(incidentKey(i)) }] : [{ i }]);
  rows($('incidents'), items, item => incidentKey(item.i) + ('found' in item ? ' whole' : ''), ({ i, ...rest }) => 'found' in rest ? [wholeIncident(rest.found)] : [
    opener(i), long(i.ago_seconds), i.process === 'loader' ? 'loader' : i.worker, i.process === 'loader' || i.slot < 0 ? '-' : i.slot, i.status, long(i.age_seconds), figure(i.requests_lost), i.detail,
  ], item => 'found' in item);
}
