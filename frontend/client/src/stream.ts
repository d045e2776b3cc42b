// One stream of events that comes back by itself. Whatever happens, it goes on from its cursor: over any
// transport, each event comes out once and in the order of ids.
import type { EventOf, EventType, TandemEvent } from './events.js';
import { TandemError } from './problem.js';
import type { Rest, Tokens } from './rest.js';
import { transports, type Close, type Connection, type Open, type Query, type Transport } from './transports.js';
import { backoff, child, here, Listeners, sleep, type Unsubscribe } from './wait.js';
import type { Winner } from './winner.js';

export type State = 'connecting' | 'live' | 'retrying' | 'offline' | 'closed';

/** How a stream is. A new object with every change. */
export interface Status {
  state: State;
  /** In use when live, being tried when connecting; null before the first. */
  transport: Transport | null;
  /** Chosen by `use`. */
  forced: boolean;
  /** Another tab has the connection. */
  shared: boolean;
  /** When the next try is, in milliseconds since the epoch; while retrying or offline. */
  retryAt?: number;
  /** Why it is closed, or retrying. */
  error?: TandemError;
}

export interface StreamOptions {
  /** Names; `'*'` is all rooms that the user is a member of, as that changes. None: the private inbox alone. */
  rooms?: string[] | string;
  /** Begin each room with every event from its so-many-th last message on; 0 to 100. */
  history?: number;
  /** Also who is online on the whole site. */
  site?: boolean;
  /** Go on behind this cursor, a `cursor` of an earlier stream. */
  since?: string;
  /** Only this transport. */
  transport?: Transport;
  /** Ends the stream. */
  signal?: AbortSignal;
}

/** Milliseconds. */
export interface Timing {
  /** Until a transport must have given its first event: a proxy that buffers opens well and says nothing. */
  firstEvent: number;
  /** Without any event, after which a connection counts as dead; the server pings every 20 s. */
  silence: number;
  /** For which a transport that works is kept before a better one is tried again. */
  keep: number;
}
export const TIMING: Timing = { firstEvent: 6000, silence: 45_000, keep: 30 * 60_000 };

const STEADY = 1000; // ms that a connection must have lasted to be no failure of its transport

/** What a stream is made of. */
export interface Parts {
  rest: Rest;
  tokens: Tokens;
  WebSocket?: Connection['WebSocket'];
  transports: readonly Transport[];
  winner: Winner;
  timing: Timing;
  /** A room that cannot be followed is `lost` from the beginning, rather than an error. */
  lenient?: boolean;
}

/** Names are compared as the server does, near enough (RFC 8265). */
export const fold = (name: string) => name.normalize('NFC').toLowerCase();
const same = (a: string) => (b: string) => fold(a) === fold(b);

type Told = { [T in EventType]: EventOf<T> } & { '*': TandemEvent; status: Status; lost: string };

/** One connection, or the attempt at one. */
interface Link {
  via: Transport | 'tab';
  cut: AbortController;
  query: Query;
  openedAt?: number; // of its first event
  close?: Close;
  error?: unknown;
  opened: Promise<void>;
  ended: Promise<void>;
  hear: (event: TandemEvent) => void;
}

/** A way to be served by another tab, and to serve others; see tabs.ts. */
export interface Tabs {
  /** Present while another tab has the connection. */
  open?: Open;
  /** Rooms that other tabs want from this one. */
  rooms: ReadonlySet<string>;
  /** Told every event that this stream hears. */
  heard(event: TandemEvent): void;
  told(status: Status): void;
  /** Whether an event is of these rooms or of the user's; the connection serves others too. */
  wanted(event: TandemEvent, rooms: ReadonlySet<string>, user?: string): boolean;
  /** The transport of the tab that serves this one. */
  transport: Transport | null;
  close(): void;
}

export class Stream implements AsyncIterable<TandemEvent> {
  #parts: Parts;
  #options: StreamOptions;
  #rooms: Set<string>;
  #last = 0; // id of the latest event that was handed on
  #log = ''; // the log that the id belongs to; empty before the first stream_open
  #end: AbortController;
  #nap = new AbortController(); // ends the wait for the next try
  #link?: Link; // the one in use
  #dialing?: Link;
  #hurry = false; // the next try shall not wait
  #failures = 0; // in a row, of the transport that worked last
  #forced?: Transport;
  #pace = { wait: 25 };
  #listeners = new Map<string, Listeners<[never]>>();
  #status: Status = { state: 'connecting', transport: null, forced: false, shared: false };
  #climb?: ReturnType<typeof setTimeout>;
  #change?: ReturnType<typeof setTimeout>;
  #tabs?: Tabs;
  #members = new Set<string>(); // followed as a member, by '*', without being named

  /** @internal Use `tandem.stream()`. */
  constructor(parts: Parts, options: StreamOptions = {}, tabs?: (stream: Stream) => Promise<Tabs>) {
    this.#parts = parts;
    this.#options = options;
    this.#rooms = new Set([options.rooms ?? []].flat());
    this.#forced = options.transport;
    this.#end = child(options.signal);
    [this.#last, this.#log] = parse(options.since);
    const { signal } = this.#end;
    for (const [type, fn] of Object.entries(this.#outside)) here.addEventListener?.(type, fn, { signal });
    here.document?.addEventListener('visibilitychange', this.#outside.online, { signal });
    signal.addEventListener('abort', () => this.#closed());
    if (signal.aborted) this.#closed();
    else void this.#run(tabs);
  }

  get status(): Status {
    return this.#status;
  }

  /** Where the stream is: a later one goes on behind it by `since`. Undefined before the first event. */
  get cursor(): string | undefined {
    return this.#log ? `${this.#last}.${this.#log}` : undefined;
  }

  get rooms(): string[] {
    return [...this.#rooms];
  }

  /**
   * Calls fn for every event of a type, for every event (`'*'`), when the status changes (`'status'`), or when a room
   * can no longer be followed (`'lost'`).
   */
  on<T extends keyof Told>(type: T, fn: (value: Told[T]) => void): Unsubscribe {
    let all = this.#listeners.get(type);
    if (!all) this.#listeners.set(type, (all = new Listeners()));
    return all.add(fn);
  }

  /** The events from now on. What is not taken out is kept. Ends when the stream is closed; throws if by an error. */
  async *[Symbol.asyncIterator](): AsyncGenerator<TandemEvent> {
    const queue: TandemEvent[] = [];
    let wake = () => {};
    const off = [
      this.on('*', (event) => {
        queue.push(event);
        wake();
      }),
      this.on('status', () => wake()),
    ];
    try {
      for (;;) {
        while (queue.length) yield queue.shift()!;
        if (this.#status.state === 'closed') {
          if (this.#status.error) throw this.#status.error;
          return;
        }
        await new Promise<void>((resolve) => (wake = resolve));
      }
    } finally {
      off.forEach((fn) => fn());
    }
  }

  /** Follows more rooms. Of these it gets what comes from now on. */
  add(...rooms: string[]): void {
    rooms.forEach((room) => this.#rooms.add(room));
    this.refresh();
  }

  /** Follows these rooms no longer. */
  remove(...rooms: string[]): void {
    rooms.forEach((room) => this.#rooms.delete(room));
    this.refresh();
  }

  /** Only this transport from now on, or `'auto'`. It gets a connection of its own. */
  use(transport: Transport | 'auto'): void {
    const forced = transport === 'auto' ? undefined : transport;
    if (forced === this.#forced) return;
    this.#forced = forced;
    this.#failures = 0;
    if (forced) this.#leaveTabs();
    this.reopen();
  }

  close(): void {
    this.#end.abort();
  }

  /** @internal Reopens with the rooms as they are now, if they are others. */
  refresh(): void {
    clearTimeout(this.#change); // several changes in one breath are one
    this.#change = setTimeout(() => {
      const link = this.#dialing ?? this.#link;
      const all = (rooms: string[]) => rooms.sort().join();
      if (link && all(link.query.room) !== all(this.#query().room)) this.reopen();
    }, 10);
  }

  /** @internal Whether a room is followed, by its name or as all of the user's are. */
  follows(room: string): boolean {
    return this.#members.has(fold(room)) || !!this.#link?.query.room.some(same(room));
  }

  /** @internal Shows how the tab is that has the connection. */
  mirror({ state, transport, retryAt, error }: Status): void {
    if (this.#link?.via === 'tab' && state !== 'closed') this.#tell({ state, transport, retryAt, error });
  }

  #leaveTabs(): void {
    this.#tabs?.close();
    this.#tabs = undefined;
  }

  /**
   * @internal Begins anew, at once. The old connection ends before the new one begins: while both ran, with other rooms,
   * the one could move the cursor past what only the other would bring.
   */
  reopen(): void {
    this.#hurry = true;
    this.#dialing?.cut.abort();
    this.#link?.cut.abort();
    this.#nap.abort();
  }

  #outside = {
    online: () => {
      if (here.document?.visibilityState === 'hidden') return;
      this.#nap.abort();
      // After sleep a connection may be dead without having been told.
      const quiet = Date.now() - this.#heardAt > this.#parts.timing.silence / 2;
      if (this.#link && quiet) this.reopen();
    },
    offline: () => this.#link?.cut.abort(),
  };
  #heardAt = 0;

  // One loop, so that there is never more than one connection that counts and none can overtake another.
  async #run(tabs?: (stream: Stream) => Promise<Tabs>): Promise<void> {
    const { signal } = this.#end;
    await sleep(0); // whoever made the stream can listen before anything comes
    for (let n = 0; !signal.aborted;) {
      if (!this.#forced) this.#tabs ??= await tabs?.(this).catch(() => undefined); // it goes without, too
      if (this.#forced || signal.aborted) this.#leaveTabs(); // meanwhile
      this.#hurry = false;
      const link = await this.#connect();
      if (signal.aborted) return;
      if (link?.openedAt) {
        let now: Link;
        do await (now = this.#link!).ended;
        while (now !== this.#link); // a better one took its place
        this.#link = undefined;
        clearTimeout(this.#climb);
        if (signal.aborted) return;
        if (await this.#over(now)) return this.close();
        if (Date.now() - now.openedAt! > STEADY) n = this.#failures = 0;
        else if (!now.close && !this.#hurry) this.#failures++;
      } else if (link && (await this.#over(link))) return this.close();
      if (this.#hurry) continue;
      const ended = link ?? ({} as Link);
      const wait = this.#wait(ended, n++);
      if (wait) await this.#sleep(wait, ended.error);
    }
  }

  async #sleep(ms: number, error: unknown): Promise<void> {
    this.#nap = child(this.#end.signal);
    this.#tell({
      state: here.navigator?.onLine === false ? 'offline' : 'retrying',
      retryAt: Date.now() + ms,
      error: error instanceof TandemError ? error : undefined,
    });
    await sleep(ms, this.#nap.signal);
    this.#nap.abort(); // lets go of the end's
  }

  /** Milliseconds until the next try. */
  #wait({ close, error, openedAt }: Link, n: number): number {
    const asked = close?.retry_ms ?? ((error as TandemError | undefined)?.retryAfter ?? 0) * 1000;
    if (close?.reason === 'token_expired' && openedAt && Date.now() - openedAt > STEADY) return 0;
    return close?.reason === 'restart' ? asked : Math.max(asked, backoff(n));
  }

  /** Whether the stream has ended for good; then the status says why. */
  async #over({ close, error, query }: Link): Promise<boolean> {
    let why: TandemError | undefined;
    if (close?.reason === 'signed_out' || close?.reason === 'disabled') {
      why = new TandemError(close.reason, close.reason, 401);
      await this.#parts.tokens.ended?.();
    } else if (error instanceof TandemError && error.final) {
      if (this.#parts.lenient && error.code === 'room_not_found' && !query.since) {
        // With a cursor, rooms that cannot be followed are named rather than refused.
        await this.#dial('poll', { room: [] }, true).ended;
        this.#hurry = !!this.#log;
        return false;
      }
      why = error;
    }
    if (why) this.#tell({ error: why });
    return !!why;
  }

  /** Tries the transports until one gives an event. Returns the last link. */
  async #connect(): Promise<Link | undefined> {
    let link: Link | undefined;
    for (const via of this.#candidates()) {
      link = await this.#connectTo(via);
      const { error, close, openedAt } = link;
      if (openedAt || close || this.#hurry || this.#end.signal.aborted) return link;
      if (error instanceof TandemError && via !== 'tab') {
        // Something answered, or nothing at all did: it is not up to the transport. What a WebSocket's handshake
        // failed of nobody says; its ticket is got by a call.
        if (error.final || (error.status >= 429 && !error.code.startsWith('http_'))) return link;
        if (via === 'ws' && error.code === 'unreachable') return link;
      }
      // The way that worked gets a second chance: perhaps the server was just away.
      if (via === this.#parts.winner.name || via === this.#worked) if (++this.#failures < 2) return link;
    }
    return link;
  }
  #worked?: Link['via'];

  #candidates(): Link['via'][] {
    if (this.#forced) return [this.#forced];
    const order = this.#parts.transports;
    const first = Math.max(0, order.indexOf(this.#parts.winner.name ?? order[0]!));
    const all: Link['via'][] = [...order.slice(first), ...order.slice(0, first)];
    if (this.#tabs?.open) all.unshift('tab');
    // What opens and dies at once, again and again, works no better than what does not open.
    const bad = (via: Link['via']) => +(this.#failures > 1 && via === this.#worked);
    return all.sort((a, b) => bad(a) - bad(b));
  }

  async #connectTo(via: Link['via']): Promise<Link> {
    this.#tell({ state: 'connecting', ...this.#way(via), retryAt: undefined });
    const link = (this.#dialing = this.#dial(via));
    await Promise.race([link.opened, link.ended]);
    this.#dialing = undefined;
    return link;
  }

  #query(): Query {
    const { history, site } = this.#options;
    const since = this.cursor;
    // Without a cursor, a room of another tab's that does not exist would be an error here.
    const room = [...new Set([...this.#rooms, ...((since && this.#tabs?.rooms) || [])])].filter(
      (r) => !this.#members.has(fold(r)),
    );
    return { room, since, history: since ? undefined : history, site: site ? 1 : undefined };
  }

  #dial(via: Link['via'], query = this.#query(), once = false): Link {
    const { rest, tokens, WebSocket, timing } = this.#parts;
    const cut = child(this.#end.signal);
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
      hear: (event) => {
        if (signal.aborted) return; // what a connection still says after its end comes again from the next
        watch(timing.silence);
        if (event.type === 'stream_close') {
          link.close = event;
          if (link.openedAt) this.#emit(event);
          return cut.abort();
        }
        if (!link.openedAt) {
          link.openedAt = Date.now();
          if (!once) this.#take(link);
        }
        this.#hear(event, once);
        if (link.openedAt) open();
        if (once) cut.abort();
      },
    };
    watch(timing.firstEvent);
    const alive = () => watch(timing.silence);
    const run = via === 'tab' ? this.#tabs!.open! : transports[via];
    link.ended = run({ rest, tokens, WebSocket, query, signal, hear: link.hear, pace: this.#pace, alive })
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

  /** Makes link the one in use. */
  #take(link: Link): void {
    const old = this.#link;
    this.#link = link;
    old?.cut.abort(); // of the same rooms: what it still had comes by the new one
    const { winner, transports } = this.#parts;
    const { via } = link;
    this.#worked = via;
    clearTimeout(this.#climb);
    if (via !== 'tab' && !this.#forced) {
      if (via === transports[0]) winner.forget();
      else {
        winner.keep(via);
        this.#climb = setTimeout(() => void this.#upward(), winner.rest);
      }
    }
    this.#tell({ state: 'live', ...this.#way(via), error: undefined, retryAt: undefined });
  }

  #way(via: Link['via']): Partial<Status> {
    const shared = via === 'tab';
    return { transport: shared ? this.#tabs!.transport : via, shared, forced: !!this.#forced };
  }

  /** Tries the better transports beside the one in use, which goes on meanwhile. */
  async #upward(): Promise<void> {
    const { transports, winner } = this.#parts;
    const now = this.#link;
    for (const via of transports) {
      if (!now || now !== this.#link || now.cut.signal.aborted || this.#forced) return;
      if (via === now.via) break;
      const link = this.#dial(via);
      void now.ended.then(() => link.openedAt || link.cut.abort());
      await Promise.race([link.opened, link.ended]);
      if (link.openedAt) return;
    }
    if (!now) return;
    winner.keep(now.via as Transport);
    this.#climb = setTimeout(() => void this.#upward(), winner.rest);
  }

  #hear(event: TandemEvent, quiet: boolean): void {
    this.#heardAt = Date.now();
    if (event.type === 'stream_open') {
      const first = this.#greeted !== this.#link;
      this.#greeted = this.#link;
      this.#log = event.log;
      this.#user = event.user;
      const named = this.#link?.query.room.map(fold) ?? [];
      if (first) this.#members = new Set(event.rooms.map(fold).filter((r) => !named.includes(r)));
      if (!event.resumed) [this.#last] = parse(event.since); // resumed, it is the cursor that is known already
      for (const room of event.lost) {
        this.#unfollow(room);
        const own = [...this.#rooms].find(same(room));
        if (own !== undefined) {
          this.#rooms.delete(own);
          this.#emitAs('lost', room);
        }
      }
      if (quiet || (!first && event.resumed)) return; // each answer of a long poll has one
    } else if (event.type === 'stream_reset') {
      this.#last = event.head;
    } else if (event.type === 'ping') {
      this.#last = Math.max(this.#last, parse(event.since)[0]);
    } else if ('id' in event) {
      if (event.id <= this.#last) return;
      this.#last = event.id;
      const { room, target, type } = event as { room?: string; target?: string; type: EventType };
      if (room && (type === 'room_deleted' || target === this.#user)) {
        if (type !== 'member_added') this.#unfollow(room);
        else if (this.#rooms.has('*')) this.#members.add(fold(room));
      }
    }
    this.#emit(event);
  }
  #greeted?: Link;
  #user?: string;

  /** The connection brings a room no more. Asked for again, it is asked for anew. */
  #unfollow(room: string): void {
    this.#members.delete(fold(room));
    const query = this.#link?.query;
    if (query) query.room = query.room.filter((r) => !same(room)(r));
  }

  #emit(event: TandemEvent): void {
    this.#tabs?.heard(event);
    if (this.#tabs && !this.#tabs.wanted(event, this.#rooms, this.#user)) return;
    this.#emitAs(event.type, event);
    this.#emitAs('*', event);
  }

  #emitAs(type: string, value: unknown): void {
    this.#listeners.get(type)?.tell(value as never);
  }

  #tell(change: Partial<Status>): void {
    if (this.#status.state === 'closed') return;
    this.#status = { ...this.#status, ...change };
    this.#tabs?.told(this.#status);
    this.#emitAs('status', this.#status);
  }

  #closed(): void {
    clearTimeout(this.#climb);
    clearTimeout(this.#change);
    this.#tell({ state: 'closed', retryAt: undefined });
    this.#leaveTabs();
  }
}

/** The id and the log of a cursor. */
export function parse(cursor = ''): [id: number, log: string] {
  const [id, log] = cursor.split('.');
  return [parseInt(id!, 10) || 0, log ?? ''];
}
