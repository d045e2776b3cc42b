// The messages of a room, or of a private conversation, as they are now: history and stream made one list, with what is
// on its way at the end. A store for hooks: subscribe, and a snapshot that is a new object with every change.
import type { TandemEvent } from './events.js';
import { Outbox, Outgoing, type Posted } from './outbox.js';
import { TandemError } from './problem.js';
import type { Call } from './rest.js';
import { fold } from './stream.js';
import { backoff, Listeners, sleep, type Unsubscribe } from './wait.js';

export interface Reaction {
  emoji: string;
  count: number;
  /** Whether the user is among them. */
  me: boolean;
  /** The first of them. */
  users: string[];
}

/** A message for the screen. */
export interface Message {
  /** Stays the same when the message arrives: for lists on the screen. */
  key: string;
  /** Missing while it is on its way. */
  id?: number;
  user: string;
  message: string;
  sent_at: string;
  reply_to?: number;
  edited_at?: string;
  deleted?: boolean;
  reactions: Reaction[];
  /** `queued` and `sending` on its way, `failed` when it was refused; then `outgoing` can be retried or discarded. */
  state: Outgoing['state'];
  outgoing?: Outgoing;
}

export interface Snapshot {
  messages: Message[];
  /** Who is here now; the server names the first 500. */
  users: string[];
  /** How many are here now. */
  count: number;
  /** Who is writing, the user left out. */
  typing: string[];
  /** The first page of history is under way. */
  loading: boolean;
  /** There is history before the first message. */
  hasEarlier: boolean;
  /** Why it cannot be followed, or loaded. */
  error?: TandemError;
  /** How far the user has read on another device. */
  read?: number;
}

/** What a conversation needs of its client. */
export interface Host {
  call(method: string, path: string, call?: Call): Promise<unknown>;
  watch(conversation: Conversation): Unsubscribe;
  readonly user: string | null;
}

interface Item extends Posted {
  user: string;
  message: string;
  sent_at: string;
  reply_to?: number;
  edited_at?: string;
  deleted?: boolean;
  reactions?: Reaction[];
}

interface Page {
  items: Item[];
  prev: number | null;
}

const sorted = (names: string[]) => [...names].sort((a, b) => a.localeCompare(b));

/** What an event says of where it belongs. */
type About = { type?: string; room?: string; user?: string; target?: string };

const TYPING = 5000; // ms that a sign of writing counts; it comes every 3 s

export abstract class Conversation {
  readonly #listeners = new Listeners<[]>();
  #messages: Message[] = []; // in the order of ids
  #typing = new Map<string, ReturnType<typeof setTimeout>>();
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
  /** @internal Its events come without a gap since its history was loaded. */
  followed = false;
  /** @internal */
  readonly outbox: Outbox<Item>;

  /** @internal */
  constructor(
    protected host: Host,
    readonly name: string,
    private base: string,
    protected param: Record<string, string>,
  ) {
    this.outbox = new Outbox<Item>(
      ({ message, nonce, reply_to }) => {
        const headers = { 'Idempotency-Key': nonce };
        return this.call('POST', '/messages', { headers, body: { message, nonce, reply_to } }) as Promise<Item>;
      },
      (event) => {
        if (event) this.#put(event);
        this.change({});
      },
    );
  }

  /** A REST call below this conversation's path. */
  protected call(method: string, path: string, call: Call = {}): Promise<unknown> {
    return this.host.call(method, this.base + path, { ...call, path: { ...this.param, ...call.path } });
  }

  /** Follows the conversation as long as somebody listens. */
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
   * Sends a message. It is in the list at once, and is retried until the server has answered. nonce: of a message that
   * a page before this one had not got out; if it did arrive, it is not posted again.
   */
  send(message: string, options: { reply_to?: number; nonce?: string } = {}): Outgoing {
    return this.outbox.add(message, options.reply_to, options.nonce) as unknown as Outgoing;
  }

  async edit(id: number, message: string): Promise<void> {
    await this.call('PATCH', '/messages/{id}', { path: { id }, body: { message } });
  }

  async delete(id: number): Promise<void> {
    await this.call('DELETE', '/messages/{id}', { path: { id } });
  }

  /** Says how far the user has read: to a message, or to the end. */
  async read(id = this.#messages.at(-1)?.id): Promise<void> {
    if (id) await this.call('PUT', '/read', { body: { id } });
  }

  /** Loads a page of what is before. */
  async loadEarlier(): Promise<void> {
    if (!this.#prev || this.#loading) return;
    await this.#load(this.#prev);
  }

  /** @internal Loads the latest page in place of all that is there. */
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
        const page = (await this.call('GET', '/messages', { query: { before, limit: before ? 100 : 50 } })) as Page;
        if (mine !== this.#loading) return;
        if (!before) this.#messages = [];
        page.items.forEach((item) => this.#put(item, true));
        this.#prev = page.prev;
        this.#loading = 0;
        this.#early.forEach((event) => this.apply(event));
        this.change({ loading: false, hasEarlier: !!page.prev, error: undefined });
        return;
      } catch (err) {
        if (mine !== this.#loading) return;
        const final = !(err instanceof TandemError) || err.final;
        if (err instanceof TandemError) this.change({ error: err });
        if (final || before) {
          this.#loading = 0;
          return this.change({ loading: false });
        }
        await sleep(backoff(n));
      }
    }
  }

  /** @internal It cannot be followed any more. */
  lose(error: TandemError): void {
    this.followed = false;
    this.#loading = 0;
    this.change({ error, loading: false, users: [], count: 0, typing: [] });
  }

  /** @internal Whether an event belongs here. */
  abstract concerns(event: About): boolean;

  /** @internal */
  hear(event: TandemEvent): void {
    if (this.#loading) this.#early.push(event);
    this.apply(event);
  }

  /** Changes what an event changes. Told twice, it is the same. */
  protected apply(event: TandemEvent): void {
    const { users, count } = this.now;
    switch (event.type) {
      case 'message_edited':
        return this.#alter(event.message_id, () => ({ message: event.message, edited_at: event.sent_at }));
      case 'message_deleted':
        return this.#alter(event.message_id, () => ({ message: '', deleted: true, reactions: [] }));
      case 'reaction_added':
      case 'reaction_removed':
        return this.#alter(event.message_id, (m) => ({ reactions: this.#react(m.reactions, event) }));
      case 'user_list':
        return this.change({ users: sorted(event.users), count: event.count });
      case 'user_join':
        if (users.includes(event.user)) return;
        return this.change({ users: sorted([...users, event.user]), count: count + 1 });
      case 'user_leave':
        this.#quiet(event.user);
        if (!users.includes(event.user)) return;
        return this.change({ users: users.filter((u) => u !== event.user), count: count - 1 });
      case 'user_typing':
        return this.#writes(event.user);
      case 'message_read':
        return this.change({ read: event.message_id });
    }
  }

  /** Takes a message from the stream. */
  protected arrive(item: Item): void {
    this.#quiet(item.user);
    this.#put(item);
    this.change({});
  }

  /** Tells, at most once in 3 s, that the user is writing. */
  protected tellTyping(): void {
    if (Date.now() - this.#typed < 3000) return;
    this.#typed = Date.now();
    this.call('POST', '/typing').catch(() => {}); // of no use later
  }

  protected get now(): Snapshot {
    return { ...this.#snapshot, ...this.#next };
  }

  /** Makes a new snapshot, soon: many events in one breath are one change. */
  protected change(change: Partial<Snapshot>): void {
    if (!this.#next) {
      this.#next = {};
      void Promise.resolve().then(() => {
        this.#snapshot = { ...this.#snapshot, ...this.#next, messages: this.#list() };
        this.#next = null;
        this.#listeners.tell();
      });
    }
    Object.assign(this.#next, change);
  }

  #shown: { messages?: Message[]; items?: string; list: Message[] } = { list: [] };

  /** All messages; the same array as before if they are the same. */
  #list(): Message[] {
    const items = this.outbox.items;
    const state = items.map((i) => `${i.nonce}${i.state}${i.error?.code}`).join();
    if (this.#shown.messages !== this.#messages || this.#shown.items !== state) {
      const pending = items.map((outgoing): Message => ({
        key: outgoing.nonce,
        user: this.host.user ?? '',
        message: outgoing.message,
        sent_at: outgoing.sent_at,
        reply_to: outgoing.reply_to,
        reactions: [],
        state: outgoing.state,
        outgoing: outgoing as unknown as Outgoing,
      }));
      this.#shown = { messages: this.#messages, items: state, list: [...this.#messages, ...pending] };
    }
    return this.#shown.list;
  }

  /** page: it is how the message is now; else it is how it was, and what is known already may be newer. */
  #put(item: Item, page = false): void {
    const { id, user, message, sent_at, reply_to, edited_at, deleted, reactions = [] } = item;
    if (user === this.host.user) this.outbox.heard(item);
    const key = this.outbox.keys.get(id) ?? String(id);
    const m: Message = { key, id, user, message, sent_at, reply_to, edited_at, deleted, reactions, state: 'sent' };
    let at = this.#messages.length;
    while (at && this.#messages[at - 1]!.id! > id) at--;
    const known = this.#messages[at - 1]?.id === id;
    if (known && !page) return;
    const all = this.#messages.slice();
    if (known) all[at - 1] = m;
    else all.splice(at, 0, m);
    this.#messages = all;
  }

  #alter(id: number, change: (m: Message) => Partial<Message>): void {
    const i = this.#messages.findIndex((m) => m.id === id);
    if (i < 0) return;
    const old = this.#messages[i]!;
    this.#messages = this.#messages.slice();
    this.#messages[i] = { ...old, ...change(old) };
    this.change({});
  }

  #react(reactions: Reaction[], event: { type: string; user: string; emoji: string }): Reaction[] {
    const { user, emoji } = event;
    const mine = user === this.host.user;
    const old = reactions.find((r) => r.emoji === emoji) ?? { emoji, count: 0, me: false, users: [] };
    const there = old.users.includes(user) || (mine && old.me);
    if (there === (event.type === 'reaction_added')) return reactions;
    const users = there ? old.users.filter((u) => u !== user) : [...old.users, user];
    const now = { emoji, users, me: mine ? !there : old.me, count: old.count + (there ? -1 : 1) };
    if (old.count === 0) return [...reactions, now];
    return reactions.map((r) => (r === old ? now : r)).filter((r) => r.count > 0);
  }

  #writes(user: string): void {
    if (user === this.host.user) return;
    clearTimeout(this.#typing.get(user));
    this.#typing.set(
      user,
      setTimeout(() => this.#quiet(user), TYPING),
    );
    this.change({ typing: [...this.#typing.keys()] });
  }

  #quiet(user: string): void {
    clearTimeout(this.#typing.get(user));
    if (this.#typing.delete(user)) this.change({ typing: [...this.#typing.keys()] });
  }
}

/** A room: what is said in it, who is in it, and what one can do there. */
export class RoomHandle extends Conversation {
  /** @internal */
  constructor(host: Host, name: string) {
    super(host, name, '/v1/rooms/{room}', { room: name });
  }

  /** Makes the user a member, and the room where there is none. */
  async enter(): Promise<void> {
    try {
      await this.call('PUT', '');
    } catch (err) {
      if (err instanceof TandemError) this.change({ error: err });
      throw err;
    }
    if (!this.followed) this.change({ error: undefined, loading: true });
    this.entered.tell();
  }
  /** @internal */
  readonly entered = new Listeners<[]>();

  async leave(): Promise<void> {
    await this.call('DELETE', '/members/{username}', { path: { username: this.host.user } });
  }

  async react(id: number, emoji: string, on = true): Promise<void> {
    await this.call(on ? 'PUT' : 'DELETE', '/messages/{id}/reactions/{emoji}', { path: { id, emoji } });
  }

  /** Tells the others that the user is writing; call it with every key. */
  typing(): void {
    this.tellTyping();
  }

  /** @internal */
  override concerns(event: About): boolean {
    return !!event.room && fold(event.room) === fold(this.name);
  }

  protected override apply(event: TandemEvent): void {
    if (event.type === 'chat_message') return this.arrive(event);
    if (event.type === 'room_deleted') {
      return this.lose(new TandemError('room_not_found', 'The room is gone.', 404));
    }
    super.apply(event);
  }
}

/** A conversation of two. */
export class PrivateHandle extends Conversation {
  /** @internal */
  constructor(host: Host, name: string) {
    super(host, name, '/v1/private/{username}', { username: name });
  }

  /** @internal */
  override concerns(event: About): boolean {
    const other = event.user === this.host.user ? (event.target ?? event.user) : event.user;
    return !event.room && fold(other ?? '') === fold(this.name);
  }

  protected override apply(event: TandemEvent): void {
    if (event.type === 'private_message') return this.arrive(event);
    // The sender's own copy has an id of its own; the message's is in it.
    if (event.type === 'private_message_delivered') return this.arrive({ ...event, id: event.message_id });
    super.apply(event);
  }
}
