// Whatever the network and the server do, nothing is lost or duplicated on the screen, and the app shows its transport.
import assert from 'node:assert/strict';
import { cp, rm } from 'node:fs/promises';
import { test } from 'node:test';
import { Server, until } from './harness.mjs';
import { startProxy } from './proxy.mjs';
import { assertInOrder, range, showing, stage } from './stage.mjs';

const on = stage('bob', 'cy', 'dee', 'fay');
const { newWindow, joined } = on;

/** Waits until the last message is shown, and returns all of them. */
async function allOf(win, last) {
  await until(`${last} is shown`, async () => (await win.texts()).at(-1) === last && (await win.messages()).every((m) => m.id));
  return win.all();
}

test('changing the transport during a conversation loses and duplicates nothing', async () => {
  const { fay } = on.people;
  await fay.enter('bridge');
  const win = await joined('login', 'bob', 'bridge', 'ws');
  const other = await joined('login', 'cy', 'bridge', 'sse');
  let done = false;
  const talk = (async () => {
    for (const text of range(60, 'fay')) await fay.say('bridge', text);
    done = true;
  })();
  let switches = 0;
  for (const via of ['sse', 'poll', 'sse-post', 'ws', 'poll', 'auto']) {
    await win.use(via);
    await win.say(`bob ${switches++}`);
    await win.over(via === 'auto' ? 'ws' : via);
  }
  await talk;
  assert.ok(done);
  await until("bob's messages are sent", async () => (await win.messages()).every((m) => m.id));
  await fay.say('bridge', 'the end');
  const [a, b] = [await allOf(win, 'the end'), await allOf(other, 'the end')];
  assert.deepEqual(a, b);
  assertInOrder(a);
  assert.deepEqual(a.filter((m) => m.user === 'fay').map((m) => m.text), [...range(60, 'fay'), 'the end']);
  assert.deepEqual(a.filter((m) => m.user === 'bob').map((m) => m.text), range(switches, 'bob'));
});

const faults = [
  // description, the fault, how it is counted, the transports that may be in use, milliseconds of silence
  ['blocks WebSocket', { socket: true }, ['sse', 'sse-post', 'poll']],
  ['passes heads and withholds bodies', { socket: true, buffer: true }, ['poll']],
  ['cuts every connection after 3 s', { cut: 3000 }, ['ws', 'sse', 'sse-post', 'poll']],
];
for (const [what, fault, expected] of faults) {
  test(`behind a proxy that ${what} the app is usable and shows its transport`, async (t) => {
    const { dee } = on.people;
    const room = what.split(' ')[0];
    await dee.enter(room);
    const { cut, ...others } = fault;
    const proxy = await startProxy(on.server.port, others);
    t.after(() => proxy.close());
    const win = await newWindow({ url: proxy.url });
    await win.enter('login', 'bob');
    await win.go(room);
    proxy.faults.cut = cut; // not before: on a busy machine loading and logging in may take longer
    await until('the transport in use is shown', async () => await win.state() === 'live' && expected.includes(await win.transport()));
    const label = { ws: 'WebSocket', sse: 'SSE', 'sse-post': 'SSE by POST', poll: 'Long poll' };
    await until('the transport is named', async () => {
      const [words, via] = [await win.page.textContent('.stage .connection > button'), await win.transport()];
      return words.includes(label[via]);
    });
    const end = Date.now() + (fault.cut ? 8000 : 1000); // some cuts
    let n = 0;
    for (; n < 10 || Date.now() < end; n++) {
      await Promise.all([win.say(`bob ${n}`), dee.say(room, `dee ${n}`)]);
      await new Promise((next) => setTimeout(next, 150));
    }
    await until('all messages are acknowledged', async () => (await win.messages()).every((m) => m.id));
    await dee.say(room, 'the end');
    const all = await allOf(win, 'the end');
    assertInOrder(all);
    for (const name of ['bob', 'dee']) {
      assert.deepEqual(all.filter((m) => m.user === name && m.text !== 'the end').map((m) => m.text), range(n, name));
    }
  });
}

test('offline for a while: the app says so, unsent messages go out, missed ones arrive', async () => {
  const { fay } = on.people;
  await fay.enter('trip');
  const win = await joined('login', 'bob', 'trip');
  await win.say('before');
  await showing(win, 1);
  await win.context.setOffline(true);
  await until('the app shows that it is offline', async () => /Offline/.test(await win.page.textContent('.stage .connection > button')));
  for (const text of ['one', 'two', 'three']) await win.say(text);
  await until('three messages are pending', async () => (await win.messages()).filter((m) => !m.id).length === 3);
  await fay.say('trip', 'missed');
  await win.context.setOffline(false);
  assert.deepEqual((await showing(win, 5)).map((m) => m.text), ['before', 'missed', 'one', 'two', 'three']);
  await until('the app is live', async () => await win.state() === 'live');
});

test('a silent connection is dropped after 45 s', async () => {
  const win = await newWindow();
  await win.page.clock.install();
  await win.enter('login', 'bob', 'ws');
  await win.go('quiet');
  const answered = (method, path) => win.page.waitForResponse((res) => res.request().method() === method && res.url().endsWith(path));
  const read = answered('PUT', '/quiet/read');
  await win.say('hello');
  const before = await showing(win, 1);
  const heard = answered('GET', '/rooms/quiet'); // requested when the stream announces that it was read, which is the last event
  await Promise.all([read, heard]);
  const { sockets } = win;
  await win.page.clock.fastForward(30_000); // not closer to 45 s: the page's clock also goes on by itself
  assert.deepEqual([win.sockets, await win.state()], [sockets, 'live']);
  await win.page.clock.fastForward(16_000);
  await until('the app has reconnected', async () => win.sockets > sockets && await win.state() === 'live');
  assert.deepEqual(await win.messages(), before);
});

for (const signal of ['SIGTERM', 'SIGKILL']) {
  test(`${signal} and a restart while both type loses and duplicates nothing`, async (t) => {
    const own = await Server.start();
    t.after(() => own.stop());
    const gus = await joined('signup', 'gus', 'lobby', 'ws', own);
    const hal = await joined('signup', 'hal', 'lobby', 'sse', own);
    let typed = 0, stop = false;
    const typing = (async () => {
      for (; !stop || typed < 20; typed++) await Promise.all([gus.say(`gus ${typed}`), hal.say(`hal ${typed}`)]);
    })();
    await until('both users type', () => typed >= 5);
    await own.end(signal);
    const then = typed;
    for (const win of [gus, hal]) await until('the app shows that it is reconnecting', async () => await win.state() !== 'live');
    await until('both users keep typing', () => typed >= then + 5);
    await own.run();
    for (const win of [gus, hal]) await until('the app is live again', async () => await win.state() === 'live');
    stop = true;
    await typing;
    for (const win of [gus, hal]) await until('all messages are acknowledged', async () => (await win.messages()).every((m) => m.id));
    await hal.say('the end');
    const [a, b] = [await allOf(gus, 'the end'), await allOf(hal, 'the end')];
    assert.deepEqual(a, b);
    assertInOrder(a);
    for (const name of ['gus', 'hal']) {
      assert.deepEqual(a.filter((m) => m.user === name && m.text !== 'the end').map((m) => m.text), range(typed, name));
    }
    for (const win of [gus, hal]) await until('both users are listed', async () => (await win.users()).join() === 'gus,hal');
  });
}

test('after the server is restored to an older state, what it lost disappears, and what it has stays', async (t) => {
  const own = await Server.start();
  const copy = `${own.dir}-copy`;
  t.after(async () => { await own.stop(); await rm(copy, { recursive: true, force: true }); });
  const win = await joined('signup', 'ida', 'lobby', 'ws', own);
  await win.say('kept');
  await showing(win, 1);
  await own.end('SIGTERM');
  await cp(own.dir, copy, { recursive: true });
  await own.run();
  await win.live();
  for (let i = 0; i < 5; i++) await win.say(`lost ${i}`);
  await showing(win, 6);
  await own.end('SIGTERM');
  await rm(own.dir, { recursive: true });
  await cp(copy, own.dir, { recursive: true });
  await own.run();
  await until('only the messages of the server are shown', async () => (await win.texts()).join() === 'kept');
  await win.say('and on');
  assert.deepEqual((await showing(win, 2)).map((m) => m.text), ['kept', 'and on']);
});
