// An agent that streams its answers. It listens as any application of Express does; of gosuper it asks only when its
// streams are to end.
import { setTimeout } from 'node:timers/promises';
import express from 'express';
import { draining } from 'gosuper';

const WORDS = ['Once', 'upon', 'a', 'time', 'there', 'was', 'a', 'token'];

const app = express();
app.disable('x-powered-by');
app.use(express.json());
app.use((request, response, next) => {
  response.set('X-Worker-Pid', String(process.pid));
  next();
});

app.get('/health', (request, response) => {
  response.json({ status: 'ok' });
});

app.post('/agent', async (request, response) => {
  await setTimeout(50); // where a model would be asked
  response.json({ answer: `You said: ${request.body?.prompt ?? ''}` });
});

app.get('/agent/stream', async (request, response) => {
  const { tokens = 20, delay = 50 } = request.query;
  const send = (event, data) => response.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store', 'X-Accel-Buffering': 'no' });
  try {
    for (let i = 0; i < Number(tokens) && !response.closed; i++) {
      send('token', { text: WORDS[i % WORDS.length] });
      await setTimeout(Number(delay), undefined, { signal: draining });
    }
    send('done', { tokens: Number(tokens) });
  } catch (error) {
    if (!draining.aborted) throw error;
    send('error', { error: 'Server shutting down' });
  }
  response.end();
});

app.listen(8000);
