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

/** One server for a file of tests. */
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

/** Somebody new, logged in. */
export async function person(url: string, options: ClientOptions = {}): Promise<Tandem> {
  const client = createClient({ url, WebSocket, session: memoryStore(), ...options });
  await client.signup(`p${++people}-${Math.random().toString(36).slice(2, 8)}`, PASSWORD);
  return client;
}

/** The texts of what a stream brings, in the order in which they come. */
export function texts(stream: Stream): string[] {
  const all: string[] = [];
  stream.on('chat_message', (event) => all.push(event.message));
  return all;
}

/** Everything that a stream brings. */
export function events(stream: Stream): TandemEvent[] {
  const all: TandemEvent[] = [];
  stream.on('*', (event) => all.push(event));
  return all;
}

export const live = (stream: Stream) => until('the stream is live', () => stream.status.state === 'live');

export const range = (n: number, word = 'm') => Array.from({ length: n }, (_, i) => `${word}${i}`);
