// Messages that are not in the log yet. A conversation's messages are sent one after the other, so that they arrive in
// order; those with files once these are uploaded, so that they delay nothing. Every try has the same Idempotency-Key:
// the message is posted once, however often the response is lost.
import type { MessageData } from './data.js';
import { failure, TandemError } from './problem.js';
import type { Source, Upload, Uploads } from './uploads.js';
import { backoff, child, sleep, unique } from './wait.js';

/** The event that a post becomes. */
export interface Posted {
  id: number;
  nonce?: string;
}

/** The body of a post. */
export interface Body {
  message?: string;
  data?: MessageData;
  reply_to?: number;
  thread?: number;
  files?: string[];
}

/** What is sent with a message, or instead of a text. */
export interface SendOptions {
  /** The app's data. */
  data?: MessageData;
  /** Files and blobs, which are uploaded first, or files that were uploaded before. */
  files?: readonly Source[];
  /** The first message of its thread. */
  thread?: number;
  reply_to?: number;
  /** The nonce of a message that an earlier page could not send; if it did arrive, it is not posted again. */
  nonce?: string;
  /** Discards it. A request in progress may arrive all the same. */
  signal?: AbortSignal;
}

/** A message being sent. */
export class Outgoing<E extends Posted = Posted, B extends object = Body> {
  readonly sent_at = new Date().toISOString();
  state: 'uploading' | 'queued' | 'sending' | 'sent' | 'failed' = 'queued';
  /** Why it was refused, if it has failed; or why it is still waiting. */
  error?: TandemError;
  /** The message in the log, once it is there. */
  event?: E;
  /** @internal */
  readonly settled: (() => void)[] = [];

  /** @internal */
  constructor(
    readonly body: B,
    box: Outbox<E, B>,
    readonly nonce = unique(),
    files?: Uploads,
  ) {
    this.#box = box;
    this.#files = files;
  }
  #box: Outbox<E, B>; // not seen by JSON, nor by who compares
  #files?: Uploads;

  get message(): string {
    return (this.body as Body).message ?? '';
  }

  get reply_to(): number | undefined {
    return (this.body as Body).reply_to;
  }

  /** Its files with their progress. */
  get uploads(): readonly Upload[] {
    return this.#files?.all ?? [];
  }

  /** @internal */
  get files(): Uploads | undefined {
    return this.#files;
  }

  /** Retries a failed message. */
  retry = (): void => this.#box.queue(this);

  /** Discards it. A request in progress may arrive all the same. */
  discard = (): void => this.#box.drop(this);

  /** Resolves with the message's event; throws TandemError if it is refused, or `discarded`. */
  async sent(): Promise<E> {
    while (this.state !== 'sent' && this.state !== 'failed') {
      await new Promise<void>((resolve) => this.settled.push(resolve));
    }
    if (this.event) return this.event;
    throw this.error!;
  }
}

export class Outbox<E extends Posted, B extends object = Body> {
  items: readonly Outgoing<E, B>[] = [];
  /** The nonces of sent messages, by id. */
  readonly keys = new Map<number, string>();
  #busy = false;
  #nap = new AbortController();

  /**
   * @param post posts once
   * @param changed is called after every change
   */
  constructor(
    private post: (item: Outgoing<E, B>) => Promise<E>,
    private changed: (event?: E) => void,
  ) {}

  add(body: B, nonce?: string, files?: Uploads): Outgoing<E, B> {
    const item = new Outgoing(body, this, nonce, files);
    this.items = [...this.items, item];
    this.queue(item);
    return item;
  }

  queue(item: Outgoing<E, B>): void {
    if (!this.items.includes(item) || item.state === 'sending' || item.state === 'uploading') return;
    if (item.error?.errors.some(({ field }) => field === 'files')) item.files?.restart(); // they no longer exist
    item.error = undefined;
    if (item.files) void this.#upload(item, item.files);
    else item.state = 'queued';
    this.changed();
    void this.#work();
  }

  drop(item: Outgoing<E, B>, why = new TandemError('discarded', 'Discarded.')): void {
    if (!this.items.includes(item)) return;
    this.#settle(item, 'failed', why);
    item.files?.abort();
    this.#remove(item);
  }

  /** Removes the message that a post has become, on its response or its event, whichever comes first. */
  heard(event: E): void {
    const item = this.items.find((i) => i.nonce === event.nonce);
    if (!item) return;
    item.event = event;
    this.keys.set(event.id, item.nonce);
    this.#settle(item, 'sent');
    this.#remove(item);
  }

  /** Stops waiting: the network is back. */
  wake(): void {
    this.#nap.abort();
    this.items.forEach((item) => item.files?.wake());
  }

  #settle(item: Outgoing<E, B>, state: 'sent' | 'failed', error?: TandemError): void {
    item.state = state;
    item.error = error;
    item.settled.forEach((wake) => wake());
  }

  #remove(item: Outgoing<E, B>): void {
    this.items = this.items.filter((i) => i !== item);
    this.changed();
  }

  async #upload(item: Outgoing<E, B>, files: Uploads): Promise<void> {
    item.state = 'uploading';
    try {
      await files.run();
      if (!this.items.includes(item)) return;
      item.state = 'queued';
      void this.#work();
    } catch (err) {
      if (this.items.includes(item)) this.#settle(item, 'failed', failure(err));
    }
    this.changed();
  }

  async #work(): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    for (let item; (item = this.items.find((i) => i.state === 'queued'));) await this.#deliver(item);
    this.#busy = false;
  }

  async #deliver(item: Outgoing<E, B>): Promise<void> {
    if (item.files) {
      const ids = item.files.take();
      const body: Body = Object.assign(item.body, { files: ids.length ? ids : undefined });
      if (!ids.length && !body.message && !body.data) return this.drop(item); // all were left out
    }
    item.state = 'sending';
    for (let n = 0; this.items.includes(item); n++) {
      try {
        const event = await this.post(item);
        this.heard({ ...event, nonce: item.nonce });
        return this.changed(event);
      } catch (err) {
        if (!this.items.includes(item)) return;
        const error = failure(err);
        if (error.final || !(err instanceof TandemError)) {
          if (item.files) item.files.taken = false;
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
