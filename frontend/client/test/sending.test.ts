// Sending messages, against the real program, with a fetch that fails on demand.
import { describe, expect, test } from 'vitest';
import { createClient, memoryStore, type StoredSession } from '../src/index.js';
import { faulty, lost, person, PASSWORD, range, server, until } from './people.js';

const running = server();

describe('sending', () => {
  test('messages whose answers are lost are retried and posted once each, in order', async () => {
    let n = 0;
    const { calls, fetch } = faulty(async (path, go) => {
      if (!path.endsWith('/messages')) return go();
      const turn = ++n % 3;
      if (turn === 1) return lost(); // it never arrived
      const res = await go();
      return turn === 2 ? lost() : res; // it arrived, and the answer was lost
    });
    const client = await person(running.now.url, { fetch });
    const room = client.room('flaky');
    await room.enter();
    const sent = await Promise.all(range(4).map((text) => room.send(text).sent()));
    expect(calls.filter((path) => path.endsWith('/messages')).length).toBeGreaterThan(4);
    expect(sent.map((e) => e.id)).toEqual([...sent.map((e) => e.id)].sort((a, b) => a - b));
    const reader = await person(running.now.url);
    const { items } = await reader.request('GET', '/v1/rooms/{room}/messages', { path: { room: 'flaky' } });
    expect(items.map((m) => m.message)).toEqual(range(4));
  });

  test.each([
    ['breaks off', 'unreachable', () => new ReadableStream({ pull: (to) => to.error(new TypeError('terminated')) })],
    ["is another server's page", 'http_200', () => '<html>Log in to this network</html>'],
  ])('a message whose answer %s is retried, and posted once', async (_, code, body) => {
    let broken = true;
    const { fetch } = faulty(async (path, go) => {
      const res = await go();
      return path.endsWith('/messages') && broken ? new Response(body()) : res;
    });
    const client = await person(running.now.url, { fetch });
    const room = client.room('broken');
    await room.enter();
    const item = room.send(code);
    await until('the message waits', () => item.error?.code === code);
    expect(item.state).toBe('sending');
    broken = false;
    const { id } = await item.sent();
    const { items } = await client.request('GET', '/v1/rooms/{room}/messages', { path: { room: 'broken' } });
    expect(items.filter((m) => m.message === code).map((m) => m.id)).toEqual([id]);
  });

  test('a message sent with a nonce before a reload is not posted again', async () => {
    const store = memoryStore();
    const client = await person(running.now.url, { session: store });
    await client.room('reloaded').enter();
    const first = client.room('reloaded').send('once');
    const event = await first.sent();
    const next = createClient({ url: running.now.url, session: store });
    const again = await next.room('reloaded').send('once', { nonce: first.nonce }).sent();
    expect(again.id).toBe(event.id);
  });

  test('429 is retried after the time it names', async () => {
    let asked = 0;
    const { fetch } = faulty((path, go) => {
      if (!path.endsWith('/messages') || asked++) return go();
      const body = JSON.stringify({ code: 'rate_limited', title: 'Slow down', status: 429 });
      return Promise.resolve(new Response(body, { status: 429, headers: { 'Retry-After': '1' } }));
    });
    const client = await person(running.now.url, { fetch });
    const room = client.room('slow');
    await room.enter();
    const item = room.send('patience');
    await until('the message waits', () => item.error?.code === 'rate_limited');
    expect(item.error?.retryAfter).toBe(1);
    expect((await item.sent()).id).toBeGreaterThan(0);
    expect(asked).toBe(2);
  });

  test('a refused message is marked as failed, does not block others, and can be discarded', async () => {
    const client = await person(running.now.url);
    const room = client.room('refusing');
    await room.enter();
    const off = room.subscribe(() => {});
    await until('the room is loaded', () => !room.getSnapshot().loading);
    const bad = room.send('x'.repeat(4001));
    const good = room.send('short');
    await expect(bad.sent()).rejects.toMatchObject({ status: 400 });
    await good.sent();
    await until('both messages are shown', () => room.getSnapshot().messages.length === 2);
    expect(room.getSnapshot().messages.map((m) => m.state)).toEqual(['sent', 'failed']);
    bad.discard();
    await until('the discarded message is gone', () => room.getSnapshot().messages.length === 1);
    off();
  });
});

test('an invisible message fails at once', async () => {
  const { calls, fetch } = faulty();
  const client = await person(running.now.url, { fetch });
  const room = client.room('seen');
  await room.enter();
  const { id } = await room.send('hello').sent();
  const before = calls.length;
  const blank = room.send(' \u200b\n');
  await expect(blank.sent()).rejects.toMatchObject({ code: 'message_empty', status: 400 });
  expect(blank.state).toBe('failed');
  expect(calls.length).toBe(before + 1);
  await expect(room.edit(id, '\u2800')).rejects.toMatchObject({ code: 'message_empty' });
});

describe('what one has written and not got out', () => {
  const history = async (room: string) => {
    const reader = await person(running.now.url);
    const { items } = await reader.request('GET', '/v1/rooms/{room}/messages', { path: { room } });
    return items.map((m) => m.message);
  };

  test('does not go out as the user who logs in next', async () => {
    let away = true;
    const { fetch } = faulty((path, go) => (away && path.endsWith('/messages') ? lost() : go()));
    const client = await person(running.now.url, { fetch });
    await client.room('handed-on').enter();
    const mine = client.room('handed-on').send('mine');
    await until('the message waits', () => mine.error?.code === 'unreachable');
    await client.logout();
    away = false;
    await client.signup(`next-${Date.now()}`, PASSWORD);
    await expect(mine.sent()).rejects.toMatchObject({ code: 'signed_out' });
    await client.room('handed-on').send('theirs').sent();
    expect(await history('handed-on')).toEqual(['theirs']);
  });

  test('in a room kept since before a login, does not go out as the next user either', async () => {
    let away = true;
    const { fetch } = faulty((path, go) => (away && path.endsWith('/messages') ? lost() : go()));
    const client = await person(running.now.url, { fetch });
    await client.room('kept').enter();
    await client.logout();
    await client.signup(`second-${Date.now()}`, PASSWORD);
    const kept = client.room('kept');
    await client.logout();
    const again = client.room('kept');
    await client.signup(`third-${Date.now()}`, PASSWORD);
    kept.subscribe(() => {});
    await until('a room kept from earlier shows who is there', () => kept.getSnapshot().users.length === 1);
    const mine = [kept.send('mine'), again.send('mine too')];
    await until('the messages wait', () => mine.every((one) => one.error?.code === 'unreachable'));
    await client.logout();
    away = false;
    await client.signup(`fourth-${Date.now()}`, PASSWORD);
    for (const one of mine) await expect(one.sent()).rejects.toMatchObject({ code: 'signed_out' });
    expect(await history('kept')).toEqual([]);
  });

  test('does not go out as a user who has logged in in another tab unnoticed', async () => {
    const [mine, theirs] = [memoryStore(), memoryStore()];
    const client = await person(running.now.url, { session: mine });
    await client.room('taken-over').enter();
    await person(running.now.url, { session: theirs });
    await mine.set(await theirs.get());
    const call = client.request('POST', '/v1/rooms/{room}/messages', {
      path: { room: 'taken-over' },
      body: { message: 'called' },
    });
    await expect(call).rejects.toMatchObject({ code: 'signed_out' });
    await mine.set({ ...((await theirs.get()) as StoredSession), user: { username: 'ghost', role: 'user' } });
    await expect(client.room('taken-over').send('sent').sent()).rejects.toMatchObject({ code: 'signed_out' });
    expect(await history('taken-over')).toEqual([]);
  });
});
