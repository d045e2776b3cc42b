// Custom events in a room, or between two users.
import type { CustomEventOf, EventData, EventName } from './data.js';
import { Outbox } from './outbox.js';
import { TandemError } from './problem.js';
import { Listeners, type Unsubscribe } from './wait.js';

export interface EmitOptions {
  /** Only open streams receive it: for what is soon outdated. */
  ephemeral?: boolean;
}

/** Data is required if the app has declared that the event has some. */
export type EmitArguments<N extends EventName> =
  undefined extends EventData<N>
    ? [data?: EventData<N>, options?: EmitOptions]
    : [data: EventData<N>, options?: EmitOptions];

interface Body {
  name: string;
  data?: unknown;
  ephemeral?: true;
}

export class CustomEvents {
  #heard = new Map<string, Listeners<[never]>>();
  /** Durable events, which are sent one after the other and retried until answered. */
  readonly outbox: Outbox<CustomEventOf & { id: number }, Body>;

  /**
   * @param post one try
   * @param say the same over a WebSocket; undefined where none is open
   */
  constructor(
    private post: (body: Body, nonce?: string) => Promise<unknown>,
    private say: (body: Body) => Promise<unknown> | undefined,
  ) {
    this.outbox = new Outbox(
      ({ body, nonce }) => post(body, nonce) as Promise<CustomEventOf & { id: number }>,
      () => {},
    );
  }

  on(name: string, fn: (event: never) => void): Unsubscribe {
    let all = this.#heard.get(name);
    if (!all) this.#heard.set(name, (all = new Listeners()));
    return all.add(fn);
  }

  receive(event: CustomEventOf): void {
    for (const name of [event.name, '*']) this.#heard.get(name)?.tell(event as never);
  }

  async emit(name: string, data?: unknown, options: EmitOptions = {}): Promise<CustomEventOf | undefined> {
    if (!options.ephemeral) return this.outbox.add({ name, data }).sent();
    const body: Body = { name, data, ephemeral: true };
    try {
      await (this.say(body) ?? this.post(body));
    } catch (err) {
      // A lost event, or one too many, is outdated by now; an invalid one stays invalid.
      if (!(err instanceof TandemError) || err.final) throw err;
    }
  }
}
