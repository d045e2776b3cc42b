// Whatever the network and the server do: nothing is lost or doubled on the screen, and the app says what it uses.
import assert from 'node:assert/strict';
import { cp, rm } from 'node:fs/promises';
import { test } from 'node:test';
import { Server, until } from './harness.mjs';
import { startProxy } from './proxy.mjs';
import { TIMEOUT, assertInOrder, range, showing, stage } from './stage.mjs';

const on = stage('bob', 'cy', 'dee', 'fay');
const { newWindow, joined } = on;

/** Waits until the last message is there, and gives all of them. */
async function allOf(win, last) {
  await until(`${last} came`, async () => (await win.texts()).at(-1) === last && (await win.messages()).every((m) => m.id));
  return win.all();
}

test('changing the transport in mid-conversation loses and doubles nothing', TIMEOUT, async () => {
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
  await fay.say('bridge', 'the end');
  const [a, b] = [await allOf(win, 'the end'), await allOf(other, 'the end')];
  assert.deepEqual(a, b);
  assertInOrder(a);
  assert.deepEqual(a.filter((m) => m.user === 'fay').map((m) => m.text), [...range(60, 'fay'), 'the end']);
  assert.deepEqual(a.filter((m) => m.user === 'bob').map((m) => m.text), range(switches, 'bob'));
});

const faults = [
  // what, the fault, how it is counted, which transports may be in use, milliseconds without anything
  ['blocks WebSocket', { socket: true }, ['sse', 'sse-post', 'poll']],
  ['passes heads and withholds bodies', { socket: true, buffer: true }, ['poll']],
  ['cuts every connection after 3 s', { cut: 3000 }, ['ws', 'sse', 'sse-post', 'poll']],
];
for (const [what, fault, expected] of faults) {
  test(`behind a proxy that ${what} the app is usable and says what it uses`, TIMEOUT, async (t) => {
    const { dee } = on.people;
    const room = what.split(' ')[0];
    await dee.enter(room);
    const proxy = await startProxy(on.server.port, fault);
    t.after(() => proxy.close());
    const win = await newWindow({ url: proxy.url });
    await win.enter('login', 'bob');
    await win.go(room);
    await until('it says what it uses', async () => await win.state() === 'live' && expected.includes(await win.transport()));
    const label = { ws: 'WebSocket', sse: 'SSE', 'sse-post': 'SSE by POST', poll: 'Long poll' };
    await until('in words', async () => {
      const [words, via] = [await win.page.textContent('.stage .connection > button'), await win.transport()];
      return words.includes(label[via]);
    });
    const end = Date.now() + (fault.cut ? 8000 : 1000); // some cuts
    let n = 0;
    for (; n < 10 || Date.now() < end; n++) {
      await Promise.all([win.say(`bob ${n}`), dee.say(room, `dee ${n}`)]);
      await new Promise((next) => setTimeout(next, 150));
    }
    await until('all is answered', async () => (await win.messages()).every((m) => m.id));
    await dee.say(room, 'the end');
    const all = await allOf(win, 'the end');
    assertInOrder(all);
    for (const name of ['bob', 'dee']) {
      assert.deepEqual(all.filter((m) => m.user === name && m.text !== 'the end').map((m) => m.text), range(n, name));
    }
  });
}

test('offline for a while: it says so, what was written goes out, what was missed comes', TIMEOUT, async () => {
  const { fay } = on.people;
  await fay.enter('trip');
  const win = await joined('login', 'bob', 'trip');
  await win.say('before');
  await showing(win, 1);
  await win.context.setOffline(true);
  await until('it says so', async () => /Offline/.test(await win.page.textContent('.stage .connection > button')));
  for (const text of ['one', 'two', 'three']) await win.say(text);
  await until('they wait', async () => (await win.messages()).filter((m) => !m.id).length === 3);
  await fay.say('trip', 'missed');
  await win.context.setOffline(false);
  assert.deepEqual((await showing(win, 5)).map((m) => m.text), ['before', 'missed', 'one', 'two', 'three']);
  await until('it is live', async () => await win.state() === 'live');
});

test('a connection that has gone silent is given up after 45 s', TIMEOUT, async () => {
  const win = await newWindow();
  await win.page.clock.install();
  await win.enter('login', 'bob', 'ws');
  await win.go('quiet');
  const answered = (method, path) => win.page.waitForResponse((res) => res.request().method() === method && res.url().endsWith(path));
  const read = answered('PUT', '/quiet/read');
  await win.say('hello');
  const before = await showing(win, 1);
  const heard = answered('GET', '/rooms/quiet'); // asked for when the stream tells that it is read: the last it tells
  await Promise.all([read, heard]);
  const { sockets } = win;
  await win.page.clock.fastForward(44_000);
  assert.deepEqual([win.sockets, await win.state()], [sockets, 'live']);
  await win.page.clock.fastForward(2_000);
  await until('it has come back', async () => win.sockets > sockets && await win.state() === 'live');
  assert.deepEqual(await win.messages(), before);
});

for (const signal of ['SIGTERM', 'SIGKILL']) {
  test(`${signal} and a new start while both type loses and doubles nothing`, TIMEOUT, async (t) => {
    const own = await Server.start();
    t.after(() => own.stop());
    const gus = await joined('signup', 'gus', 'lobby', 'ws', own);
    const hal = await joined('signup', 'hal', 'lobby', 'sse', own);
    let typed = 0, stop = false;
    const typing = (async () => {
      for (; !stop || typed < 20; typed++) await Promise.all([gus.say(`gus ${typed}`), hal.say(`hal ${typed}`)]);
    })();
    await until('they are at it', () => typed >= 5);
    await own.end(signal);
    const then = typed;
    for (const win of [gus, hal]) await until('it shows that it retries', async () => await win.state() !== 'live');
    await until('they type on', () => typed >= then + 5);
    await own.run();
    for (const win of [gus, hal]) await until('it is live again', async () => await win.state() === 'live');
    stop = true;
    await typing;
    for (const win of [gus, hal]) await until('all is answered', async () => (await win.messages()).every((m) => m.id));
    await hal.say('the end');
    const [a, b] = [await allOf(gus, 'the end'), await allOf(hal, 'the end')];
    assert.deepEqual(a, b);
    assertInOrder(a);
    for (const name of ['gus', 'hal']) {
      assert.deepEqual(a.filter((m) => m.user === name && m.text !== 'the end').map((m) => m.text), range(typed, name));
    }
    for (const win of [gus, hal]) await until('both are here', async () => (await win.users()).join() === 'gus,hal');
  });
}

test('a server put back to an older state is believed: what it lost goes, what it has stays', TIMEOUT, async (t) => {
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
  await until('only what the server has is shown', async () => (await win.texts()).join() === 'kept');
  await win.say('and on');
  assert.deepEqual((await showing(win, 2)).map((m) => m.text), ['kept', 'and on']);
});
