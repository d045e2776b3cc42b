// Shared by the tests: a server with a new data directory, windows of a real browser, and waiting for conditions.
// Nothing here waits for a fixed time.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const PATIENCE = 120_000; // ms, generous for a busy machine
export const PASSWORD = 'correct horse';

/** Waits until check() returns something truthy, and returns it. An error in check counts as "not yet". */
export async function until(what, check, ms = PATIENCE) {
  const end = Date.now() + ms;
  for (let last; ; await new Promise((next) => setTimeout(next, 40))) {
    try {
      last = await check();
      if (last) return last;
    } catch (err) {
      last = err;
    }
    if (Date.now() > end) throw new Error(`timed out after ${ms} ms waiting until ${what}`, { cause: last });
  }
}

const PORTS = { first: 8192, count: 4096 }; // below the kernel's ephemeral ports, and beside those of the Go tests

/**
 * Returns a TCP port on 127.0.0.1 that nobody listens on: a stopped server finds it free when it starts again. No other call
 * returns it while this process runs, also in other processes: it listens on a second port, which stands for the first.
 */
export async function freePort() {
  for (;;) {
    const port = PORTS.first + Math.floor(Math.random() * PORTS.count);
    const lock = await listen(port + PORTS.count);
    const probe = lock && await listen(port);
    if (probe) {
      lock.unref();
      probe.close();
      await once(probe, 'close');
      return port;
    }
    lock?.close();
  }
}

/** Returns a server; undefined if the port is in use. */
async function listen(port) {
  const server = createServer().listen(port, '127.0.0.1');
  try {
    await once(server, 'listening');
    return server;
  } catch (err) {
    if (err.code !== 'EADDRINUSE') throw err;
  }
}

export class Server {
  /** options: further flags for the binary. */
  static async start(...options) {
    if (!process.env.TANDEM_BIN) throw new Error('set TANDEM_BIN to the path of the built binary');
    const server = new Server();
    server.options = options;
    server.port = await freePort();
    server.dir = await mkdtemp(join(tmpdir(), 'tandem-app-'));
    server.url = `http://127.0.0.1:${server.port}/`;
    await server.run();
    return server;
  }

  /** Starts the binary, or restarts it on the same port with the same data. */
  async run() {
    let said = '';
    // The tests are many users at one address.
    const unlimited = ['posts', 'logins', 'signups', 'streams', 'writes'].map((what) => `--limit-${what}=0`);
    this.process = spawn(process.env.TANDEM_BIN, ['--addr', `127.0.0.1:${this.port}`, '--data-dir', this.dir, ...unlimited, ...this.options]);
    for (const out of [this.process.stdout, this.process.stderr]) out.on('data', (data) => { said += data; });
    await until('the server is ready', async () => {
      if (this.process.exitCode !== null) throw new Error(`the server exited: ${said}`);
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

  /** Makes an API call; token is optional. Throws unless the status is 2xx. */
  async call(method, path, body, token) {
    const res = await fetch(this.url + path, {
      method,
      signal: AbortSignal.timeout(PATIENCE),
      headers: { 'Content-Type': 'application/json', ...(token && { Authorization: `Bearer ${token}` }) },
      body: body && JSON.stringify(body),
    });
    if (!res.ok) throw new Error(`${method} ${path}: ${res.status} ${await res.text()}`);
    return res.status === 204 ? undefined : res.json();
  }

  /** Creates an account, or logs in; returns the user's actions. */
  async person(name, how = 'signup') {
    const { access_token: token } = await this.call('POST', `v1/auth/${how}`, { username: name, password: PASSWORD });
    return {
      name,
      token,
      call: (method, path, body) => this.call(method, path, body, token),
      enter: (room) => this.call('PUT', `v1/rooms/${encodeURIComponent(room)}`, undefined, token),
      say: (room, message) => this.call('POST', `v1/rooms/${encodeURIComponent(room)}/messages`, { message }, token),
      follow: async (room, signal) => {
        const { body } = await fetch(`${this.url}v1/events?room=${encodeURIComponent(room)}`, {
          signal, headers: { Accept: 'text/event-stream', Authorization: `Bearer ${token}` },
        });
        body.pipeTo(new WritableStream()).catch(() => {}); // ends with the signal; an unread body would be collected
      },
    };
  }
}

/** The whole browser. */
export const CHROMIUM = process.env.CHROMIUM || '/usr/bin/chromium';
/** Chromium without its user interface, for half the processor time. It shows no notifications. Not all systems have it. */
const SHELL = '/usr/bin/chromium-headless-shell';
const HEADLESS = !process.env.CHROMIUM && existsSync(SHELL) ? SHELL : CHROMIUM;

export function launch(executablePath = HEADLESS) {
  return chromium.launch({
    executablePath,
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync',
      // A page that a test fulfills has no address; the browser would refuse its socket to ours without asking us.
      '--disable-features=LocalNetworkAccessChecks'],
  });
}

/** A user's browser window, with separate storage. */
export class Window {
  static async open(browser, server, options) {
    const win = new Window();
    win.server = server;
    win.context = await browser.newContext(options);
    win.page = await win.context.newPage();
    win.page.setDefaultTimeout(PATIENCE);
    win.faults = []; // exceptions and violations of the content security policy; each test ends by expecting none
    win.sockets = 0;
    win.page.on('pageerror', (err) => win.faults.push(String(err)));
    win.page.on('console', (msg) => { if (/Content Security Policy/.test(msg.text())) win.faults.push(msg.text()); });
    win.page.on('websocket', () => { win.sockets++; });
    return win;
  }

  close() { return this.context.close(); }

  /** Opens the app, and logs in or signs up through its form; how is 'login' or 'signup'. */
  async enter(how, name, transport) {
    await this.page.goto(this.server.url);
    await this.page.fill('[name=username]', name);
    await this.page.fill('[name=password]', PASSWORD);
    await this.page.click(`[value=${how}]`);
    await until(`${name} is logged in`, () => this.page.isVisible('nav.side'));
    if (transport) await this.use(transport);
  }

  /** Opens a room by its name and waits until it is live. */
  async go(room) {
    await this.page.fill('nav [name=room]', room);
    await this.page.press('nav [name=room]', 'Enter');
    await this.at(room);
  }

  /** Waits until a room or a conversation is open and live. */
  async at(name) {
    await until(`${name} is open`, async () => await this.page.textContent('.stage h1') === name);
    await this.live();
  }

  /** Waits until the stream is live and history is loaded, or known to be empty. */
  live() {
    return until('the app is live', async () => await this.state() === 'live'
      && await this.page.locator('.chat:not([data-loading])').count() === 1
      && (await this.page.isVisible('.empty') || (await this.messages()).length > 0));
  }

  /** The state and transport that the indicator shows. */
  state() { return this.page.getAttribute('.stage .connection', 'data-state'); }
  transport() { return this.page.getAttribute('.stage .connection', 'data-transport'); }

  /** Waits until the stream is live over a transport. */
  over(transport) {
    return until(`the app is live over ${transport}`, async () => await this.state() === 'live' && await this.transport() === transport);
  }

  /** Forces a transport, or 'auto', with the indicator. */
  async use(transport) {
    await this.page.click('.stage .connection > button');
    await this.page.check(`.stage .connection [value="${transport}"]`);
    await this.page.keyboard.press('Escape');
  }

  async say(text) {
    await this.page.fill('[name=message]', text);
    await this.page.press('[name=message]', 'Enter');
  }

  /**
   * What stands in the transcript, from top to bottom, as far as it is near the screen. id is missing where the server
   * has not answered yet.
   */
  messages() {
    return this.page.evaluate(() => [...document.querySelectorAll('.row')].map((row) => ({
      id: row.dataset.id ? Number(row.dataset.id) : undefined,
      user: row.querySelector('.name, .unseen').textContent,
      text: row.querySelector('.text')?.textContent ?? '',
    })));
  }

  async texts() { return (await this.messages()).map((message) => message.text); }

  /** All messages, read by scrolling from the top, where history is loaded until there is no more, to the end. */
  async all() {
    await until('the list is at its start', () => this.page.evaluate(async () => {
      const el = document.querySelector('.scroller');
      el.scrollTop = 0;
      await new Promise((next) => setTimeout(next, 50));
      return el.scrollTop === 0 && !!document.querySelector('.scroller:not([data-earlier])');
    }));
    const seen = new Map();
    for (let more = true; more;) {
      for (const m of await this.messages()) if (m.id) seen.set(m.id, m);
      more = await this.page.evaluate(async () => {
        const el = document.querySelector('.scroller');
        const was = el.scrollTop;
        el.scrollTop += el.clientHeight / 2;
        await new Promise((next) => requestAnimationFrame(() => requestAnimationFrame(next)));
        return el.scrollTop > was;
      });
    }
    for (const m of await this.messages()) if (m.id) seen.set(m.id, m);
    return [...seen.values()];
  }

  users() { return this.page.evaluate(() => [...document.querySelectorAll('.here li')].map((li) => li.textContent.trim())); }

  /** The number next to a name in the list on the left; 0 if there is none. */
  async unread(name) {
    const item = this.page.locator('nav .item', { hasText: name }).first();
    const [badge] = await item.locator('.unread').allTextContents(); // in one step: it may disappear at any moment
    return badge ? parseInt(badge, 10) : 0;
  }
}
