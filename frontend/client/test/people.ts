// Clients of a real server, for tests.
import { afterAll, beforeAll } from 'vitest';
import WebSocket from 'ws';
import { PASSWORD, Server, until } from '../../test/harness.mjs';
import {
  createClient,
  memoryStore,
  type ClientOptions,
  type Stream,
  type Tandem,
  type TandemEvent,
} from '../src/index.js';

export { PASSWORD, until };

/** One server for all tests in a file. */
export function server(): { readonly now: Server } {
  let running: Server | undefined;
  beforeAll(async () => {
    running = await Server.start();
  });
  afterAll(() => running?.stop());
  return {
    get now() {
      return running!;
    },
  };
}

let people = 0;

/** A new user, logged in. */
export async function person(url: string, options: ClientOptions = {}): Promise<Tandem> {
  const client = createClient({ url, WebSocket, session: memoryStore(), ...options });
  await client.signup(`p${++people}-${Math.random().toString(36).slice(2, 8)}`, PASSWORD);
  return client;
}

/** The texts of a stream's messages, in the order of arrival. */
export function texts(stream: Stream): string[] {
  const all: string[] = [];
  stream.on('chat_message', (event) => all.push(event.message));
  return all;
}

/** All events of a stream. */
export function events(stream: Stream): TandemEvent[] {
  const all: TandemEvent[] = [];
  stream.on('*', (event) => all.push(event));
  return all;
}

export const live = (stream: Stream) => until('the stream is live', () => stream.status.state === 'live');

export const range = (n: number, word = 'm') => Array.from({ length: n }, (_, i) => `${word}${i}`);

/** A fetch that counts calls by path, and applies a fault to each. */
export function faulty(fault: (path: string, go: () => Promise<Response>) => Promise<Response> = (_, go) => go()) {
  const calls: string[] = [];
  const fake = (input: unknown, init?: RequestInit) => {
    const path = new URL(input as string).pathname;
    calls.push(path);
    return fault(path, () => fetch(input as string, init));
  };
  return { calls, fetch: fake as typeof fetch };
}

export const lost = () => Promise.reject(new TypeError('fetch failed'));
