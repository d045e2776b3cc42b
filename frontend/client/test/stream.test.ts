// Streams over the wire, against the real program, through faulty proxies.
import { afterEach, describe, expect, test, vi } from 'vitest';
import { startProxy, type Faults, type Proxy } from '../../test/proxy.mjs';
import WebSocket from 'ws';
import { createClient, TandemError, type Stream, type Tandem, type Transport } from '../src/index.js';
import { events, live, person, range, server, texts, until } from './people.js';

const running = server();
const ALL: Transport[] = ['ws', 'sse', 'sse-post', 'poll'];
const open: Stream[] = [];
const proxies: Proxy[] = [];

afterEach(async () => {
  open.splice(0).forEach((stream) => stream.close());
  await Promise.all(proxies.splice(0).map((proxy) => proxy.close()));
  vi.unstubAllGlobals();
});

function follow(client: Tandem, options: Parameters<Tandem['stream']>[0]): Stream {
  const stream = client.stream(options);
  open.push(stream);
  return stream;
}

async function through(faults: Faults): Promise<Proxy> {
  const proxy = await startProxy(running.now.port, faults);
  proxies.push(proxy);
  return proxy;
}

async function lobby(name: string): Promise<Tandem> {
  const writer = await person(running.now.url);
  await writer.room(name).enter();
  return writer;
}

describe.each(ALL)('over %s', (transport) => {
  test('history, then new messages, in order, with the users present', async () => {
    const room = `order-${transport}`;
    const writer = await lobby(room);
    for (const text of range(5, 'old')) await writer.room(room).send(text).sent();
    const reader = await person(running.now.url);
    const stream = follow(reader, { rooms: [room], history: 2, transport });
    const heard = events(stream);
    const said = texts(stream);
    await live(stream);
    await until('the history arrives', () => said.length === 2);
    await Promise.all(range(10).map((text) => writer.room(room).send(text).sent()));
    await until('all messages arrive', () => said.length >= 12);
    expect(said).toEqual(['old3', 'old4', ...range(10)]);
    expect(heard[0]).toMatchObject({ type: 'stream_open', user: reader.user, rooms: [room], resumed: false });
    expect(heard[1]).toMatchObject({ type: 'user_list', room, users: [reader.user] });
    expect(stream.status).toMatchObject({ state: 'live', transport, forced: true });
  });
});

test('changing transports while others write loses and duplicates nothing', async () => {
  const writer = await lobby('switch');
  const stream = follow(await person(running.now.url), { rooms: ['switch'] });
  const said = texts(stream);
  await live(stream);
  const used = new Set<string | null>();
  stream.on('status', (s) => s.state === 'live' && used.add(s.transport));
  let writing = true;
  const written: string[] = [];
  const write = (async () => {
    for (let n = 0; writing; n++) {
      written.push(`m${n}`);
      await writer.room('switch').send(`m${n}`).sent();
    }
  })();
  for (const transport of ['sse', 'poll', 'ws', 'sse-post', 'poll', 'auto'] as const) {
    stream.use(transport);
    const via = transport === 'auto' ? 'ws' : transport;
    await until(`${via} is live`, () => stream.status.state === 'live' && stream.status.transport === via);
    const n = said.length;
    await until('more messages arrive', () => said.length > n + 3);
  }
  writing = false;
  await write;
  await until('all messages arrive', () => said.length >= written.length);
  expect(said).toEqual(written);
  expect([...used].sort()).toEqual(['poll', 'sse', 'sse-post', 'ws']);
});

test('when the server is killed while others write, every message comes once, in order', async () => {
  const writer = await lobby('kill');
  const stream = follow(await person(running.now.url), { rooms: ['kill'] });
  const said = texts(stream);
  const states: string[] = [];
  stream.on('status', (s) => states.push(s.state));
  await live(stream);
  const sent = range(40).map((text) => writer.room('kill').send(text).sent());
  await until('some messages arrive', () => said.length > 5);
  await running.now.end('SIGKILL');
  await until('the cut is noticed', () => stream.status.state === 'retrying');
  await running.now.run();
  await Promise.all(sent);
  await until('all messages arrive', () => said.length >= 40);
  expect(said).toEqual(range(40));
  expect(stream.status).toMatchObject({ state: 'live', transport: 'ws' }); // it kept its transport
  expect(states).toContain('retrying');
});

test('without WebSocket it continues with SSE, and remembers that', async () => {
  const proxy = await through({ socket: true });
  const reader = await person(proxy.url);
  const first = follow(reader, {});
  await live(first);
  expect(first.status).toMatchObject({ transport: 'sse', forced: false });
  first.close();
  proxy.seen.length = 0;
  const second = follow(reader, {});
  await live(second);
  expect(proxy.seen.filter((line) => line.startsWith('WS'))).toEqual([]);
});

test('an API token, which gets no ticket, uses SSE', async () => {
  const owner = await person(running.now.url);
  const { token } = await owner.request('POST', '/v1/tokens', { body: { name: 'bot' } });
  const bot = createClient({ url: running.now.url, WebSocket, getToken: () => token });
  const stream = follow(bot, {});
  await until('the stream is live or closed', () => ['live', 'closed'].includes(stream.status.state));
  expect(stream.status).toMatchObject({ state: 'live', transport: 'sse' });
});

test('a proxy that passes headers and buffers bodies leaves the long poll', async () => {
  const proxy = await through({ socket: true, buffer: true });
  const reader = await person(proxy.url, { timing: { firstEvent: 400 } });
  const writer = await lobby('held');
  const stream = follow(reader, { rooms: ['held'] });
  const tried: (string | null)[] = [];
  stream.on('status', (s) => s.state === 'connecting' && tried.push(s.transport));
  const said = texts(stream);
  await live(stream);
  await writer.room('held').send('through').sent();
  await until('the message arrives', () => said.length > 0);
  expect(said).toEqual(['through']);
  expect(tried).toEqual(ALL);
  expect(stream.status.transport).toBe('poll');
});

test('the better transport is tried again later, and taken without a gap', async () => {
  const proxy = await through({ socket: true });
  const writer = await lobby('upward');
  const reader = await person(proxy.url, { timing: { keep: 500 } });
  const stream = follow(reader, { rooms: ['upward'] });
  const said = texts(stream);
  const states: string[] = [];
  await live(stream);
  stream.on('status', (s) => states.push(`${s.state} ${s.transport}`));
  const first = range(20).map((text) => writer.room('upward').send(text).sent());
  await until('WebSocket was tried again and failed', () => proxy.seen.filter((line) => line.startsWith('WS')).length > 1);
  expect(stream.status).toMatchObject({ state: 'live', transport: 'sse' });
  proxy.faults.socket = false;
  const more = range(20, 'n').map((text) => writer.room('upward').send(text).sent());
  await until('the stream uses WebSocket again', () => stream.status.transport === 'ws');
  await Promise.all([...first, ...more]);
  await until('all messages arrive', () => said.length >= 40);
  expect(said).toEqual([...range(20), ...range(20, 'n')]);
  expect(states).toEqual(['live ws']); // never disconnected
});

test.each(ALL)('a proxy that cuts every 700 ms: %s stays usable', async (transport) => {
  const proxy = await through({});
  const room = `cut-${transport}`;
  const writer = await lobby(room);
  const reader = await person(proxy.url);
  proxy.faults.cut = 700; // not before: on a busy machine signing up may take longer
  const stream = follow(reader, { rooms: [room], transport });
  const said = texts(stream);
  await live(stream);
  let cuts = 0;
  stream.on('status', (s) => s.state === 'live' && cuts++);
  const written: string[] = [];
  for (let n = 0; cuts < 3; n++) {
    written.push(`m${n}`);
    await writer.room(room).send(`m${n}`).sent();
    await until('all messages arrive', () => said.length === written.length);
  }
  expect(said).toEqual(written);
});

test('if fetch has no body stream, as in React Native, WebSocket and long poll work', async () => {
  const real = fetch;
  const missing = [
    'Response',
    'AbortSignal',
    'URL',
    'URLSearchParams',
    'crypto',
    'TextDecoder',
    'BroadcastChannel',
  ] as const;
  const { URL, AbortSignal } = globalThis;
  const native = async (input: unknown, init: unknown) => {
    Object.assign(globalThis, { URL, AbortSignal }); // Node's own fetch needs them
    const answer = real(input as string, init as RequestInit);
    Object.assign(globalThis, { URL: undefined, AbortSignal: undefined });
    const res = await answer;
    const { status, ok, headers } = res;
    return { status, ok, headers, text: () => res.text(), json: () => res.json() } as Response;
  };
  const proxy = await through({});
  for (const name of missing) vi.stubGlobal(name, name === 'Response' ? class {} : undefined);
  const reader = await person(proxy.url, { fetch: native });
  await reader.room('native').enter();
  const stream = follow(reader, { rooms: ['native'] });
  const said = texts(stream);
  await live(stream);
  expect(stream.status.transport).toBe('ws');
  proxy.faults.socket = true;
  stream.close();
  const second = follow(reader, { rooms: ['native'], since: stream.cursor });
  second.on('chat_message', (event) => said.push(event.message));
  await live(second);
  expect(second.status.transport).toBe('poll');
  await reader.room('native').send('hi').sent();
  await until('the message arrives', () => said.length > 0);
  expect(said).toEqual(['hi']);
  expect(proxy.seen.filter((line) => /^(GET|POST) \/v1\/events/.test(line) && !line.includes('wait='))).toEqual([]);
});

test('rooms can be added and removed on a live stream', async () => {
  const writer = await lobby('one');
  await writer.room('two').enter();
  const stream = follow(await person(running.now.url), { rooms: ['one'] });
  const said = texts(stream);
  await live(stream);
  await writer.room('two').send('unheard').sent();
  await writer.room('one').send('1').sent();
  await until('message 1 arrives', () => said.length === 1);
  stream.add('two');
  await until('the room two is followed', () => stream.status.state === 'live' && stream.rooms.includes('two'));
  const lists = events(stream);
  await until('the user list of two arrives', () => lists.some((e) => e.type === 'user_list' && e.room === 'two'));
  await writer.room('two').send('2').sent();
  await until('message 2 arrives', () => said.length === 2);
  stream.remove('one');
  await until('the room one is no longer followed', () => lists.some((e) => e.type === 'stream_open' && e.rooms.length === 1));
  await writer.room('one').send('unheard').sent();
  await writer.room('two').send('3').sent();
  await until('message 3 arrives', () => said.length === 3);
  expect(said).toEqual(['1', '2', '3']);
});

test('a room that does not exist is an error at first, and lost later', async () => {
  const reader = await person(running.now.url);
  const failed = follow(reader, { rooms: ['nowhere'] });
  const read = async () => {
    for await (const event of failed) throw new Error(`got ${event.type}, want an error`);
  };
  const error = await read().catch((err: unknown) => err as TandemError);
  expect(error).toBeInstanceOf(TandemError);
  expect(error).toMatchObject({ code: 'room_not_found', status: 404 });
  expect(failed.status.state).toBe('closed');

  const stream = follow(reader, {});
  const lost: string[] = [];
  stream.on('lost', (room) => lost.push(room));
  await live(stream);
  stream.add('nowhere');
  await until('the lost room is reported', () => lost.length > 0);
  expect(lost).toEqual(['nowhere']);
  expect(stream.rooms).toEqual([]);
});

test.each(['removed', 'deleted'])('a room that is %s and is there again is followed again', async (how) => {
  const name = `again-${how}`;
  const owner = await person(running.now.url);
  const reader = await person(running.now.url);
  const members = { path: { room: name, username: reader.user! } };
  const make = async () => {
    await owner.request('POST', '/v1/rooms', { body: { name, visibility: 'private' } });
    await owner.request('PUT', '/v1/rooms/{room}/members/{username}', { ...members, body: { role: 'member' } });
  };
  await make();
  const stream = follow(reader, { rooms: [name] });
  const heard = events(stream);
  const said = texts(stream);
  await live(stream);
  if (how === 'removed') await owner.request('DELETE', '/v1/rooms/{room}/members/{username}', members);
  else await owner.request('DELETE', '/v1/rooms/{room}', { path: { room: name } });
  await until('the room is lost', () =>
    heard.some((e) => e.type === (how === 'removed' ? 'member_removed' : 'room_deleted')),
  );
  if (how === 'removed') {
    await owner.request('PUT', '/v1/rooms/{room}/members/{username}', { ...members, body: { role: 'member' } });
  } else await make();
  stream.add(name);
  await until('the stream is opened again', () => heard.filter((e) => e.type === 'stream_open').length === 2);
  await owner.room(name).send('again').sent();
  await until('the message arrives', () => said.length > 0);
  expect(said).toEqual(['again']);
});

test('the iterator yields events, and ends with the stream', async () => {
  const writer = await lobby('iterate');
  const end = new AbortController();
  const stream = follow(await person(running.now.url), { rooms: ['iterate'], signal: end.signal });
  const heard: string[] = [];
  const reading = (async () => {
    for await (const event of stream) if (event.type === 'chat_message') heard.push(event.message);
  })();
  await live(stream);
  await writer.room('iterate').send('one').sent();
  await writer.room('iterate').send('two').sent();
  await until('both events arrive', () => heard.length === 2);
  end.abort();
  await reading;
  expect(heard).toEqual(['one', 'two']);
  expect(stream.status.state).toBe('closed');
});

test('a user who has logged out has no stream', async () => {
  const reader = await person(running.now.url);
  const stream = follow(reader, {});
  await live(stream);
  const users: (string | null)[] = [];
  reader.onUser((user) => users.push(user));
  await reader.logout();
  await until('the stream is closed', () => stream.status.state === 'closed');
  expect(stream.status.error).toMatchObject({ code: 'signed_out' });
  expect(users).toEqual([null]);
});

test('a cursor from another log is reset, and the stream continues', async () => {
  const writer = await lobby('reset');
  const stream = follow(await person(running.now.url), { rooms: ['reset'], since: '3.otherlog' });
  const heard = events(stream);
  const said = texts(stream);
  await until('the reset arrives', () => heard.some((e) => e.type === 'stream_reset'));
  await writer.room('reset').send('on').sent();
  await until('the message arrives', () => said.length === 1);
  expect(stream.cursor?.split('.')[1]).not.toBe('otherlog');
});
