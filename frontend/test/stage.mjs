// The start of the app's test files: a browser, a server, and windows that are closed after each test. A test fails if
// something was thrown in one of them, or the content security policy was violated.
import assert from 'node:assert/strict';
import { after, afterEach, before } from 'node:test';
import { Server, Window, launch, until } from './harness.mjs';

/** names: the users with accounts. */
export const stage = (...names) => stageIn(launch, ...names);

/** start starts the browser. */
export function stageIn(start, ...names) {
  const all = { browser: undefined, server: undefined, windows: [], people: {}, newWindow, joined };
  before(async () => {
    [all.browser, all.server] = await Promise.all([start(), Server.start()]);
    for (const name of names) all.people[name] = await all.server.person(name);
  });
  after(async () => {
    await all.browser?.close();
    await all.server?.stop();
  });
  afterEach(async () => {
    const open = all.windows.splice(0);
    for (const win of open) await win.close();
    for (const win of open) assert.deepEqual(win.faults, []);
  });

  async function newWindow(at = all.server, options) {
    const win = await Window.open(all.browser, at, { locale: 'en-GB', ...options });
    all.windows.push(win);
    return win;
  }

  /** A user's window with an open room; how is 'login' or 'signup'. */
  async function joined(how, name, room, transport, at) {
    const win = await newWindow(at);
    await win.enter(how, name, transport);
    await win.go(room);
    return win;
  }
  return all;
}

export const range = (n, name, from = 0) => Array.from({ length: n }, (_, i) => `${name} ${i + from}`);

/** Waits until n messages acknowledged by the server are shown. */
export const showing = (win, n) => until(`${n} messages are shown`, async () => {
  const messages = await win.messages();
  return messages.length >= n && messages.every((m) => m.id) && messages;
});

export function assertInOrder(messages) {
  const ids = messages.map((m) => m.id);
  assert.deepEqual(ids, [...new Set(ids)].sort((a, b) => a - b));
}
