// What only a misbehaving server can show: how streams end and reconnect, and repeated events.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { createClient, type ClientOptions, type Stream } from '../src/index.js';
import { events, texts, until } from './people.js';

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

type Answer = (say: (event: object) => void, res: ServerResponse, req: IncomingMessage) => void;

const open = (since: number, resumed = false) => ({
  type: 'stream_open',
  user: 'ada',
  rooms: ['r'],
  lost: [],
  since: `${since}.log`,
  resumed,
  log: 'log',
});
const message = (id: number) => ({ type: 'chat_message', id, room: 'r', user: 'bob', message: `m${id}`, sent_at: '' });
const close = (reason: string, retry_ms = 0) => ({ type: 'stream_close', reason, retry_ms });

/** A server that answers the n-th stream with the n-th answer, and repeats the last one. */
async function fake(answers: Answer[], options: ClientOptions = {}) {
  const asked: { at: number; url: URL; token?: string }[] = [];
  const server = createServer((req, res) => {
    asked.push({
      at: Date.now(),
      url: new URL(req.url!, 'http://x'),
      token: req.headers.authorization?.replace('Bearer ', ''),
    });
    const say = (event: object) => res.write(`data: ${JSON.stringify(event)}\n\n`);
    answers[Math.min(asked.length, answers.length) - 1]!(say, res, req);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  let tokens = 0;
  const client = createClient({
    url: `http://127.0.0.1:${port}`,
    getToken: (refused) => `t${refused ? ++tokens : tokens}`,
    ...options,
  });
  const stream: Stream = client.stream({ rooms: ['r'], transport: options.transports ? undefined : 'sse' });
  closing.push(() => {
    stream.close();
    server.closeAllConnections();
    server.close();
  });
  return { stream, asked };
}

const head = (res: ServerResponse) => res.writeHead(200, { 'Content-Type': 'text/event-stream' });
const says =
  (...all: object[]): Answer =>
  (say, res) => {
    head(res);
    all.forEach(say);
  };
const ends =
  (...all: object[]): Answer =>
  (say, res) => {
    says(...all)(say, res, null as never);
    res.end();
  };

test('repeated events are emitted once, whatever the server repeats', async () => {
  const { stream, asked } = await fake([
    ends(open(1), message(2), message(3)),
    says(open(3, true), message(2), message(3), message(4), { type: 'ping', since: '7.log' }, message(6), message(8)),
  ]);
  const said = texts(stream);
  await until('all messages arrive', () => said.includes('m8'));
  expect(said).toEqual(['m2', 'm3', 'm4', 'm8']);
  expect(asked[1]!.url.searchParams.get('since')).toBe('3.log');
  expect(stream.cursor).toBe('8.log');
});

test('a ping moves the cursor', async () => {
  const { stream, asked } = await fake([ends(open(1), { type: 'ping', since: '9.log' }), says(open(9, true))]);
  await until('the stream has reconnected', () => asked.length === 2 && stream.status.state === 'live');
  expect(asked[1]!.url.searchParams.get('since')).toBe('9.log');
});

test('after a reset it continues from the head, in the present log', async () => {
  const reset = { type: 'stream_reset', reason: 'other_log', floor: 1, head: 5 };
  const { stream } = await fake([
    ends(open(100)),
    says({ ...open(5), since: '5.new', log: 'new' }, reset, { ...message(6) }),
  ]);
  const said = texts(stream);
  const resets = events(stream);
  await until('the stream continues', () => said.length === 1);
  expect(resets.filter((e) => e.type === 'stream_reset')).toEqual([reset]);
  expect(stream.cursor).toBe('6.new');
});

test('an expired token is replaced, and the stream resumes at once', async () => {
  const refuse: Answer = (_, res) => {
    res.writeHead(401, { 'Content-Type': 'application/problem+json' });
    res.end(JSON.stringify({ code: 'token_expired', title: 'Expired', status: 401 }));
  };
  const { stream, asked } = await fake([
    (say, res) => {
      says(open(1))(say, res, null as never);
      setTimeout(() => say(close('token_expired', 5000)), 1200); // it was valid for a while
    },
    refuse,
    says(open(1, true)),
  ]);
  const states: string[] = [];
  stream.on('status', (s) => states.push(s.state));
  await until('the stream has reconnected', () => asked.length === 3 && stream.status.state === 'live');
  expect(asked.map((a) => a.token)).toEqual(['t0', 't0', 't1']);
  expect(states).not.toContain('retrying');
});

test.each(['signed_out', 'disabled'])('%s is the end', async (reason) => {
  const { stream, asked } = await fake([says(open(1), close(reason))]);
  await until('the stream is closed', () => stream.status.state === 'closed');
  expect(stream.status.error?.code).toBe(reason);
  await expect(stream[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: reason });
  expect(asked).toHaveLength(1);
});

test('after a restart it waits as long as the server asks', async () => {
  const { stream, asked } = await fake([says(open(1), close('restart', 1500)), says(open(1, true))]);
  await until('the stream is retrying', () => stream.status.state === 'retrying');
  expect(stream.status.retryAt).toBeGreaterThan(Date.now() + 500);
  await until('the stream has reconnected', () => asked.length === 2);
  expect(asked[1]!.at - asked[0]!.at).toBeGreaterThanOrEqual(1490);
});

test('too many streams: it waits, and reconnects', async () => {
  const full: Answer = (_, res) => {
    res.writeHead(429, { 'Content-Type': 'application/problem+json', 'Retry-After': '1' });
    res.end(JSON.stringify({ code: 'too_many_streams', title: 'Too many', status: 429 }));
  };
  const { stream, asked } = await fake([full, says(close('too_many_streams', 1000)), says(open(1))]);
  await until('the error is reported', () => stream.status.error?.code === 'too_many_streams');
  await until('the stream is live', () => stream.status.state === 'live');
  expect(asked[1]!.at - asked[0]!.at).toBeGreaterThanOrEqual(990);
  expect(asked[2]!.at - asked[1]!.at).toBeGreaterThanOrEqual(990);
});

test('a connection that has gone silent counts as dead', async () => {
  const { stream, asked } = await fake([says(open(1)), says(open(1, true), message(2))], { timing: { silence: 300 } });
  const said = texts(stream);
  await until('the stream is replaced', () => said.length === 1);
  expect(asked[1]!.url.searchParams.get('since')).toBe('1.log');
});

test('a transport that opens and dies at once is given up for a lower one', async () => {
  const answer: Answer = (say, res, req) =>
    req.method === 'GET' ? ends(open(1))(say, res, req) : says(open(1, true), message(2))(say, res, req);
  const { stream, asked } = await fake([answer], { transports: ['sse', 'sse-post'] });
  const said = texts(stream);
  await until('the message arrives over the other transport', () => said.length === 1);
  expect(stream.status.transport).toBe('sse-post');
  expect(asked).toHaveLength(3);
});

const list = (event: object, since: string) => JSON.stringify({ events: [event], since });

test('a poll that was cut waits for a shorter time, and for longer again while nothing cuts it', async () => {
  const { stream, asked } = await fake(
    [
      (_, res) => res.end(list(open(1), '1.log')),
      (_, res) => void setTimeout(() => res.destroy(), 2000),
      (_, res) => res.end(list(open(1, true), '1.log')),
      (_, res) => void setTimeout(() => res.end(list(open(1, true), '1.log')), 1050),
      () => {},
    ],
    { transports: ['poll'] },
  );
  await until('the stream has waited as long as asked', () => asked.length === 5);
  expect(asked.map(({ url }) => url.searchParams.get('wait'))).toEqual(['0', '25', '0', '1', '2']);
  expect(stream.status.state).toBe('live');
});

test('a listener that throws does not affect the others', async () => {
  const { stream } = await fake([says(open(1), message(2), message(3))]);
  const faults: unknown[] = [];
  const caught = (err: unknown) => faults.push(err);
  process.on('uncaughtException', caught);
  const others = process.listeners('uncaughtException').filter((fn) => fn !== caught);
  others.forEach((fn) => process.off('uncaughtException', fn));
  stream.on('chat_message', () => {
    throw new Error('a fault of the page');
  });
  const said = texts(stream);
  await until('both events arrive', () => said.length === 2 && faults.length === 2);
  process.off('uncaughtException', caught);
  others.forEach((fn) => process.on('uncaughtException', fn));
  expect(String(faults[0])).toContain('a fault of the page');
});
