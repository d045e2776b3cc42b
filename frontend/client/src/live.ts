// What a conversation has besides its messages, loaded on demand and kept as on the server.
import type { TandemEvent } from './events.js';
import { insist, Listeners, type Unsubscribe } from './wait.js';

/** A value to subscribe to; a new one with every change. Undefined until it is loaded. */
export class LiveValue<T> {
  readonly #listeners = new Listeners<[]>();
  #value?: T;
  #loads = 0;
  #early?: TandemEvent[]; // came while it was being loaded; the response may or may not include them
  #subscribers = 0;
  #unwatch?: Unsubscribe;

  /**
   * @internal
   * @param watch keeps the conversation followed
   * @param load fetches the value
   * @param after the value after an event; undefined if it must be fetched again
   */
  constructor(
    private watch: () => Unsubscribe,
    private load: () => Promise<T>,
    private after: (value: T, event: TandemEvent) => T | undefined,
  ) {}

  subscribe = (fn: () => void): Unsubscribe => {
    const off = this.#listeners.add(fn);
    if (this.#subscribers++ === 0) {
      this.#unwatch = this.watch();
      void this.reload();
    }
    return () => {
      if (off() && --this.#subscribers === 0) this.#unwatch!();
    };
  };

  getSnapshot = (): T | undefined => this.#value;

  /** @internal */
  receive(event: TandemEvent): void {
    if (!this.#subscribers) return;
    if (this.#early) return void this.#early.push(event);
    const now = this.#value && this.after(this.#value, event);
    if (now === undefined) void this.reload();
    else this.#set(now);
  }

  /** @internal */
  async reload(): Promise<void> {
    const mine = ++this.#loads;
    const wanted = () => mine === this.#loads && this.#subscribers > 0;
    this.#early = [];
    const value = await insist(this.load, wanted);
    if (mine !== this.#loads) return;
    const early = this.#early;
    this.#early = undefined;
    if (value === undefined || !wanted()) return;
    this.#set(value);
    early.forEach((event) => this.receive(event));
  }

  #set(value: T): void {
    if (value === this.#value) return;
    this.#value = value;
    this.#listeners.tell();
  }
}
