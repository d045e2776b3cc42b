import type { Conversation, Host } from './conversation.js';
import { fold } from './cursor.js';
import type { ChatMessage, Profile, Session, TandemEvent } from './events.js';
import { Files } from './files.js';
import type { paths } from './openapi.js';
import { People } from './people.js';
import { TandemError } from './problem.js';
import { Rest, type Answer, type Call, type Method, type OptionsArgument, type Tokens } from './rest.js';
import { PrivateHandle, RoomHandle } from './rooms.js';
import { Account, type SessionStore } from './session.js';
import { TIMING, type Status, type StreamOptions, type Timing } from './status.js';
import { Stream } from './stream.js';
import { ORDER, type Connection, type Transport } from './transports.js';
import { here, Listeners, locks, type Unsubscribe } from './wait.js';
import { Winner } from './winner.js';

export interface ClientOptions {
  /**
   * The server's URL, as in `https://chat.example.com`; by default, the page's own. Without a page, a client can be
   * created and rendered without it, but cannot make calls.
   */
  url?: string;
  /**
   * Returns access tokens from elsewhere: an outside issuer, or an API token. `refused` is the token that the server
   * has just refused; return a different one, or throw. Without it, use `signup` and `login`.
   */
  getToken?: (refused?: string) => string | Promise<string>;
  /** Where the session is kept; by default localStorage, or memory if there is none. */
  session?: SessionStore;
  /**
   * What the hooks and stores follow besides what they show: `{rooms: '*'}` for all rooms of the user. With `history`,
   * `on` first receives earlier messages and events of these rooms.
   */
  live?: Pick<StreamOptions, 'rooms' | 'site' | 'history'>;
  /** Transports to try, best first; by default WebSocket, SSE, SSE by POST, long poll. */
  transports?: readonly Transport[];
  /**
   * Share one connection between all tabs; on unless false. With `getToken` it is off, unless you set a name here,
   * which must differ for every user.
   */
  share?: boolean | string;
  fetch?: typeof globalThis.fetch;
  /** For Node before 22: the class of the package `ws`. */
  WebSocket?: unknown;
  timing?: Partial<Timing>;
}

/** Milliseconds that a room is still followed after nothing shows it any more, in case the user comes back. */
const LINGER = 1000;

export class Tandem implements Host {
  /** Profiles of users: names, pictures and more. */
  readonly people: People;
  /** Files of messages: URLs and bytes. */
  readonly files: Files;
  /** Notifications in this browser while no page of the app is open, by a service worker with `handlePush`. */
  readonly push = {
    /**
     * Subscribes this browser under its own id, which it returns. Call it at each start: repeating it changes nothing.
     * The browser asks the user first, unless they have agreed.
     */
    subscribe: async (registration: ServiceWorkerRegistration): Promise<string> =>
      (await import('./push.js')).subscribe(this, registration),
    /** Unsubscribes this browser and removes shown notifications. Call it before or after a logout. */
    unsubscribe: async (registration: ServiceWorkerRegistration): Promise<void> =>
      (await import('./push.js')).unsubscribe(this, registration),
  };
  #rest: Rest;
  #account?: Account;
  #tokens: Tokens;
  #options: ClientOptions;
  #winner: Winner;
  #timing: Timing;
  #always: string[]; // followed whatever is shown
  #conversations = new Map<string, Conversation>();
  #all = new Set<Conversation>(); // also those that an app has kept from before a login
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
    this.#rest = new Rest(base, options.fetch);
    const { getToken } = options;
    this.#tokens = getToken
      ? { token: async (refused) => getToken(refused) }
      : (this.#account = new Account(this.#rest, options.session));
    this.#timing = { ...TIMING, ...options.timing };
    this.#winner = new Winner(base, this.#timing.keep);
    this.people = new People(
      async (names) => ((await this.call('GET', '/v1/users', { query: { names } })) as { items: Profile[] }).items,
    );
    this.files = new Files(
      base,
      (...args) => this.call(...args),
      (path, call) => this.#rest.open('GET', path, call, this.#tokens),
    );
    let before = this.#account?.user;
    this.#account?.changed.add((user) => {
      this.people.clear();
      this.files.clear();
      this.#live?.close(); // it belongs to the previous user
      this.#live = undefined;
      const gone = new TandemError('signed_out', 'Logged out.', 401);
      // The previous user's messages must not go out under the next user's name.
      if (before) this.#all.forEach((c) => c.drop(gone));
      before = user;
      this.#conversations.clear();
      for (const c of this.#watched.keys()) c.followed = false;
      this.#follow();
    });
    here.addEventListener?.('online', () => this.#wake());
  }

  // Accounts.

  /** The name of the logged-in user; null for nobody, or if not known yet. */
  get user(): string | null {
    return this.#account ? this.#account.user : this.#user;
  }

  /**
   * Calls fn when another user is logged in, or nobody (null): by this tab or another, or because the session ended.
   */
  onUser(fn: (user: string | null) => void): Unsubscribe {
    return this.#account?.changed.add(fn) ?? (() => {});
  }

  /** Creates an account and logs in. */
  signup(username: string, password: string): Promise<Session> {
    return this.#own.enter('signup', { username, password });
  }

  login(username: string, password: string): Promise<Session> {
    return this.#own.enter('login', { username, password });
  }

  /** Ends the session, here in any case. Throws if the server could not be reached. */
  logout(): Promise<void> {
    return this.#own.leave();
  }

  /** Returns a valid token for calls of your own; undefined if nobody is logged in. */
  token(): Promise<string | undefined> {
    return this.#tokens.token();
  }

  get #own(): Account {
    if (!this.#account) throw new TypeError('With getToken, logging in is done elsewhere.');
    return this.#account;
  }

  // Calls.

  /**
   * Makes any call of the API, typed by its spec: `request('GET', '/v1/rooms/{room}', {path: {room: 'lobby'}})`. Throws
   * TandemError for a response other than 2xx.
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

  /**
   * Returns a page of the messages that mention the user, starting with the latest page; pass `prev` as `before` for
   * the next one.
   */
  mentions(query: { before?: number; limit?: number } = {}): Promise<{ items: ChatMessage[]; prev: number | null }> {
    return this.call('GET', '/v1/me/mentions', { query }) as Promise<{ items: ChatMessage[]; prev: number | null }>;
  }

  // Streams.

  /** Opens a stream of events, which lasts until it is closed. */
  stream(options: StreamOptions = {}): Stream {
    return this.#stream(options, false);
  }

  #stream(options: StreamOptions, lenient: boolean): Stream {
    this.#rest.url(''); // throws where there is none
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
    // A stream that follows all rooms, or the site, can only be served by one that does so too.
    const kind = `${[options.rooms].flat().includes('*') ? '*' : ''}${options.site ? '+' : ''}`;
    const key = `tandem.stream:${this.#rest.base}:${kind}:${name}`;
    return new Stream(
      parts,
      options,
      name && locks() ? async (stream) => new (await import('./tabs.js')).TabGroup(key, stream) : undefined,
    );
  }

  /** Returns a room: `tandem.room('lobby').send('hi')`. The same name returns the same object. */
  room(name: string): RoomHandle {
    return this.#conversation(`room ${fold(name)}`, () => {
      const room = new RoomHandle(this, name);
      // A room that did not exist, or was not visible to the user, may be there now.
      room.entered.add(() => this.#watched.has(room) && this.#live?.add(name));
      return room;
    });
  }

  /** Returns the conversation with a user. */
  private(username: string): PrivateHandle {
    return this.#conversation(`private ${fold(username)}`, () => new PrivateHandle(this, username));
  }

  #conversation<C extends Conversation>(key: string, make: () => C): C {
    let c = this.#conversations.get(key) as C | undefined;
    if (!c) {
      this.#conversations.set(key, (c = make()));
      this.#all.add(c);
    }
    return c;
  }

  // The one stream behind rooms, private conversations and hooks. It is open while anything is watched.

  /** The state of the stream behind rooms and hooks; a new object with every change. */
  get status(): Status {
    return this.#live?.status ?? this.#none;
  }

  /** Calls fn when `status` changes. Does not open the stream. */
  onStatus = (fn: () => void): Unsubscribe => this.#liveStatus.add(fn);

  /** The stream behind rooms and hooks while it is open, to listen to more of its events. */
  get live(): Stream | undefined {
    return this.#live;
  }

  /** Calls fn with every event of the stream behind rooms and hooks, and keeps it open meanwhile. */
  onEvent(fn: (event: TandemEvent) => void): Unsubscribe {
    this.#events.add(fn);
    this.#follow();
    return () => {
      this.#events.delete(fn);
      this.#idle();
    };
  }

  /** Forces a transport for the stream behind rooms and hooks, or lets it choose with `'auto'`. */
  use(transport: Transport | 'auto'): void {
    this.#forced = transport === 'auto' ? undefined : transport;
    this.#live?.use(transport);
  }

  /** @internal */
  say(frame: object): Promise<unknown> | undefined {
    return this.#live?.say(frame);
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
        const { room } = c;
        const shown = [...this.#watched.keys()].some((other) => other.room === room);
        if (room !== undefined && !shown && !this.#always.includes(room)) this.#live?.remove(room);
        this.#idle();
      }, LINGER);
    };
  }

  /** Closes the stream when nothing needs it. */
  #idle(): void {
    if (this.#watched.size || this.#events.size || !this.#live) return;
    this.#live.close();
    this.#live = undefined;
    this.#liveStatus.tell();
  }

  #follow(added?: Conversation): void {
    if (!this.#watched.size && !this.#events.size) return;
    if (this.#account && !this.#account.user) {
      // The store may answer asynchronously; listeners are notified then.
      return void this.#account.load().then(
        (s) => s && !this.#live && this.#follow(),
        () => {},
      );
    }
    if (this.#live && this.#live.status.state !== 'closed') {
      const room = added?.room;
      if (room !== undefined) this.#live.add(room);
      if (added && !added.followed && this.#live.cursor && (room === undefined || this.#live.follows(room)))
        void added.load();
      return;
    }
    // Only after the listeners have run is it known which rooms must be named besides the user's own.
    const own = this.#always.includes('*') ? [] : [...this.#watched.keys()].flatMap((c) => c.room ?? []);
    const rooms = [...this.#always, ...own];
    const options = { ...this.#options.live, rooms, transport: this.#forced };
    const live = (this.#live = this.#stream(options, true));
    live.on('*', (event) => this.#receive(event));
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
    this.#all.forEach((c) => c.wake());
  }

  #receive(event: TandemEvent): void {
    const room = 'room' in event ? event.room : undefined;
    if (event.type === 'stream_open') {
      if (this.#user) this.people.changed(); // changes during an interruption are not announced again
      this.#user = event.user;
    }
    if (event.type === 'user_updated') this.people.changed(event.user);
    // Presence is announced once, but may be requested later.
    if (event.type.startsWith('user_')) {
      if (room) {
        this.room(room);
        this.#all.forEach((c) => c instanceof RoomHandle && c.concerns(event) && c.receive(event));
      }
    } else this.#watched.forEach((_, c) => this.#pass(event, c));
    this.#events.forEach((fn) => fn(event));
  }

  #pass(event: TandemEvent, c: Conversation): void {
    const opened = event.type === 'stream_open';
    if (opened || event.type === 'stream_reset') c.beside.forEach((value) => void value.reload());
    if (event.type === 'stream_reset') return void c.load();
    if (!opened && !c.concerns(event)) return;
    if (!opened) c.receive(event);
    // The user may have become a member, or may no longer be one.
    const { room } = c;
    const follows = room === undefined || this.#live!.follows(room);
    if (follows && !c.followed) void c.load();
    if (!follows && (c.followed || (opened && !event.resumed))) this.#live!.add(room);
  }
}

/** A client of one tandem server. It connects when a stream is opened, or a room is shown. */
export const createClient = (options?: ClientOptions) => new Tandem(options);
