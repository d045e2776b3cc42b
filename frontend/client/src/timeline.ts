// A conversation's messages for display: those that have arrived, followed by those being sent.
import { shown, stateOf, underway, type Item, type Message } from './message.js';
import type { Outbox } from './outbox.js';

export class Timeline {
  #messages: Message[] = []; // in the order of ids; another array with every change
  #shown: { messages?: Message[]; items?: string; list: Message[] } = { list: [] };

  /**
   * @param user the logged-in user
   * @param root of the thread; undefined for the main history
   */
  constructor(
    private outbox: Outbox<Item>,
    private user: () => string | null,
    private root?: number,
  ) {}

  /** The messages that have arrived. */
  get messages(): readonly Message[] {
    return this.#messages;
  }

  clear(): void {
    this.#messages = [];
  }

  /** page: this is the message's current state; otherwise an earlier one, and what is known already may be newer. */
  put(item: Item, page = false): void {
    if (item.user === this.user()) this.outbox.heard(item);
    const { id, thread } = item;
    const here = this.root === undefined ? typeof thread !== 'number' : thread === this.root || id === this.root;
    if (!here) return;
    const m = shown(item, this.outbox.keys.get(id));
    let at = this.#messages.length;
    while (at && this.#messages[at - 1]!.id! > id) at--;
    const known = this.#messages[at - 1]?.id === id;
    if (known && !page) return;
    const all = this.#messages.slice();
    if (known) all[at - 1] = m;
    else all.splice(at, 0, m);
    this.#messages = all;
  }

  /** Returns whether the message is there. */
  alter(id: number, change: (m: Message) => Partial<Message>): boolean {
    const i = this.#messages.findIndex((m) => m.id === id);
    if (i < 0) return false;
    const old = this.#messages[i]!;
    this.#messages = this.#messages.slice();
    this.#messages[i] = { ...old, ...change(old) };
    return true;
  }

  /** All messages; the same array as before if nothing has changed. */
  list(): Message[] {
    const items = this.outbox.items;
    const state = items.map(stateOf).join();
    if (this.#shown.messages !== this.#messages || this.#shown.items !== state) {
      const pending = items.map((item) => underway(item, this.user()));
      this.#shown = { messages: this.#messages, items: state, list: [...this.#messages, ...pending] };
    }
    return this.#shown.list;
  }
}
