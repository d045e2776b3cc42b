// What a conversation has besides its messages, loaded on demand and kept as on the server.
import type { TandemEvent } from './events.js';
import { insist, Listeners, type Unsubscribe } from './wait.js';

/** A value to subscribe to; a new one with every change. Undefined until it is loaded. */
export class LiveValue<T> {
  readonly #listeners = new Listeners<[]>();
  #value?: T;
  #loads = 0;
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
    const now = this.#value && this.after(this.#value, event);
    if (now === undefined)
      void this.reload(); // also while it is loading: the change may or may not be included
    else this.#set(now);
  }

  /** @internal */
  async reload(): Promise<void> {
    const mine = ++this.#loads;
    const wanted = () => mine === this.#loads && this.#subscribers > 0;
    const value = await insist(this.load, wanted);
    if (value !== undefined && wanted()) this.#set(value);
  }

  #set(value: T): void {
    if (value === this.#value) return;
    this.#value = value;
    this.#listeners.tell();
  }
}
