import { PrivateHandle, RoomHandle, type Conversation, type Host } from './conversation.js';
import type { Session, TandemEvent } from './events.js';
import type { paths } from './openapi.js';
import { TandemError } from './problem.js';
import { Rest, type Answer, type Call, type Method, type OptionsArgument, type Tokens } from './rest.js';
import { Account, type SessionStore } from './session.js';
import { fold, Stream, TIMING, type Status, type StreamOptions, type Timing } from './stream.js';
import { ORDER, type Connection, type Transport } from './transports.js';
import { here, Listeners, locks, type Unsubscribe } from './wait.js';
import { Winner } from './winner.js';

export interface ClientOptions {
  /** The server's, as in `https://chat.example.com`; the page's own unless given. */
  url?: string;
  /**
   * Access tokens from elsewhere: an outside issuer, or an API token. `refused` is the token that the server has just
   * refused; give another one, or throw. Without it, `signup` and `login` are the way in.
   */
  getToken?: (refused?: string) => string | Promise<string>;
  /** Where the session is kept; localStorage unless given, memory where there is none. */
  session?: SessionStore;
  /** What the hooks and stores follow besides what they show: `{rooms: '*'}` for all rooms of the user. */
  live?: Pick<StreamOptions, 'rooms' | 'site'>;
  /** Transports to try, best first; WebSocket, SSE, SSE by POST, long poll unless given. */
  transports?: readonly Transport[];
  /**
   * One connection for all tabs; on unless false. With `getToken` it is off unless there is a name here, which must be
   * another for every user.
   */
  share?: boolean | string;
  fetch?: typeof globalThis.fetch;
  /** For Node before 22: the class of the package `ws`. */
  WebSocket?: unknown;
  timing?: Partial<Timing>;
}

/** Milliseconds that a room is still followed when nothing shows it any more: one may be on the way back. */
const LINGER = 1000;

export class Tandem implements Host {
  #rest: Rest;
  #account?: Account;
  #tokens: Tokens;
  #options: ClientOptions;
  #winner: Winner;
  #timing: Timing;
  #always: string[]; // followed whatever is shown
  #conversations = new Map<string, Conversation>();
  #watched = new Map<Conversation, number>(); // how many watch each
  #events = new Set<(event: TandemEvent) => void>();
  #live?: Stream;
  #liveStatus = new Listeners<[]>();
  #forced?: Transport;
  #user: string | null = null;
  #none: Status = { state: 'closed', transport: null, forced: false, shared: false };

  constructor(options: ClientOptions = {}) {
    this.#options = options;
    this.#always = [options.live?.rooms ?? []].flat();
    const base = (options.url ?? (globalThis.location as Location | undefined)?.origin ?? '').replace(/\/+$/, '');
    if (!base) throw new TypeError('createClient needs a url here.');
    this.#rest = new Rest(base, options.fetch ?? ((input, init) => fetch(input, init)));
    const { getToken } = options;
    this.#tokens = getToken
      ? { token: async (refused) => getToken(refused) }
      : (this.#account = new Account(this.#rest, options.session));
    this.#timing = { ...TIMING, ...options.timing };
    this.#winner = new Winner(base, this.#timing.keep);
    this.#account?.changed.add(() => {
      this.#live?.close(); // it is of somebody who is gone
      this.#live = undefined;
      const gone = new TandemError('signed_out', 'Logged out.', 401);
      // Nor does what they wrote go out under the next one's name.
      this.#conversations.forEach(({ outbox }) => outbox.items.forEach((item) => outbox.drop(item, gone)));
      this.#conversations.clear();
      for (const c of this.#watched.keys()) c.followed = false;
      this.#follow();
    });
    here.addEventListener?.('online', () => this.#wake());
  }

  // Accounts.

  /** The name of who is logged in; null for nobody, or not known yet. */
  get user(): string | null {
    return this.#account ? this.#account.user : this.#user;
  }

  /** Calls fn when somebody else is logged in, or nobody (null), by this tab or another, or because the session ended. */
  onUser(fn: (user: string | null) => void): Unsubscribe {
    return this.#account?.changed.add(fn) ?? (() => {});
  }

  /** Makes an account and logs in. */
  signup(username: string, password: string): Promise<Session> {
    return this.#own.enter('signup', { username, password });
  }

  login(username: string, password: string): Promise<Session> {
    return this.#own.enter('login', { username, password });
  }

  /** Ends the session, here in any case. Throws where the server could not be told. */
  logout(): Promise<void> {
    return this.#own.leave();
  }

  /** A token that is good for a while, for calls of your own. Undefined where nobody is logged in. */
  token(): Promise<string | undefined> {
    return this.#tokens.token();
  }

  get #own(): Account {
    if (!this.#account) throw new TypeError('With getToken, logging in is done elsewhere.');
    return this.#account;
  }

  // Calls.

  /**
   * Any call of the API, typed by its description: `request('GET', '/v1/rooms/{room}', {path: {room: 'lobby'}})`.
   * Throws TandemError for what is not 2xx.
   */
  request<P extends keyof paths, M extends Method<P>>(
    method: M,
    path: P,
    ...[options]: OptionsArgument<P, M>
  ): Promise<Answer<P, M>> {
    return this.call(method, path, options) as Promise<Answer<P, M>>;
  }

  /** @internal A call without types. */
  call(method: string, path: string, call: Call = {}): Promise<unknown> {
    const open = /^\/v1\/auth\/(signup|login|refresh)$/.test(path);
    return this.#rest.json(method, path, call, open ? undefined : this.#tokens);
  }

  // Streams.

  /** Opens a stream of events, which lasts until it is closed. */
  stream(options: StreamOptions = {}): Stream {
    return this.#stream(options, false);
  }

  #stream(options: StreamOptions, lenient: boolean): Stream {
    const { share, transports = ORDER, WebSocket = globalThis.WebSocket } = this.#options;
    const parts = {
      rest: this.#rest,
      tokens: this.#tokens,
      WebSocket: WebSocket as Connection['WebSocket'],
      transports,
      winner: this.#winner,
      timing: this.#timing,
      lenient,
    };
    const name = share === false ? null : typeof share === 'string' ? share : this.#account?.user;
    // Who follows all rooms, or the site, cannot be served by who does not.
    const kind = `${[options.rooms].flat().includes('*') ? '*' : ''}${options.site ? '+' : ''}`;
    const key = `tandem.stream:${this.#rest.base}:${kind}:${name}`;
    return new Stream(
      parts,
      options,
      name && locks() ? async (stream) => new (await import('./tabs.js')).TabGroup(key, stream) : undefined,
    );
  }

  /** A room: `tandem.room('lobby').send('hi')`. The same object for the same name. */
  room(name: string): RoomHandle {
    return this.#conversation(`room ${fold(name)}`, () => {
      const room = new RoomHandle(this, name);
      // What was refused because it did not exist, or not for the user, may be there now.
      room.entered.add(() => this.#watched.has(room) && this.#live?.add(name));
      return room;
    });
  }

  /** The conversation with one person. */
  private(username: string): PrivateHandle {
    return this.#conversation(`private ${fold(username)}`, () => new PrivateHandle(this, username));
  }

  #conversation<C extends Conversation>(key: string, make: () => C): C {
    let c = this.#conversations.get(key) as C | undefined;
    if (!c) this.#conversations.set(key, (c = make()));
    return c;
  }

  // The one stream behind rooms, private conversations and hooks. It is open while anything is watched.

  /** How the stream behind rooms and hooks is; a new object with every change. */
  get status(): Status {
    return this.#live?.status ?? this.#none;
  }

  /** Calls fn when `status` has changed. Does not open the stream. */
  onStatus = (fn: () => void): Unsubscribe => this.#liveStatus.add(fn);

  /** The stream behind rooms and hooks, while it is open: for listening to more of its events. */
  get live(): Stream | undefined {
    return this.#live;
  }

  /** Calls fn with every event of the stream behind rooms and hooks, and keeps that open meanwhile. */
  onEvent(fn: (event: TandemEvent) => void): Unsubscribe {
    this.#events.add(fn);
    this.#follow();
    return () => {
      this.#events.delete(fn);
      this.#idle();
    };
  }

  /** Only this transport from now on, or `'auto'`, for the stream behind rooms and hooks. */
  use(transport: Transport | 'auto'): void {
    this.#forced = transport === 'auto' ? undefined : transport;
    this.#live?.use(transport);
  }

  /** @internal */
  watch(c: Conversation): Unsubscribe {
    this.#watched.set(c, (this.#watched.get(c) ?? 0) + 1);
    this.#follow(c);
    return () => {
      setTimeout(() => {
        const n = this.#watched.get(c)! - 1;
        if (n > 0) return void this.#watched.set(c, n);
        this.#watched.delete(c);
        c.followed = false;
        if (c instanceof RoomHandle && !this.#always.includes(c.name)) this.#live?.remove(c.name);
        this.#idle();
      }, LINGER);
    };
  }

  /** Closes the stream when nobody needs it. */
  #idle(): void {
    if (this.#watched.size || this.#events.size || !this.#live) return;
    this.#live.close();
    this.#live = undefined;
    this.#liveStatus.tell();
  }

  #follow(added?: Conversation): void {
    if (!this.#watched.size && !this.#events.size) return;
    if (this.#account && !this.#account.user) {
      // A store that answers later than at once; whoever it is will be told.
      return void this.#account.load().then(
        (s) => s && !this.#live && this.#follow(),
        () => {},
      );
    }
    if (this.#live && this.#live.status.state !== 'closed') {
      const room = added instanceof RoomHandle;
      if (room) this.#live.add(added.name);
      if (added && !added.followed && this.#live.cursor && (!room || this.#live.follows(added.name))) void added.load();
      return;
    }
    // Which rooms need naming besides all that the user is a member of is known when these have been told.
    const own = this.#always.includes('*') ? [] : [...this.#watched.keys()].filter((c) => c instanceof RoomHandle);
    const rooms = [...this.#always, ...own.map((c) => c.name)];
    const options = { ...this.#options.live, rooms, transport: this.#forced };
    const live = (this.#live = this.#stream(options, true));
    live.on('*', (event) => this.#hear(event));
    live.on('lost', (name) => {
      const error = new TandemError('room_not_found', 'The room is gone.', 404);
      this.#watched.forEach((_, c) => c.concerns({ room: name }) && c.lose(error));
    });
    live.on('status', (status) => {
      if (this.#live !== live) return;
      if (status.state === 'live') this.#wake();
      const { error } = status;
      if (status.state === 'closed' && error) this.#watched.forEach((_, c) => c.lose(error));
      this.#liveStatus.tell();
    });
    this.#liveStatus.tell();
  }

  #wake(): void {
    this.#conversations.forEach((c) => c.outbox.wake());
  }

  #hear(event: TandemEvent): void {
    const room = 'room' in event ? event.room : undefined;
    if (event.type === 'stream_open') this.#user = event.user;
    // Who is here is told once, and may be asked for later.
    if (event.type.startsWith('user_')) {
      if (room) this.room(room).hear(event);
    } else this.#watched.forEach((_, c) => this.#pass(event, c));
    this.#events.forEach((fn) => fn(event));
  }

  #pass(event: TandemEvent, c: Conversation): void {
    if (event.type === 'stream_reset') return void c.load();
    const opened = event.type === 'stream_open';
    if (!opened && !c.concerns(event)) return;
    if (!opened) c.hear(event);
    // The user may have become a member, or be one no more.
    const follows = c instanceof PrivateHandle || this.#live!.follows(c.name);
    if (follows && !c.followed) void c.load();
    if (!follows && (c.followed || (opened && !event.resumed))) this.#live!.add(c.name);
  }
}

/** A client of one tandem server. It connects when a stream is opened, or a room is shown. */
export const createClient = (options?: ClientOptions) => new Tandem(options);
