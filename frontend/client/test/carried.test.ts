// Threads, custom events, and what messages carry besides text, against the real program.
import { describe, expect, expectTypeOf, test } from 'vitest';
import type { CustomEventOf, Message, RoomHandle, Tandem, ThreadHandle } from '../src/index.js';
import { reacted, withReply } from '../src/message.js';
import { faulty, lost, person, range, server, until } from './people.js';

declare module '../src/data.js' {
  interface TandemData {
    message: { ticket?: number; tags?: string[] };
    events: {
      'cursor.moved': { x: number; y: number };
      'note.added': { id: string; text: string };
      'board.cleared': undefined;
    };
  }
}

const running = server();

/** Two users who follow a room. */
async function two(name: string, options: object[] = []): Promise<{ people: Tandem[]; rooms: RoomHandle[] }> {
  const people = [await person(running.now.url, options[0]), await person(running.now.url, options[1])];
  const rooms = people.map((client) => client.room(name));
  for (const room of rooms) {
    await room.enter();
    room.subscribe(() => {});
    await until('the room is loaded', () => !room.getSnapshot().loading && room.getSnapshot().users.length > 0);
  }
  return { people, rooms };
}

const only = (c: { getSnapshot(): { messages: Message[] } }) => c.getSnapshot().messages.at(-1)!;

describe('data', () => {
  test('comes with its message, even without text; is changed and removed; has the type that the app declares', async () => {
    const { rooms } = await two('data');
    const [ada, bob] = rooms as [RoomHandle, RoomHandle];
    const item = ada.send('see', { data: { ticket: 7, tags: ['a'] } });
    expect(ada.getSnapshot().messages).toEqual([]);
    await until('the message is shown while it is sent', () => only(ada)?.data?.ticket === 7);
    const { id } = await item.sent();
    await until('the message arrives', () => only(bob)?.id === id);
    expect(only(bob)).toMatchObject({ message: 'see', data: { ticket: 7, tags: ['a'] } });
    expectTypeOf(only(bob).data).toEqualTypeOf<{ ticket?: number; tags?: string[] } | undefined>();
    // @ts-expect-error the type is declared by the app
    void (() => ada.send('x', { data: { ticket: 'seven' } }));

    await ada.edit(id, 'seen', { ticket: 8 });
    await until('the data is changed', () => only(bob).data?.ticket === 8);
    expect(only(bob)).toMatchObject({ message: 'seen', data: { ticket: 8 } });
    await ada.edit(id, undefined, null);
    await until('the data is removed', () => only(bob).data === undefined);
    expect(only(bob).message).toBe('seen');

    const bare = await ada.send('', { data: { tags: [] } }).sent();
    await until('the message arrives', () => only(bob).id === bare.id);
    expect(only(bob)).toMatchObject({ message: '', data: { tags: [] } });
    await bob.load();
    expect(only(bob)).toMatchObject({ message: '', data: { tags: [] } });
    await ada.delete(bare.id);
    await until('the message is deleted', () => only(bob).deleted === true);
    expect(only(bob).data).toBeUndefined();
  });

  test('are in the message, and are listed', async () => {
    const { people, rooms } = await two('mentioned');
    const name = people[1]!.user!;
    const { id } = await rooms[0]!.send(`@${name} look`).sent();
    await until('the message arrives', () => only(rooms[1]!)?.id === id);
    expect(only(rooms[1]!).mentions).toEqual([name]);
    await rooms[0]!.edit(id, 'never mind');
    await until('the edit arrives', () => only(rooms[1]!).message === 'never mind');
    expect(only(rooms[1]!).mentions).toBeUndefined();
    await rooms[0]!.edit(id, `after all, @${name}`);
    const { items } = await people[1]!.mentions({ limit: 1 });
    expect(items).toMatchObject([{ id, message: `after all, @${name}` }]);
  });
});

describe("events of the app's own", () => {
  for (const transport of ['ws', 'sse', 'poll'] as const) {
    test(`reach listeners, durable and ephemeral, over ${transport}`, async () => {
      const { rooms } = await two(`events-${transport}`, [{ transports: [transport] }, { transports: [transport] }]);
      const [ada, bob] = rooms as [RoomHandle, RoomHandle];
      const moves: CustomEventOf<'cursor.moved'>[] = [];
      const all: string[] = [];
      bob.on('cursor.moved', (event) => moves.push(event));
      const off = bob.on('*', (event) => all.push(event.name));
      expectTypeOf<(typeof moves)[number]['data']>().toEqualTypeOf<{ x: number; y: number }>();
      expect(await ada.emit('cursor.moved', { x: 1, y: 2 }, { ephemeral: true })).toBeUndefined();
      // A waiting poll is completed by a durable event, and includes the ephemeral ones before it.
      if (transport !== 'poll') await until('the event arrives', () => moves.length === 1);
      const note = await ada.emit('note.added', { id: 'n', text: 'hi' });
      await until('the event arrives', () => moves.length === 1);
      expect(moves[0]).toMatchObject({ type: 'custom_event', data: { x: 1, y: 2 } });
      expect(moves[0]!.id).toBeUndefined();
      expect(note?.id).toBeGreaterThan(0);
      await ada.emit('board.cleared');
      await until('all three events arrive', () => all.length === 3);
      expect(all).toEqual(['cursor.moved', 'note.added', 'board.cleared']);
      expect(bob.getSnapshot().messages).toEqual([]);
      off();
      await ada.emit('cursor.moved', { x: 3, y: 4 });
      await until('the second event arrives', () => moves.length === 2);
      expect(all).toHaveLength(3);
      // @ts-expect-error a cursor has two coordinates
      void (() => ada.emit('cursor.moved', { x: 1 }));
      // @ts-expect-error which are required
      void (() => ada.emit('cursor.moved'));
    });
  }

  test('an ephemeral one needs no request if a WebSocket is open', async () => {
    const spy = faulty();
    const { rooms } = await two('by-socket', [{ fetch: spy.fetch }]);
    const moves: number[] = [];
    rooms[1]!.on('cursor.moved', ({ data }) => moves.push(data.x));
    const before = spy.calls.length;
    for (let x = 0; x < 10; x++) await rooms[0]!.emit('cursor.moved', { x, y: 0 }, { ephemeral: true });
    await until('all events arrive', () => moves.length === 10);
    expect(moves).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(spy.calls.slice(before)).toEqual([]);
  });

  test('in a conversation reach both users', async () => {
    const people = [await person(running.now.url), await person(running.now.url)];
    const [ada, bob] = [people[0]!.private(people[1]!.user!), people[1]!.private(people[0]!.user!)];
    const heard: string[] = [];
    ada.on('note.added', ({ data }) => heard.push(`ada ${data.text}`));
    bob.on('note.added', ({ data }) => heard.push(`bob ${data.text}`));
    for (const client of people) await until('the client is live', () => client.status.state === 'live');
    await ada.emit('note.added', { id: '1', text: 'psst' });
    await bob.emit('note.added', { id: '2', text: 'what' }, { ephemeral: true });
    await until('both clients got both events', () => heard.length === 4);
    expect(heard).toContain('bob psst');
    expect(heard).toContain('ada psst');
    expect(heard).toContain("ada what");
  });

  test('a durable one whose answer is lost is in the log once', async () => {
    let n = 0;
    const { fetch } = faulty(async (path, go) => {
      if (!path.endsWith('/events') || path === '/v1/events') return go();
      const turn = ++n;
      if (turn === 1) return lost();
      const res = await go();
      return turn === 2 ? lost() : res;
    });
    const { rooms } = await two('once', [{ fetch }]);
    const heard: string[] = [];
    rooms[1]!.on('note.added', ({ data }) => heard.push(data.id));
    const both = [
      rooms[0]!.emit('note.added', { id: 'a', text: '' }),
      rooms[0]!.emit('note.added', { id: 'b', text: '' }),
    ];
    await Promise.all(both);
    await until('both events arrive', () => heard.length >= 2);
    expect(heard).toEqual(['a', 'b']);
    expect(n).toBeGreaterThan(2);
  });

  test('a refused one throws; an ephemeral one over the limit does not', async () => {
    const { rooms } = await two('refused');
    await expect(rooms[0]!.emit('No Such Name' as never, undefined as never)).rejects.toMatchObject({ status: 400 });
    await expect(
      rooms[0]!.emit('Nor This' as never, ...([undefined, { ephemeral: true }] as unknown as [never])),
    ).rejects.toMatchObject({ status: 400 });
    const client = await person(running.now.url, {
      fetch: faulty((path, go) =>
        /lobby\/events$/.test(path)
          ? Promise.resolve(new Response(JSON.stringify({ code: 'rate_limited' }), { status: 429 }))
          : go(),
      ).fetch,
    });
    await expect(
      client.room('lobby').emit('cursor.moved', { x: 0, y: 0 }, { ephemeral: true }),
    ).resolves.toBeUndefined();
  });
});

describe('a thread', () => {
  const texts = (c: RoomHandle | ThreadHandle) => c.getSnapshot().messages.map((m) => m.message);

  test('is separate from the room, which counts its replies, live as in history', async () => {
    const { people, rooms } = await two('threads');
    const [ada, bob] = rooms as [RoomHandle, RoomHandle];
    const root = await ada.send('root').sent();
    await ada.send('next').sent();
    await until('the reply arrives', () => texts(bob).length === 2);
    const thread = bob.thread(root.id);
    expect(bob.thread(root.id)).toBe(thread);
    const off = thread.subscribe(() => {});
    await until('the thread is loaded', () => !thread.getSnapshot().loading);
    expect(thread.first?.message).toBe('root');

    await ada.thread(root.id).send('one').sent();
    await thread.send('two').sent();
    const { id } = await ada.send('three', { thread: root.id }).sent();
    await until('all replies arrive', () => texts(thread).length === 4);
    expect(texts(thread)).toEqual(['root', 'one', 'two', 'three']);
    expect(thread.getSnapshot().messages[1]!.thread).toBe(root.id);
    for (const room of rooms) {
      await until('the root counts 3 replies', () => room.getSnapshot().messages[0]?.replies?.count === 3);
      expect(texts(room)).toEqual(['root', 'next']);
      expect(room.getSnapshot().messages[0]!.replies).toEqual({
        count: 3,
        last_id: id,
        users: [people[0]!.user, people[1]!.user],
      });
    }
    await bob.load();
    expect(bob.getSnapshot().messages[0]!.replies).toMatchObject({ count: 3, last_id: id });

    await ada.edit(id, 'drei');
    await until('the reply is edited', () => texts(thread).at(-1) === 'drei');
    await ada.delete(id);
    await until('the reply is deleted', () => texts(thread).at(-1) === '');
    for (const room of rooms) await until('the root counts 2 replies', () => room.getSnapshot().messages[0]?.replies?.count === 2);
    off();
  });

  test('counts a reply once, however often it arrives', () => {
    const reply = (id: number, user: string) => ({ id, user, message: '', sent_at: '', thread: 1 });
    const once = withReply(undefined, reply(5, 'ada'));
    expect(withReply(once, reply(5, 'ada'))).toBe(once);
    const all = ['bob', 'cem', 'dan', 'eve', 'fay', 'bob'].reduce((r, user, i) => withReply(r, reply(6 + i, user)), once);
    expect(all).toEqual({ count: 7, last_id: 11, users: ['bob', 'fay', 'eve', 'dan', 'cem'] });
    expect(withReply(all, reply(8, 'dan'))).toBe(all);
  });

  test("shows a user's own reply at once, under one key, and not in the room", async () => {
    const { rooms } = await two('threads-own');
    const room = rooms[0]!;
    const root = await room.send('root').sent();
    const thread = room.thread(root.id);
    const off = thread.subscribe(() => {});
    await until('the thread is loaded', () => thread.getSnapshot().messages.length === 1);
    const keys = new Set<string>();
    thread.subscribe(() =>
      thread
        .getSnapshot()
        .messages.slice(1)
        .forEach((m) => keys.add(m.key)),
    );
    const item = thread.send('mine');
    await until('the reply is shown', () => texts(thread).length === 2);
    await item.sent();
    await until('the root counts the reply', () => room.getSnapshot().messages[0]?.replies?.count === 1);
    expect(keys.size).toBe(1);
    expect(texts(room)).toEqual(['root']);
    off();
  });

  test('with many messages loads its latest page first, and its root', async () => {
    const { rooms } = await two('threads-long');
    const root = await rooms[0]!.send('root').sent();
    for (const text of range(60)) await rooms[0]!.thread(root.id).send(text).sent();
    const thread = rooms[1]!.thread(root.id);
    const off = thread.subscribe(() => {});
    await until('the thread is loaded', () => !thread.getSnapshot().loading);
    expect(texts(thread).at(-1)).toBe('m59');
    expect(thread.getSnapshot().hasEarlier).toBe(true);
    expect(thread.first?.message).toBe('root');
    await thread.loadEarlier();
    await until('all replies are loaded', () => texts(thread).length === 61);
    expect(texts(thread)).toEqual(['root', ...range(60)]);
    off();
  });

  test('in a conversation', async () => {
    const people = [await person(running.now.url), await person(running.now.url)];
    const [ada, bob] = [people[0]!.private(people[1]!.user!), people[1]!.private(people[0]!.user!)];
    for (const c of [ada, bob]) {
      c.subscribe(() => {});
      await until('the room is loaded', () => !c.getSnapshot().loading);
    }
    const { id } = await ada.send('root').sent();
    await ada.thread(id).send('reply').sent();
    await bob.thread(id).send('and back').sent();
    for (const c of [ada, bob]) await until('the root counts 2 replies', () => only(c)?.replies?.count === 2);
    expect(bob.getSnapshot().messages.map((m) => m.message)).toEqual(['root']);
  });
});

test('reactions of users whom the server does not name can be removed', () => {
  const users = range(20, 'u');
  const old = [{ emoji: '👍', count: 22, me: false, users }];
  const by = (user: string, type = 'reaction_removed') => ({ type, user, emoji: '👍' });
  const one = reacted(old, by('zed'), 'ada');
  expect(one).toEqual([{ ...old[0], count: 21 }]);
  expect(reacted(old, by('ada'), 'ada')).toBe(old); // the server does say whether the user is among them
  const named = reacted(reacted(one, by('yan'), 'ada'), by('u0'), 'ada');
  expect(named).toEqual([{ ...old[0], count: 19, users: users.slice(1) }]);
  expect(reacted(named, by('u0'), 'ada')).toBe(named);
});
