// Way 2: users log in to the shop. The backend gets a session for them from tandem and passes it to the page.
import { createServer } from 'node:http';
import { json, listen, login, page, whoIs } from '../page.mjs';

const tandem = process.env.TANDEM_URL ?? 'http://localhost:8080';

async function chatSession(req, res) {
  const name = whoIs(req);
  if (!name) return json(res, {}, 401);
  const session = await fetch(`${tandem}/v1/admin/sessions`, {
    method: 'POST',
    headers: {
      Authorization: `Bearer ${process.env.TANDEM_TOKEN}`, // tandem token create admin --name shop --scope sessions
      'Content-Type': 'application/json',
    },
    body: JSON.stringify({ username: name, display_name: `${name} of the shop`, create: true }),
  });
  json(res, await session.json(), session.status);
}

listen(
  createServer((req, res) => {
    if (req.method === 'POST' && req.url === '/login') return void login(req, res);
    if (req.method === 'POST' && req.url === '/chat-session') return void chatSession(req, res);
    void page(req, res, { way: 'sessions', tandem });
  }),
);
