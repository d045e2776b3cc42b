// The current messages of a room or a private conversation: history and stream merged into one list, followed by
// messages being sent. A store for hooks: subscribe, and a snapshot that is a new object with every change.
import { CustomEvents, type EmitArguments } from './custom.js';
import type { CustomEventOf, EventName, MessageData } from './data.js';
import type { Replies, TandemEvent, TandemFile } from './events.js';
import type { LiveValue } from './live.js';
import { DELETED, reacted, withReply, type Item, type Message } from './message.js';
import { Outbox, type Outgoing, type SendOptions } from './outbox.js';
import { TandemError } from './problem.js';
import type { Call } from './rest.js';
import { Timeline } from './timeline.js';
import { Typing } from './typing.js';
import { Uploads } from './uploads.js';
import { backoff, insist, Listeners, sleep, type Unsubscribe } from './wait.js';

export interface Snapshot {
  messages: Message[];
  /** Users who are here now; the server names the first 500. */
  users: string[];
  /** How many users are here now. */
  count: number;
  /** Users who are typing, except the current user. */
  typing: string[];
  /** The first page of history is loading. */
  loading: boolean;
  /** There is history before the first message. */
  hasEarlier: boolean;
  /** Why it cannot be followed or loaded. */
  error?: TandemError;
  /** How far the user has read on another device. */
  read?: number;
}

/** What a conversation needs of its client. */
export interface Host {
  call(method: string, path: string, call?: Call): Promise<unknown>;
  watch(conversation: Conversation): Unsubscribe;
  /** Sends a short form over the WebSocket; undefined if none is open. */
  say(frame: object): Promise<unknown> | undefined;
  readonly user: string | null;
}

interface Page {
  items: Item[];
  prev: number | null;
}

const sorted = (names: string[]) => [...names].sort((a, b) => a.localeCompare(b));

/** Where an event belongs. */
export type About = { type?: string; room?: string; user?: string; target?: string };

export abstract class Conversation {
  readonly #listeners = new Listeners<[]>();
  #timeline: Timeline;
  #typing = new Typing((typing) => this.change({ typing }));
  #snapshot: Snapshot = {
    messages: [],
    users: [],
    count: 0,
    typing: [],
    loading: true,
    hasEarlier: false,
  };
  #next: Partial<Snapshot> | null = null; // what the next snapshot will have
  #prev: number | null = null; // where earlier history begins
  #loading = 0; // number of the page being loaded; 0 for none
  #loads = 0;
  #early: TandemEvent[] = []; // came while a page was loaded; it may or may not be in there
  #subscribers = 0;
  #typed = 0;
  /** @internal Its events have been complete since its history was loaded. */
  followed = false;
  /** @internal */
  readonly outbox: Outbox<Item>;

  /** @internal */
  readonly custom: CustomEvents;
  /** @internal What is kept besides the messages. */
  readonly beside: LiveValue<never>[] = [];

  /**
   * @internal
   * @param where it is, as the short forms of commands say
   * @param root of the thread that it is; undefined for the main line
   */
  constructor(
    protected host: Host,
    readonly name: string,
    readonly where: { room: string } | { target: string },
    private root?: number,
  ) {
    this.outbox = new Outbox<Item>(
      ({ body, nonce }) => {
        const headers = { 'Idempotency-Key': nonce };
        return this.call('POST', '/messages', { headers, body: { ...body, nonce } }) as Promise<Item>;
      },
      (event) => {
        if (event) this.#timeline.put(event);
        this.change({});
      },
    );
    this.#timeline = new Timeline(this.outbox, () => host.user, root);
    this.custom = new CustomEvents(
      (body, nonce) => this.call('POST', '/events', { headers: nonce ? { 'Idempotency-Key': nonce } : {}, body }),
      (body) => host.say({ type: 'custom_event', ...this.where, ...body }),
    );
  }

  /** @internal The room to follow for it; undefined if there is none. */
  get room(): string | undefined {
    return 'room' in this.where ? this.where.room : undefined;
  }

  /** A REST call below this conversation's path. */
  protected call(method: string, path: string, call: Call = {}): Promise<unknown> {
    const base = this.room === undefined ? '/v1/private/{name}' : '/v1/rooms/{name}';
    return this.host.call(method, base + path, { ...call, path: { name: this.name, ...call.path } });
  }

  /** Follows the conversation while there are listeners. */
  subscribe = (fn: () => void): Unsubscribe => {
    const off = this.#listeners.add(fn);
    if (this.#subscribers++ === 0) this.#unwatch = this.host.watch(this);
    return () => {
      if (off() && --this.#subscribers === 0) this.#unwatch!();
    };
  };
  #unwatch?: Unsubscribe;

  getSnapshot = (): Snapshot => this.#snapshot;

  /**
   * Sends a message. It appears in the list at once, and is retried until the server has answered. With files, it is
   * sent once they are uploaded; completed uploads are not repeated.
   */
  send(message: string, options: SendOptions = {}): Outgoing<Item> {
    const { data, reply_to, thread = this.root, files, nonce, signal } = options;
    const upload = files?.length
      ? new Uploads(
          files,
          (...args) => this.#upload(...args),
          () => this.change({}),
        )
      : undefined;
    const body = { message: message || (data || files ? undefined : ''), data, reply_to, thread };
    const item = this.outbox.add(body, nonce, upload);
    if (signal?.aborted) item.discard();
    signal?.addEventListener('abort', item.discard, { once: true });
    return item;
  }

  #upload(file: Blob, name: string, signal: AbortSignal, progress: (bytes: number) => void): Promise<TandemFile> {
    return this.call('POST', '/files', {
      query: { name: name || undefined },
      raw: file,
      signal,
      progress,
    }) as Promise<TandemFile>;
  }

  /** Changes a message's text or data; null removes the data. */
  async edit(id: number, message: string | undefined, data?: MessageData | null): Promise<void> {
    await this.call('PATCH', '/messages/{id}', { path: { id }, body: { message, data } });
  }

  async delete(id: number): Promise<void> {
    await this.call('DELETE', '/messages/{id}', { path: { id } });
  }

  /**
   * Sends a custom event. A durable one is retried until the server has answered, and also reaches users who were away;
   * an ephemeral one is not stored, and may be lost.
   */
  emit<N extends EventName>(name: N, ...[data, options]: EmitArguments<N>): Promise<CustomEventOf<N> | undefined> {
    return this.custom.emit(name, data, options) as Promise<CustomEventOf<N> | undefined>;
  }

  /** Calls fn with custom events of a name, or with all (`'*'`), and follows the conversation meanwhile. */
  on<N extends EventName>(name: N | '*', fn: (event: CustomEventOf<N>) => void): Unsubscribe {
    const off = this.custom.on(name, fn);
    const unwatch = this.host.watch(this);
    return () => {
      off();
      unwatch();
    };
  }

  /** Marks messages as read: up to a message, or to the end. */
  async read(id = this.#timeline.messages.at(-1)?.id): Promise<void> {
    if (id) await this.call('PUT', '/read', { body: { id } });
  }

  /** Loads the previous page of history. */
  async loadEarlier(): Promise<void> {
    if (!this.#prev || this.#loading) return;
    await this.#load(this.#prev);
  }

  /** @internal Reloads the latest page in place of everything. */
  load(): Promise<void> {
    this.followed = true;
    return this.#load();
  }

  async #load(before?: number): Promise<void> {
    const mine = (this.#loading = ++this.#loads);
    this.#early = [];
    this.change({ loading: !before });
    for (let n = 0; mine === this.#loading; n++) {
      try {
        const page = (await this.call('GET', '/messages', {
          query: { before, limit: before ? 100 : 50, thread: this.root },
        })) as Page;
        if (mine !== this.#loading) return;
        if (!before) this.#timeline.clear();
        page.items.forEach((item) => this.#timeline.put(item, true));
        this.#prev = page.prev;
        this.#loading = 0;
        this.#early.forEach((event) => this.apply(event));
        this.change({ loading: false, hasEarlier: !!page.prev, error: undefined });
        return;
      } catch (err) {
        if (mine !== this.#loading) return;
        const final = !(err instanceof TandemError) || err.final;
        if (err instanceof TandemError) this.change({ error: err });
        if (final) {
          this.#loading = 0;
          return this.change({ loading: false });
        }
        await sleep(backoff(n));
      }
    }
  }

  /** @internal Stops waiting: the network is back. */
  wake(): void {
    [this.outbox, this.custom.outbox].forEach((box) => box.wake());
  }

  /** @internal Discards the messages being sent. */
  drop(why: TandemError): void {
    for (const item of this.outbox.items) this.outbox.drop(item, why);
    for (const item of this.custom.outbox.items) this.custom.outbox.drop(item, why);
  }

  /** @internal It can no longer be followed. */
  lose(error: TandemError): void {
    this.followed = false;
    this.#loading = 0;
    this.change({ error, loading: false, users: [], count: 0, typing: [] });
  }

  /** @internal Whether an event belongs here. */
  abstract concerns(event: About): boolean;

  /** @internal */
  receive(event: TandemEvent): void {
    this.beside.forEach((value) => value.receive(event));
    if (event.type === 'custom_event') return this.custom.receive(event);
    if (this.#loading) this.#early.push(event);
    this.apply(event);
  }

  /** Applies an event. Applying it twice changes nothing more. */
  private apply(event: TandemEvent): void {
    const { users, count } = this.now;
    switch (event.type) {
      case 'chat_message':
      case 'private_message':
        return this.arrive(event);
      case 'private_message_delivered':
        // The sender's copy has its own id; it contains the message's.
        return this.arrive({ ...event, id: event.message_id });
      case 'room_deleted':
        return this.lose(new TandemError('room_not_found', 'The room is gone.', 404));
      case 'message_edited': {
        const { message_id, message, data, mentions, mentions_all, marks, sent_at } = event;
        this.#alter(message_id, () => ({ message, data, mentions, mentions_all, marks, edited_at: sent_at }));
        return;
      }
      case 'message_deleted':
        if (!this.#alter(event.message_id, () => DELETED)) this.#recount(event.message_id);
        return;
      case 'reaction_added':
      case 'reaction_removed':
        this.#alter(event.message_id, (m) => ({ reactions: reacted(m.reactions, event, this.host.user) }));
        return;
      case 'user_list':
        return this.change({ users: sorted(event.users), count: event.count });
      case 'user_join':
        if (users.includes(event.user)) return;
        return this.change({ users: sorted([...users, event.user]), count: count + 1 });
      case 'user_leave':
        this.#typing.quiet(event.user);
        if (!users.includes(event.user)) return;
        return this.change({ users: users.filter((u) => u !== event.user), count: count - 1 });
      case 'user_typing':
        if (event.user !== this.host.user) this.#typing.writes(event.user);
        return;
      case 'message_read':
        return this.change({ read: event.message_id });
    }
  }

  /** Takes a message from the stream. */
  private arrive(item: Item): void {
    this.#typing.quiet(item.user);
    this.#timeline.put(item);
    const { thread } = item;
    if (this.root === undefined && typeof thread === 'number' && !item.deleted) {
      this.#replied++;
      this.#alter(thread, ({ replies }) => ({ replies: withReply(replies, item) }));
    }
    this.change({});
  }
  #replied = 0; // messages of threads that have come

  /** A reply in a thread was deleted; its event does not say in which. */
  #recount(gone: number): void {
    if (this.root !== undefined) return;
    for (const { id, replies } of this.#timeline.messages) {
      if (!replies || id! > gone || replies.last_id < gone) continue;
      void insist(
        async () => {
          let page: Page;
          let then;
          do {
            then = this.#replied;
            page = (await this.call('GET', '/messages', { query: { thread: id, after: 0, limit: 1 } })) as Page;
          } while (then !== this.#replied); // a reply that arrived meanwhile may or may not be included
          this.#alter(id!, () => ({ replies: page.items[0]?.thread as Replies | undefined }));
        },
        () => this.followed,
      );
    }
  }

  /** Announces, at most once in 3 s, that the user is typing. */
  protected tellTyping(): void {
    if (Date.now() - this.#typed < 3000) return;
    this.#typed = Date.now();
    this.call('POST', '/typing').catch(() => {}); // not worth a retry
  }

  protected get now(): Snapshot {
    return { ...this.#snapshot, ...this.#next };
  }

  /** Creates a new snapshot soon: several events in one turn are one change. */
  protected change(change: Partial<Snapshot>): void {
    if (!this.#next) {
      this.#next = {};
      void Promise.resolve().then(() => {
        this.#snapshot = { ...this.#snapshot, ...this.#next, messages: this.#timeline.list() };
        this.#next = null;
        this.#listeners.tell();
      });
    }
    Object.assign(this.#next, change);
  }

  #alter(id: number, change: (m: Message) => Partial<Message>): boolean {
    const known = this.#timeline.alter(id, change);
    if (known) this.change({});
    return known;
  }
}
