// What the tests share: a server of their own in a fresh data directory, windows of a real browser, and
// waiting for conditions. Nothing here waits for a fixed time.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const PATIENCE = 30_000; // ms, generous for a busy machine
export const PASSWORD = 'correct horse';

/** Waits until check() gives something true, and returns it. An error in check counts as "not yet". */
export async function until(what, check, ms = PATIENCE) {
  const end = Date.now() + ms;
  for (let last; ; await new Promise((next) => setTimeout(next, 40))) {
    try {
      last = await check();
      if (last) return last;
    } catch (err) {
      last = err;
    }
    if (Date.now() > end) throw new Error(`waited ${ms} ms in vain: ${what}`, { cause: last });
  }
}

async function freePort() {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address();
  probe.close();
  await once(probe, 'close');
  return port;
}

export class Server {
  static async start() {
    if (!process.env.TANDEM_BIN) throw new Error('TANDEM_BIN is to be the path of the built binary');
    const server = new Server();
    server.port = await freePort();
    server.dir = await mkdtemp(join(tmpdir(), 'tandem-page-'));
    server.url = `http://127.0.0.1:${server.port}/`;
    await server.run();
    return server;
  }

  /** Starts the binary, again too: on the same port, with the same data. */
  async run() {
    let said = '';
    // The tests are many users at one address.
    const unlimited = ['posts', 'logins', 'signups', 'streams'].map((what) => `--limit-${what}=0`);
    this.process = spawn(process.env.TANDEM_BIN, ['--addr', `127.0.0.1:${this.port}`, '--data-dir', this.dir, ...unlimited]);
    for (const out of [this.process.stdout, this.process.stderr]) out.on('data', (data) => { said += data; });
    await until('the server is ready', async () => {
      if (this.process.exitCode !== null) throw new Error(`the server ended: ${said}`);
      return (await fetch(`${this.url}readyz`)).ok;
    });
  }

  async end(signal) {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    const exit = once(this.process, 'exit', { signal: AbortSignal.timeout(PATIENCE) });
    this.process.kill(signal);
    await exit;
  }

  async stop() {
    await this.end('SIGKILL');
    await rm(this.dir, { recursive: true, force: true });
  }

  /** A call to the API; token may be left out. Throws what is not 2xx. */
  async call(method, path, body, token) {
    const res = await fetch(this.url + path, {
      method,
      signal: AbortSignal.timeout(PATIENCE),
      headers: { 'Content-Type': 'application/json', ...(token && { Authorization: `Bearer ${token}` }) },
      body: body && JSON.stringify(body),
    });
    if (!res.ok) throw new Error(`${method} ${path}: ${res.status} ${await res.text()}`);
    return res.json();
  }

  /** Makes an account; returns what they can do. */
  async person(name) {
    const { access_token: token } = await this.call('POST', 'v1/auth/signup', { username: name, password: PASSWORD });
    return {
      name,
      enter: (room) => this.call('PUT', `v1/rooms/${encodeURIComponent(room)}`, undefined, token),
      say: (room, message) => this.call('POST', `v1/rooms/${encodeURIComponent(room)}/messages`, { message }, token),
      follow: async (room, signal) => {
        const { body } = await fetch(`${this.url}v1/events?room=${encodeURIComponent(room)}`, {
          signal, headers: { Accept: 'text/event-stream', Authorization: `Bearer ${token}` },
        });
        body.pipeTo(new WritableStream()).catch(() => {}); // it ends by the signal; unread, it would be collected
      },
    };
  }
}

export function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync',
      // A page that a test fulfills comes from no address; the browser would refuse it our socket before it asks us.
      '--disable-features=LocalNetworkAccessChecks'],
  });
}

/** One person's browser window, with storage of its own. */
export class Window {
  static async open(browser, server, options) {
    const win = new Window();
    win.server = server;
    win.context = await browser.newContext(options);
    win.page = await win.context.newPage();
    win.page.setDefaultTimeout(PATIENCE);
    win.faults = []; // exceptions and breaches of the content security policy; a test ends by expecting none
    win.sockets = 0;
    win.page.on('pageerror', (err) => win.faults.push(String(err)));
    win.page.on('console', (msg) => { if (/Content Security Policy/.test(msg.text())) win.faults.push(msg.text()); });
    win.page.on('websocket', () => { win.sockets++; });
    return win;
  }

  close() { return this.context.close(); }

  /** Opens the page, logs in or signs up through its form; how is 'login' or 'signup'. */
  async enter(how, name, transport = 'ws') {
    await this.page.goto(`${this.server.url}#transport=${transport}`);
    await this.page.fill('#username', name);
    await this.page.fill('#password', PASSWORD);
    await this.page.click(`#auth button[value=${how}]`);
    await until(`${name} is in`, () => this.page.isVisible('#rooms'));
  }

  /** Enters a room by its name and waits until it is live. */
  async go(room) {
    await this.page.fill('#room-name', room);
    await this.page.press('#room-name', 'Enter');
    await until(`${room} is open`, async () => await this.page.textContent('#title') === room);
    await this.live();
  }

  /** Waits until the stream is live and history is there, or is said to be empty. */
  live() {
    return until('the room is live', async () => await this.state() === 'live'
      && (await this.page.isVisible('#empty') || (await this.messages()).length > 0));
  }

  state() { return this.page.evaluate(() => document.getElementById('room').dataset.state); }

  use(transport) { return this.page.check(`#transport [value=${transport}]`); }

  async say(text) {
    await this.page.fill('#text', text);
    await this.page.press('#text', 'Enter');
  }

  /** What stands in the transcript, from top to bottom. id is missing where the server has not answered yet. */
  messages() {
    return this.page.evaluate(() => [...document.querySelectorAll('#messages li')].map((li) => ({
      id: li.className.match(/queued|sent|failed/) ? undefined : li.entry.id,
      user: li.querySelector('.name').textContent,
      text: li.querySelector('.text').textContent,
    })));
  }

  async texts() { return (await this.messages()).map((message) => message.text); }

  users() { return this.page.evaluate(() => [...document.querySelectorAll('#users li')].map((li) => li.textContent)); }
}
