// The clients in the e2e test of serverless platforms: the SDK over each transport, and a browser's own EventSource with
// the cookie. Prints a line of JSON for each message: which client got it, and its id. Exits at the end of its standard
// input.
//
//   node platform-clients.mjs URL USERNAME PASSWORD ROOM
import { once } from 'node:events';
import { createClient, memoryStore } from '@tandem/client';
import WebSocket from 'ws';
import { launch } from './harness.mjs';

const [, , url, username, password, room] = process.argv;
const say = (what) => console.log(JSON.stringify(what));

for (const transport of ['ws', 'sse', 'sse-post', 'poll']) {
  const client = createClient({ url, WebSocket, session: memoryStore() });
  // The platform may cut it.
  while (!client.user) await client.login(username, password).catch(() => new Promise((next) => setTimeout(next, 100)));
  const stream = client.stream({ rooms: room, transport });
  const name = `SDK over ${transport}`;
  stream.on('chat_message', ({ id }) => say({ client: name, id }));
  stream.on('stream_reset', () => say({ client: name, reset: true }));
  stream.on('status', ({ state, error }) => state === 'closed' && say({ client: name, error: String(error) }));
  stream.on('stream_open', () => say({ client: name, open: true }));
}

const browser = await launch();
const page = await browser.newPage();
await page.exposeFunction('say', say);
await page.goto(`${url}/healthz`);
await page.evaluate(async ([username, password, room]) => {
  const body = JSON.stringify({ username, password, cookie: true });
  const login = async () => (await fetch('v1/auth/login', { method: 'POST', body, headers: { 'Content-Type': 'application/json' } })).ok;
  while (!(await login().catch(() => false))) await new Promise((next) => setTimeout(next, 100));
  const name = 'EventSource';
  const source = new EventSource(`v1/events?room=${room}`);
  source.addEventListener('stream_open', () => window.say({ client: name, open: true }));
  source.addEventListener('stream_reset', () => window.say({ client: name, reset: true }));
  source.addEventListener('chat_message', ({ data }) => window.say({ client: name, id: JSON.parse(data).id }));
}, [username, password, room]);

process.stdin.resume();
await once(process.stdin, 'end');
await browser.close();
process.exit();
