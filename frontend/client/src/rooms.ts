// Rooms, conversations of two, and the threads in both.
import { Conversation, type About, type Host } from './conversation.js';
import type { Item, Message } from './message.js';
import { shown } from './message.js';
import { LiveValue } from './live.js';
import { TandemError } from './problem.js';
import { fold } from './cursor.js';
import { Listeners } from './wait.js';

/** What the user is notified of while away: everything, mentions only, or nothing. */
export type NotifyLevel = 'all' | 'mentions' | 'none';

/** What rooms and conversations have, but threads do not. */
abstract class MainLine extends Conversation {
  readonly #threads = new Map<number, ThreadHandle>();

  /** The pinned messages; undefined until they are loaded. */
  readonly pins = this.#live<Message[]>(
    async () => ((await this.call('GET', '/pins')) as { items: Item[] }).items.map((item) => shown(item)),
    (pinned, event) => {
      if (event.type === 'message_pinned' || event.type === 'message_unpinned') return undefined;
      return 'message_id' in event && pinned.some((m) => m.id === event.message_id) ? undefined : pinned;
    },
  );

  /** How far the others have read, by name, where receipts are on; undefined until it is loaded. */
  readonly seen = this.#live<Readonly<Record<string, number>>>(
    async () => {
      const { items } = (await this.call('GET', '/seen')) as { items: { username: string; message_id: number }[] };
      return Object.fromEntries(items.map(({ username, message_id }) => [username, message_id]));
    },
    (seen, event) => {
      if (event.type !== 'message_seen' || event.message_id <= (seen[event.user] ?? 0)) return seen;
      return { ...seen, [event.user]: event.message_id };
    },
  );

  #live<T>(load: () => Promise<T>, after: ConstructorParameters<typeof LiveValue<T>>[2]): LiveValue<T> {
    const value = new LiveValue(() => this.host.watch(this), load, after);
    this.beside.push(value as never);
    return value;
  }

  /** Returns the thread that starts with a message. The same id returns the same object. */
  thread(id: number): ThreadHandle {
    let thread = this.#threads.get(id);
    if (!thread) this.#threads.set(id, (thread = new ThreadHandle(this.host, this, id)));
    return thread;
  }

  async pin(id: number, on = true): Promise<void> {
    await this.call(on ? 'PUT' : 'DELETE', '/messages/{id}/pin', { path: { id } });
  }

  /** Sets what the user is notified of by push. */
  async notify(level: NotifyLevel): Promise<void> {
    await this.call('PUT', '/notify', { body: { level } });
  }

  /** @internal */
  override wake(): void {
    super.wake();
    this.#threads.forEach((thread) => thread.wake());
  }

  /** @internal */
  override drop(why: TandemError): void {
    super.drop(why);
    this.#threads.forEach((thread) => thread.drop(why));
  }
}

/** A room: its messages, its users, and actions. */
export class RoomHandle extends MainLine {
  /** @internal */
  constructor(host: Host, name: string) {
    super(host, name, { room: name });
  }

  /** Makes the user a member, and creates the room if needed. */
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

  /** Shows the others that the user is typing; call it with every key. */
  typing(): void {
    this.tellTyping();
  }

  /** @internal */
  override concerns(event: About): boolean {
    return !!event.room && fold(event.room) === fold(this.name);
  }
}

/** A private conversation. */
export class PrivateHandle extends MainLine {
  /** @internal */
  constructor(host: Host, name: string) {
    super(host, name, { target: name });
  }

  /** @internal */
  override concerns(event: About): boolean {
    const other = event.user === this.host.user ? (event.target ?? event.user) : event.user;
    return !event.room && fold(other ?? '') === fold(this.name);
  }
}

/** A thread: its first message, and the replies. */
export class ThreadHandle extends Conversation {
  /** @internal */
  constructor(
    host: Host,
    readonly parent: RoomHandle | PrivateHandle | MainLine,
    readonly id: number,
  ) {
    super(host, parent.name, parent.where, id);
  }

  /** Its first message, once it is known. */
  get first(): Message | undefined {
    const known = (c: Conversation) => c.getSnapshot().messages.find((m) => m.id === this.id);
    return known(this) ?? known(this.parent);
  }

  /** Unread counts ignore threads: nothing to announce. */
  override async read(): Promise<void> {}

  /** @internal */
  override concerns(event: About): boolean {
    return this.parent.concerns(event);
  }
}
