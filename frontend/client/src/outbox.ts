// What was written and is not in the log yet. Messages of one conversation go out one after the other, so that they
// arrive in the order they were written. Every try has the same Idempotency-Key: however often the answer is lost, the
// message is posted once.
import { noAnswer, TandemError } from './problem.js';
import { backoff, child, sleep, unique } from './wait.js';

/** The event that a post becomes. */
export interface Posted {
  id: number;
  nonce?: string;
}

/** A message on its way. */
export class Outgoing<E extends Posted = Posted> {
  readonly sent_at = new Date().toISOString();
  state: 'queued' | 'sending' | 'sent' | 'failed' = 'queued';
  /** Why it was refused, when it has failed; or why it is still waiting. */
  error?: TandemError;
  /** The message as it is in the log, once it is there. */
  event?: E;
  /** @internal */
  readonly settled: (() => void)[] = [];

  /** @internal */
  constructor(
    readonly message: string,
    readonly reply_to: number | undefined,
    box: Outbox<E>,
    readonly nonce = unique(),
  ) {
    this.#box = box;
  }
  #box: Outbox<E>; // not seen by JSON, nor by who compares

  /** Tries again what has failed. */
  retry = (): void => this.#box.queue(this);

  /** Forgets it. What is under way already may arrive all the same. */
  discard = (): void => this.#box.drop(this);

  /** The event of the message; throws TandemError when it is refused, and `discarded` when it is discarded. */
  async sent(): Promise<E> {
    while (this.state === 'queued' || this.state === 'sending') {
      await new Promise<void>((resolve) => this.settled.push(resolve));
    }
    if (this.event) return this.event;
    throw this.error!;
  }
}

export class Outbox<E extends Posted> {
  items: readonly Outgoing<E>[] = [];
  /** The nonces of what has been sent, by id. */
  readonly keys = new Map<number, string>();
  #busy = false;
  #nap = new AbortController();

  /**
   * @param post posts once
   * @param changed is told after every change
   */
  constructor(
    private post: (item: Outgoing<E>) => Promise<E>,
    private changed: (event?: E) => void,
  ) {}

  add(message: string, reply_to?: number, nonce?: string): Outgoing<E> {
    const item = new Outgoing(message, reply_to, this, nonce);
    this.items = [...this.items, item];
    this.queue(item);
    return item;
  }

  queue(item: Outgoing<E>): void {
    if (!this.items.includes(item) || item.state === 'sending') return;
    item.state = 'queued';
    item.error = undefined;
    this.changed();
    void this.#work();
  }

  drop(item: Outgoing<E>, why = new TandemError('discarded', 'Discarded.')): void {
    if (!this.items.includes(item)) return;
    this.#settle(item, 'failed', why);
    this.#remove(item);
  }

  /** Takes out the message that a post has become, by its answer or by its event, whichever is first. */
  heard(event: E): void {
    const item = this.items.find((i) => i.nonce === event.nonce);
    if (!item) return;
    item.event = event;
    this.keys.set(event.id, item.nonce);
    this.#settle(item, 'sent');
    this.#remove(item);
  }

  /** Does not wait any longer: the network is back. */
  wake(): void {
    this.#nap.abort();
  }

  #settle(item: Outgoing<E>, state: 'sent' | 'failed', error?: TandemError): void {
    item.state = state;
    item.error = error;
    item.settled.forEach((wake) => wake());
  }

  #remove(item: Outgoing<E>): void {
    this.items = this.items.filter((i) => i !== item);
    this.changed();
  }

  async #work(): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    for (let item; (item = this.items.find((i) => i.state === 'queued'));) await this.#deliver(item);
    this.#busy = false;
  }

  async #deliver(item: Outgoing<E>): Promise<void> {
    item.state = 'sending';
    for (let n = 0; this.items.includes(item); n++) {
      try {
        const event = await this.post(item);
        this.heard({ ...event, nonce: item.nonce });
        return this.changed(event);
      } catch (err) {
        if (!this.items.includes(item)) return;
        const error = err instanceof TandemError ? err : noAnswer('failed', String(err), err);
        if (error.final || !(err instanceof TandemError)) {
          this.#settle(item, 'failed', error);
          return this.changed();
        }
        item.error = error;
        this.changed();
        this.#nap = child();
        await sleep(Math.max((error.retryAfter ?? 0) * 1000, backoff(n)), this.#nap.signal);
      }
    }
  }
}
