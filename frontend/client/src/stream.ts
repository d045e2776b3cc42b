// A stream of events that reconnects automatically and resumes from its cursor: over any transport, each event is
// delivered once and in order of id.
import { Choice } from './choice.js';
import type { EventOf, EventType, TandemEvent } from './events.js';
import { dial, pause, STEADY, type Link } from './link.js';
import { Position } from './position.js';
import { TandemError } from './problem.js';
import type { Rest, Tokens } from './rest.js';
import type { Status, StreamOptions, Timing } from './status.js';
import { transports, type Connection, type Open, type Query, type Transport } from './transports.js';
import { child, here, Listeners, sleep, type Unsubscribe } from './wait.js';
import type { Winner } from './winner.js';

/** What a stream is made of. */
export interface Parts {
  rest: Rest;
  tokens: Tokens;
  WebSocket?: Connection['WebSocket'];
  transports: readonly Transport[];
  winner: Winner;
  timing: Timing;
  /** Treats a room that cannot be followed as `lost` from the beginning, not as an error. */
  lenient?: boolean;
}

type Told = { [T in EventType]: EventOf<T> } & { '*': TandemEvent; status: Status; lost: string };

/** A way to be served by another tab, and to serve others; see tabs.ts. */
export interface Tabs {
  /** Present while another tab has the connection. */
  open?: Open;
  /** Rooms that other tabs want from this one. */
  rooms: ReadonlySet<string>;
  /** Called with every event of this stream. */
  heard(event: TandemEvent): void;
  told(status: Status): void;
  /** Whether an event belongs to these rooms or the user; the connection serves others too. */
  wanted(event: TandemEvent, rooms: ReadonlySet<string>, user?: string): boolean;
  /** The transport of the tab that serves this one. */
  transport: Transport | null;
  close(): void;
}

export class Stream implements AsyncIterable<TandemEvent> {
  #parts: Parts;
  #options: StreamOptions;
  #rooms: Set<string>;
  #position: Position;
  #choice: Choice;
  #end: AbortController;
  #nap = new AbortController(); // ends the wait for the next try
  #link?: Link; // the one in use
  #dialing?: Link;
  #hurry = false; // the next try must not wait
  #pace = { wait: 25 };
  #listeners = new Map<string, Listeners<[never]>>();
  #status: Status = { state: 'connecting', transport: null, forced: false, shared: false };
  #change?: ReturnType<typeof setTimeout>;
  #tabs?: Tabs;

  /** @internal Use `tandem.stream()`. */
  constructor(parts: Parts, options: StreamOptions = {}, tabs?: (stream: Stream) => Promise<Tabs>) {
    this.#parts = parts;
    this.#options = options;
    this.#rooms = new Set([options.rooms ?? []].flat());
    this.#position = new Position(options.since, this.#rooms, (room) => this.#emitAs('lost', room));
    this.#choice = new Choice(parts.transports, parts.winner, () => void this.#upward());
    this.#choice.forced = options.transport;
    this.#end = child(options.signal);
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

  /** The stream's position: a later stream resumes after it with `since`. Undefined before the first event. */
  get cursor(): string | undefined {
    return this.#position.cursor;
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

  /**
   * The events from now on. Unread events are buffered. Ends when the stream is closed; throws if it ends with an
   * error.
   */
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

  /** Follows more rooms, from now on. */
  add(...rooms: string[]): void {
    rooms.forEach((room) => this.#rooms.add(room));
    this.refresh();
  }

  /** Stops following these rooms. */
  remove(...rooms: string[]): void {
    rooms.forEach((room) => this.#rooms.delete(room));
    this.refresh();
  }

  /** Forces a transport, or lets the stream choose with `'auto'`. The stream then has its own connection. */
  use(transport: Transport | 'auto'): void {
    const forced = transport === 'auto' ? undefined : transport;
    if (forced === this.#choice.forced) return;
    this.#choice.forced = forced;
    this.#choice.failed(false);
    if (forced) this.#leaveTabs();
    this.reopen();
  }

  close(): void {
    this.#end.abort();
  }

  /** @internal Reopens with the current rooms, if they have changed. */
  refresh(): void {
    clearTimeout(this.#change); // several changes in one turn are one
    this.#change = setTimeout(() => {
      const link = this.#dialing ?? this.#link;
      const all = (rooms: string[]) => rooms.sort().join();
      if (link && all(link.query.room) !== all(this.#query().room)) this.reopen();
    }, 10);
  }

  /** @internal Whether a room is followed, by its name or as all of the user's are. */
  follows(room: string): boolean {
    return this.#position.follows(room, this.#link);
  }

  /** @internal Shows the state of the tab that has the connection. */
  mirror({ state, transport, retryAt, error }: Status): void {
    if (this.#link?.via === 'tab' && state !== 'closed') this.#tell({ state, transport, retryAt, error });
  }

  /** @internal Sends a command over the WebSocket in use; undefined if there is none. */
  say(frame: object): Promise<unknown> | undefined {
    const { commands, cut } = this.#link ?? {};
    return cut?.signal.aborted ? undefined : commands?.say(frame);
  }

  #leaveTabs(): void {
    this.#tabs?.close();
    this.#tabs = undefined;
  }

  /**
   * @internal Reconnects at once. The old connection ends before the new one begins: if both ran with different rooms,
   * one could move the cursor past what only the other would deliver.
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
      // After sleep, a connection may be dead without notice.
      const quiet = Date.now() - this.#heardAt > this.#parts.timing.silence / 2;
      if (this.#link && quiet) this.reopen();
    },
    offline: () => this.#link?.cut.abort(),
  };
  #heardAt = 0;

  // One loop, so that there is never more than one current connection and none can overtake another.
  async #run(tabs?: (stream: Stream) => Promise<Tabs>): Promise<void> {
    const { signal } = this.#end;
    await sleep(0); // let the caller add listeners before anything arrives
    for (let n = 0; !signal.aborted;) {
      if (!this.#choice.forced) this.#tabs ??= await tabs?.(this).catch(() => undefined); // it also works without
      if (this.#choice.forced || signal.aborted) this.#leaveTabs(); // meanwhile
      this.#hurry = false;
      const link = await this.#connect();
      if (signal.aborted) return;
      if (link?.openedAt) {
        let now: Link;
        do await (now = this.#link!).ended;
        while (now !== this.#link); // a better one replaced it
        this.#link = undefined;
        this.#choice.rest();
        if (signal.aborted) return;
        if (await this.#over(now)) return this.close();
        if (Date.now() - now.openedAt! > STEADY) {
          n = 0;
          this.#choice.failed(false);
        } else if (!now.close && !this.#hurry) this.#choice.failed(true);
      } else if (link && (await this.#over(link))) return this.close();
      if (this.#hurry) continue;
      const wait = pause(link ?? {}, n++);
      if (wait) await this.#sleep(wait, link?.error);
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

  /** Whether the stream has ended for good; the status has the reason. */
  async #over({ close, error, query }: Link): Promise<boolean> {
    let why: TandemError | undefined;
    if (close?.reason === 'signed_out' || close?.reason === 'disabled') {
      why = new TandemError(close.reason, close.reason, 401);
      await this.#parts.tokens.ended?.();
    } else if (error instanceof TandemError && error.final) {
      if (this.#parts.lenient && error.code === 'room_not_found' && !query.since) {
        // With a cursor, rooms that cannot be followed are named instead of refused.
        await this.#dial('poll', { room: [] }, true).ended;
        this.#hurry = !!this.cursor;
        return false;
      }
      why = error;
    }
    if (why) this.#tell({ error: why });
    return !!why;
  }

  /** Tries the transports until one delivers an event. Returns the last link. */
  async #connect(): Promise<Link | undefined> {
    let link: Link | undefined;
    for (const via of this.#choice.candidates(!!this.#tabs?.open)) {
      link = await this.#connectTo(via);
      if (link.openedAt || link.close || this.#hurry || this.#end.signal.aborted) return link;
      if (!this.#choice.next(link)) return link;
    }
    return link;
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
    // Without a cursor, another tab's missing room would be an error here.
    const room = this.#position.unnamed([...this.#rooms, ...((since && this.#tabs?.rooms) || [])]);
    return { room, since, history: since ? undefined : history, site: site ? 1 : undefined };
  }

  /** once: the poll only determines the position. */
  #dial(via: Link['via'], query = this.#query(), once = false): Link {
    const run = via === 'tab' ? this.#tabs!.open! : transports[via];
    return dial(via, run, query, {
      ...this.#parts,
      pace: this.#pace,
      signal: this.#end.signal,
      opened: (link) => once || this.#take(link),
      heard: (event, link) => {
        this.#receive(event, once);
        if (once) link.cut.abort();
      },
    });
  }

  /** Makes link the current one. */
  #take(link: Link): void {
    const old = this.#link;
    this.#link = link;
    old?.cut.abort(); // with the same rooms: the new one delivers the rest
    this.#choice.took(link.via);
    this.#tell({ state: 'live', ...this.#way(link.via), error: undefined, retryAt: undefined });
  }

  #way(via: Link['via']): Partial<Status> {
    const shared = via === 'tab';
    return { transport: shared ? this.#tabs!.transport : via, shared, forced: !!this.#choice.forced };
  }

  /** Tries the better transports next to the one in use, which continues meanwhile. */
  async #upward(): Promise<void> {
    const now = this.#link;
    if (!now) return;
    const used = () => now === this.#link && !now.cut.signal.aborted;
    for (const via of this.#choice.better(now.via)) {
      if (!used() || this.#choice.forced) return;
      const link = this.#dial(via);
      void now.ended.then(() => link.openedAt || link.cut.abort());
      await Promise.race([link.opened, link.ended]);
      if (link.openedAt) return;
    }
    if (used()) this.#choice.keep(now.via as Transport);
  }

  /** quiet: do not pass a greeting on to listeners. */
  #receive(event: TandemEvent, quiet: boolean): void {
    this.#heardAt = Date.now();
    if (this.#position.receive(event, this.#link) && !(quiet && event.type === 'stream_open')) this.#emit(event);
  }

  #emit(event: TandemEvent): void {
    this.#tabs?.heard(event);
    if (this.#tabs && !this.#tabs.wanted(event, this.#rooms, this.#position.user)) return;
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
    this.#choice.rest();
    clearTimeout(this.#change);
    this.#tell({ state: 'closed', retryAt: undefined });
    this.#leaveTabs();
  }
}
