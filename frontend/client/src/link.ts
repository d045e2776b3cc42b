// One connection, or an attempt at one, and the clock: how long it may be silent, and when to try again.
import type { Commands } from './commands.js';
import type { TandemEvent } from './events.js';
import { TandemError } from './problem.js';
import type { Rest, Tokens } from './rest.js';
import type { Timing } from './status.js';
import type { Close, Connection, Open, Query, Transport } from './transports.js';
import { backoff, child } from './wait.js';

/** ms that a connection must last not to count as a failure of its transport. */
export const STEADY = 1000;

export interface Link {
  /** `tab`: through another tab's connection. */
  via: Transport | 'tab';
  cut: AbortController;
  query: Query;
  openedAt?: number; // of its first event
  close?: Close;
  error?: unknown;
  opened: Promise<void>;
  ended: Promise<void>;
  commands?: Commands;
}

/** What a connection is made with. */
export interface Dial {
  rest: Rest;
  tokens: Tokens;
  WebSocket?: Connection['WebSocket'];
  pace: Connection['pace'];
  timing: Timing;
  /** Ends it. */
  signal: AbortSignal;
  /** Its first event has arrived. */
  opened(link: Link): void;
  /** Every event until its end, the first and a stream_close too. */
  heard(event: TandemEvent, link: Link): void;
}

/** Opens a connection. It is cut when nothing arrives for too long. */
export function dial(via: Link['via'], run: Open, query: Query, d: Dial): Link {
  const { rest, tokens, WebSocket, pace, timing } = d;
  const cut = child(d.signal);
  const { signal } = cut;
  let dog: ReturnType<typeof setTimeout>;
  let error: TandemError | undefined;
  const watch = (ms: number) => {
    clearTimeout(dog);
    dog = setTimeout(() => {
      error = new TandemError('timeout', `Nothing comes over ${via}.`);
      cut.abort();
    }, ms);
  };
  let open: () => void;
  const link: Link = {
    via,
    cut,
    query,
    opened: new Promise((resolve) => (open = resolve)),
    ended: Promise.resolve(),
  };
  const receive = (event: TandemEvent) => {
    if (signal.aborted) return; // what a connection delivers after its end comes again from the next one
    watch(timing.silence);
    if (event.type === 'stream_close') {
      link.close = event;
      if (link.openedAt) d.heard(event, link);
      return cut.abort();
    }
    if (!link.openedAt) {
      link.openedAt = Date.now();
      d.opened(link);
    }
    d.heard(event, link);
    open();
  };
  watch(timing.firstEvent);
  const alive = () => watch(timing.silence);
  const commands = (all: Commands) => (link.commands = all);
  link.ended = run({ rest, tokens, WebSocket, query, signal, receive, pace, alive, commands })
    .catch((err: unknown) => {
      if (!signal.aborted) link.error = err;
    })
    .finally(() => {
      clearTimeout(dog);
      link.error ??= error;
      cut.abort();
    });
  return link;
}

/** Milliseconds until the n-th retry after a link. */
export function pause({ close, error, openedAt }: Partial<Link>, n: number): number {
  const asked = close?.retry_ms ?? ((error as TandemError | undefined)?.retryAfter ?? 0) * 1000;
  const planned = close?.reason === 'token_expired' || close?.reason === 'max_age';
  if (planned && openedAt && Date.now() - openedAt > STEADY) return 0;
  return close?.reason === 'restart' ? asked : Math.max(asked, backoff(n));
}
