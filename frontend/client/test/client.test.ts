// Accounts, calls and rooms, against the real program, with a fetch that fails on demand.
import { describe, expect, expectTypeOf, test } from 'vitest';
import {
  createClient,
  memoryStore,
  TandemError,
  type ChatMessage,
  type Snapshot,
  type StoredSession,
} from '../src/index.js';
import { faulty, lost, PASSWORD, person, range, server, until } from './people.js';

const running = server();

const shown = (s: Snapshot) => s.messages.map((m) => m.message);

describe('accounts', () => {
  test('signup, logout, login; a wrong password is a typed error', async () => {
    const client = createClient({ url: running.now.url, session: memoryStore() });
    expect(client.user).toBeNull();
    const session = await client.signup('grace', PASSWORD);
    expect(session.user.username).toBe('grace');
    expect(client.user).toBe('grace');
    await client.logout();
    expect(client.user).toBeNull();
    await expect(client.login('grace', 'wrong horse')).rejects.toMatchObject({ code: 'bad_credentials', status: 401 });
    await client.login('grace', PASSWORD);
    expect((await client.request('GET', '/v1/me')).username).toBe('grace');
  });

  test('concurrent calls with an expired token refresh it once', async () => {
    const store = memoryStore();
    const { calls, fetch } = faulty();
    const client = await person(running.now.url, { session: store, fetch });
    await store.set({ ...(store.get() as StoredSession), renew_at: 0 });
    await Promise.all(range(5).map(() => client.request('GET', '/v1/me')));
    expect(calls.filter((path) => path === '/v1/auth/refresh')).toHaveLength(1);
  });

  test('a refused token is replaced, and the call repeated', async () => {
    const store = memoryStore();
    const client = await person(running.now.url, { session: store });
    const session = store.get() as StoredSession;
    await store.set({ ...session, access_token: `${session.access_token}x` });
    expect((await client.request('GET', '/v1/me')).username).toBe(client.user);
  });

  test('a refresh whose answer is lost is repeated, and keeps the session', async () => {
    let fail = true;
    const store = memoryStore();
    const { fetch } = faulty(async (path, go) => {
      const res = await go();
      if (path !== '/v1/auth/refresh' || !fail) return res;
      fail = false;
      return lost();
    });
    const client = await person(running.now.url, { session: store, fetch });
    await store.set({ ...(store.get() as StoredSession), renew_at: 0 });
    expect((await client.request('GET', '/v1/me')).username).toBe(client.user);
  });

  test('when the session ends, listeners are notified', async () => {
    const store = memoryStore();
    const client = await person(running.now.url, { session: store });
    const users: (string | null)[] = [];
    client.onUser((user) => users.push(user));
    await store.set({ ...(store.get() as StoredSession), refresh_token: 'no.such.token', renew_at: 0 });
    await expect(client.request('GET', '/v1/me')).rejects.toMatchObject({ status: 401 });
    expect(users).toEqual([null]);
    expect(store.get()).toBeNull();
  });

  test('getToken supplies external tokens, and a new one if one is refused', async () => {
    const owner = await person(running.now.url);
    const refused: (string | undefined)[] = [];
    const client = createClient({
      url: running.now.url,
      getToken: async (old) => {
        refused.push(old);
        return old ? (await owner.token())! : 'stale';
      },
    });
    expect((await client.request('GET', '/v1/me')).username).toBe(owner.user);
    expect(refused).toEqual([undefined, 'stale']);
  });
});

describe('calls', () => {
  test('are typed, and so are their problems', async () => {
    const client = await person(running.now.url);
    const room = await client
      .request('PUT', '/v1/rooms/{room}', { path: { room: 'комната/ä' } })
      .catch((e: TandemError) => e);
    expect(room).toMatchObject({ code: 'invalid_request', status: 400 });
    const made = await client.request('POST', '/v1/rooms', { body: { name: 'комната', title: 'Комната' } });
    expectTypeOf(made.title).toBeString();
    expect(made).toMatchObject({ name: 'комната', role: 'owner' });
    const page = await client.request('GET', '/v1/rooms/{room}/messages', {
      path: { room: 'комната' },
      query: { limit: 2 },
    });
    expectTypeOf(page.items).items.toMatchObjectType<Pick<ChatMessage, 'id' | 'message'>>();
    const error = await client
      .request('GET', '/v1/rooms/{room}/messages', { path: { room: 'комната' }, query: { limit: 101 } })
      .catch((e: unknown) => e as TandemError);
    expect(error).toBeInstanceOf(TandemError);
    expect((error as TandemError).errors[0]?.field).toBe('limit');
    // @ts-expect-error a path has its own methods
    void (() => client.request('DELETE', '/v1/rooms/{room}/messages', { path: { room: 'x' } }));
    // @ts-expect-error and its own parameters
    void (() => client.request('PUT', '/v1/rooms/{room}'));
  });

  test('end with their signal, and on timeout', async () => {
    const hanging = createClient({ url: running.now.url, fetch: (_, init) => hang(init?.signal) });
    const end = new AbortController();
    const call = hanging.request('GET', '/healthz', { signal: end.signal });
    end.abort(new Error('enough'));
    await expect(call).rejects.toThrow('enough');
    await expect(hanging.request('GET', '/healthz', { timeout: 20 })).rejects.toMatchObject({
      code: 'timeout',
      status: 0,
    });
    const nobody = createClient({ url: 'http://127.0.0.1:1' });
    await expect(nobody.request('GET', '/healthz')).rejects.toMatchObject({ code: 'unreachable', status: 0 });
  });
});

const hang = (signal?: AbortSignal | null) =>
  new Promise<Response>((_, fail) => {
    const end = () => fail(new DOMException('', 'AbortError'));
    if (signal?.aborted) end();
    signal?.addEventListener('abort', end);
  });

describe('a room', () => {
  test('loads earlier history when the network is back', async () => {
    let away = true;
    const spy = faulty((path, go) => (away && path.endsWith('/messages') ? lost() : go()));
    const ada = await person(running.now.url);
    await ada.room('earlier').enter();
    for (const text of range(60)) await ada.room('earlier').send(text).sent();
    away = false;
    const room = (await person(running.now.url, { fetch: spy.fetch })).room('earlier');
    room.subscribe(() => {});
    await until('the first page is loaded', () => !room.getSnapshot().loading);
    away = true;
    const loaded = room.loadEarlier();
    await until('the error is shown', () => room.getSnapshot().error?.code === 'unreachable');
    away = false;
    await loaded;
    await until('all messages are loaded', () => room.getSnapshot().messages.length === 60);
    expect(room.getSnapshot().error).toBeUndefined();
  });

  test('shows its history, new messages and users, each message under one key', async () => {
    const [ada, bob] = [await person(running.now.url), await person(running.now.url)];
    await ada.room('shown').enter();
    for (const text of range(60)) await ada.room('shown').send(text).sent();
    const room = bob.room('shown');
    const keys = new Map<string, Set<string>>();
    const off = room.subscribe(() => {
      for (const m of room.getSnapshot().messages) keys.set(m.message, (keys.get(m.message) ?? new Set()).add(m.key));
    });
    await until('the first page is loaded', () => !room.getSnapshot().loading);
    expect(shown(room.getSnapshot())).toEqual(range(60).slice(10));
    expect(room.getSnapshot().hasEarlier).toBe(true);
    await room.loadEarlier();
    await until('all messages are loaded', () => room.getSnapshot().messages.length === 60);
    expect(shown(room.getSnapshot())).toEqual(range(60));
    expect(room.getSnapshot().hasEarlier).toBe(false);
    room.send('mine');
    await ada.room('shown').send('theirs').sent();
    await until(
      'both messages are sent',
      () => room.getSnapshot().messages.filter((m) => m.state === 'sent').length === 62,
    );
    expect(keys.get('mine')?.size).toBe(1);
    expect(room.getSnapshot().users).toEqual([bob.user]);
    off();
    await until('the stream is closed without watchers', () => bob.status.state === 'closed');
  });

  test('with many events loads its pins with few requests', async () => {
    const { fetch, calls } = faulty((path, go) =>
      path.endsWith('/pins') ? new Promise((r) => setTimeout(r, 200)).then(go) : go(),
    );
    const [ada, bob] = [await person(running.now.url, { fetch }), await person(running.now.url)];
    const [room, other] = [ada.room('busy-pins'), bob.room('busy-pins')];
    await room.enter();
    await other.enter();
    const ids: number[] = [];
    for (const text of ['one', 'two']) ids.push((await other.send(text).sent()).id);
    await room.pin(ids[0]!);
    room.pins.subscribe(() => {});
    await until('the room is followed', () => ada.live?.status.state === 'live');
    let writing = true;
    const writer = (async () => {
      while (writing) await other.send('more').sent();
    })();
    await until('the pin is shown', () => room.pins.getSnapshot()?.length === 1);
    await room.pin(ids[1]!);
    await until('both pins are shown', () => room.pins.getSnapshot()?.length === 2);
    writing = false;
    await writer;
    const pins = calls.filter((path) => path.endsWith('/pins')).length;
    expect(pins).toBeLessThan(10);
  });

  test('that does not exist reports its error, and appears when it is created; others continue', async () => {
    const client = await person(running.now.url);
    await client.room('there').enter();
    const [there, missing] = [client.room('there'), client.room('missing')];
    const offs = [there, missing].map((room) => room.subscribe(() => {}));
    await until('the missing room is reported', () => missing.getSnapshot().error?.code === 'room_not_found');
    await until('the other room is loaded', () => !there.getSnapshot().loading);
    expect(there.getSnapshot().error).toBeUndefined();
    await missing.enter();
    await missing.send('now').sent();
    await until('the room is followed', () => missing.getSnapshot().users.length === 1);
    await until('the message is shown', () => shown(missing.getSnapshot()).includes('now'));
    expect(missing.getSnapshot().error).toBeUndefined();
    offs.forEach((off) => off());
  });

  test('that cannot be joined reports why', async () => {
    const client = await person(running.now.url);
    const room = client.room('no/name');
    await expect(room.enter()).rejects.toMatchObject({ status: 400 });
    await until('the error is reported', () => room.getSnapshot().error?.code === 'invalid_request');
  });

  test('that is always followed stays followed when it is no longer shown', async () => {
    const client = await person(running.now.url, { live: { rooms: ['always'] } });
    for (const name of ['always', 'shown-once']) await client.room(name).enter();
    const off = client.onEvent(() => {});
    // In this order, so that one is left before the other.
    for (const name of ['always', 'shown-once']) client.room(name).subscribe(() => {})();
    await until('both rooms are followed', () => client.live?.rooms.length === 2);
    await until('only one room is followed', () => client.live!.rooms.length < 2);
    expect(client.live?.rooms).toEqual(['always']);
    off();
  });

  test('that is left and shown again has the messages from in between', async () => {
    const [ada, bob] = [await person(running.now.url), await person(running.now.url)];
    await ada.room('away').enter();
    await ada.room('home').enter();
    const keep = bob.room('home').subscribe(() => {});
    const room = bob.room('away');
    room.subscribe(() => {})();
    const off = room.subscribe(() => {});
    await until('the room is followed', () => room.getSnapshot().users.length > 0);
    off();
    await until('the room is no longer followed', () => bob.live?.rooms.includes('away') === false);
    await ada.room('away').send('missed').sent();
    const again = room.subscribe(() => {});
    await until('the missed message is shown', () => shown(room.getSnapshot()).includes('missed'));
    again();
    keep();
  });
});
