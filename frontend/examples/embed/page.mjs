// What the three backends share: the page's files, bodies, and a login. An app has all of this already.
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';

const types = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css' };
const logins = new Map();

export async function body(req) {
  let text = '';
  for await (const part of req.setEncoding('utf8')) text += part;
  return JSON.parse(text);
}

export function json(res, value, status = 200) {
  res.writeHead(status, { 'Content-Type': 'application/json', 'Cache-Control': 'no-store' }).end(JSON.stringify(value));
}

/** Stands for your own login: here anybody with the shop's one password can log in. */
export async function login(req, res) {
  const { name, password } = await body(req);
  if (password !== 'correct horse') return json(res, {}, 401);
  const id = randomUUID();
  logins.set(id, name);
  res.setHeader('Set-Cookie', `shop=${id}; HttpOnly; SameSite=Strict; Path=/`);
  json(res, {});
}

/** Returns who is logged in; undefined for nobody. */
export const whoIs = (req) => logins.get(/\bshop=([\w-]+)/.exec(req.headers.cookie ?? '')?.[1]);

export async function page(req, res, config) {
  const path = new URL(req.url, 'http://here').pathname;
  if (path === '/config.json') return json(res, config);
  const name = path === '/' ? '/index.html' : path;
  try {
    const file = await readFile(new URL(`dist${name}`, import.meta.url));
    res.writeHead(200, { 'Content-Type': types[/\.\w+$/.exec(name)?.[0]] ?? 'application/octet-stream' }).end(file);
  } catch {
    res.writeHead(404).end();
  }
}

export function listen(server) {
  server.listen(Number(process.env.PORT ?? 3000), '127.0.0.1', () =>
    console.log(`http://127.0.0.1:${server.address().port}`),
  );
}
