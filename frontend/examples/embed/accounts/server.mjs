// Way 1: users have chat accounts. The page talks only to tandem; this backend posts what happens in the shop.
import { createServer } from 'node:http';
import { body, json, listen, page } from '../page.mjs';

const tandem = process.env.TANDEM_URL ?? 'http://localhost:8080';

async function order(req, res) {
  const { number, item } = await body(req);
  const posted = await fetch(`${tandem}/v1/rooms/lobby/messages`, {
    method: 'POST',
    headers: {
      Authorization: `Bearer ${process.env.TANDEM_TOKEN}`, // tandem token create shop --name orders --room lobby
      'Content-Type': 'application/json',
      'Idempotency-Key': `order ${number}`, // so that an order that is sent twice is posted once
    },
    body: JSON.stringify({ message: `Order ${number}: ${item}` }),
  });
  json(res, await posted.json(), posted.status);
}

listen(
  createServer((req, res) => {
    if (req.method === 'POST' && req.url === '/orders') return void order(req, res);
    void page(req, res, { way: 'accounts', tandem });
  }),
);
