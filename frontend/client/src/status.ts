// What a stream is asked for, and its state.
import type { TandemError } from './problem.js';
import type { Transport } from './transports.js';

export type State = 'connecting' | 'live' | 'retrying' | 'offline' | 'closed';

/** The state of a stream. A new object with every change. */
export interface Status {
  state: State;
  /** In use if live, being tried if connecting; null before the first. */
  transport: Transport | null;
  /** Chosen by `use`. */
  forced: boolean;
  /** Another tab has the connection. */
  shared: boolean;
  /** The time of the next try, in milliseconds since the epoch; while retrying or offline. */
  retryAt?: number;
  /** Why it is closed or retrying. */
  error?: TandemError;
}

/** What a server-rendered page shows, where nothing is connected, until it is shown in the browser. */
export const CONNECTING: Status = { state: 'connecting', transport: null, forced: false, shared: false };

export interface StreamOptions {
  /** Names; `'*'` is all rooms that the user is a member of, as that changes. Empty for the private inbox only. */
  rooms?: string[] | string;
  /** Start each room with every event from its N-th last message on; 0 to 100. */
  history?: number;
  /** Also follow who is online on the whole site. */
  site?: boolean;
  /** Resume after this cursor, the `cursor` of an earlier stream. */
  since?: string;
  /** Only this transport. */
  transport?: Transport;
  /** Ends the stream. */
  signal?: AbortSignal;
}

/** Milliseconds. */
export interface Timing {
  /** Until a transport must have delivered its first event: a buffering proxy opens but delivers nothing. */
  firstEvent: number;
  /** Without any event, after which a connection counts as dead; the server pings every 20 s. */
  silence: number;
  /** How long a working transport is kept before a better one is tried again. */
  keep: number;
}
export const TIMING: Timing = { firstEvent: 6000, silence: 45_000, keep: 30 * 60_000 };
