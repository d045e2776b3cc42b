// The logged-in user, and valid access tokens. Tabs share the session through its store.
import type { Session } from './events.js';
import type { TandemError } from './problem.js';
import type { Rest, Tokens } from './rest.js';
import { here, Listeners, locks, sleep, storage } from './wait.js';

/** A stored session. `renew_at` is in milliseconds, by this machine's clock. */
export type StoredSession = Session & { renew_at: number };

/** Where the session is kept: localStorage if there is one, otherwise memory, or a store of your own. */
export interface SessionStore {
  get(): StoredSession | null | Promise<StoredSession | null>;
  set(session: StoredSession | null): void | Promise<void>;
}

/** Keeps the session in memory. */
export function memoryStore(): SessionStore {
  let kept: StoredSession | null = null;
  return { get: () => kept, set: (s) => void (kept = s) };
}

function browserStore(key: string, local: Storage): SessionStore {
  return {
    get: () => JSON.parse(local.getItem(key) ?? 'null') as StoredSession | null,
    set: (s) => (s ? local.setItem(key, JSON.stringify(s)) : local.removeItem(key)),
  };
}

/** Accounts of this server, through signup and login. */
export class Account implements Tokens {
  /** The name of the logged-in user; null for nobody. An asynchronous store reports it later. */
  user: string | null = null;
  readonly changed = new Listeners<[user: string | null]>();
  #store: SessionStore;
  #key: string;
  #refreshing?: Promise<string | undefined>;

  constructor(
    private rest: Rest,
    store?: SessionStore,
  ) {
    this.#key = `tandem.session:${rest.base}`;
    const local = storage();
    this.#store = store ?? (local ? browserStore(this.#key, local) : memoryStore());
    if (!store && local) here.addEventListener?.('storage', (e) => void (e.key === this.#key && this.load()));
    const now = this.#store.get();
    if (now instanceof Promise) void now.then((s) => this.#tell(s));
    else this.user = now?.user.username ?? null;
  }

  /** Reads the store, and notifies if another user is logged in now. */
  async load(): Promise<StoredSession | null> {
    const s = await this.#store.get();
    this.#tell(s);
    return s;
  }

  async enter(
    how: 'signup' | 'login',
    body: { username: string; password: string; cookie?: boolean },
  ): Promise<Session> {
    const s = (await this.rest.json('POST', `/v1/auth/${how}`, { body })) as Session;
    await this.#keep(s);
    return s;
  }

  async leave(): Promise<void> {
    try {
      await this.rest.json('POST', '/v1/auth/logout', {}, this);
    } catch (err) {
      if (!(err as TandemError).final) throw err;
    } finally {
      await this.#keep(null); // here in any case, even if the server cannot be reached
    }
  }

  async token(refused?: string): Promise<string | undefined> {
    const s = await this.load();
    if (!s) return undefined;
    if (s.access_token !== refused && Date.now() < s.renew_at) return s.access_token;
    // One at a time here and in all tabs: a refresh token can be used once.
    const refresh = () => this.#refresh(refused);
    this.#refreshing ??= Promise.resolve(locks()?.request(this.#key, refresh) ?? refresh()).finally(
      () => (this.#refreshing = undefined),
    );
    return this.#refreshing;
  }

  async ended(): Promise<void> {
    // Read again: another tab may have logged in again.
    const s = await this.load();
    if (s) await this.token(s.access_token).catch(() => {});
  }

  async #refresh(refused?: string): Promise<string | undefined> {
    const old = await this.load();
    if (!old) return undefined;
    if (old.access_token !== refused && Date.now() < old.renew_at) return old.access_token; // another tab was faster
    for (let n = 0; ; n++) {
      try {
        const body = { refresh_token: old.refresh_token };
        const s = (await this.rest.json('POST', '/v1/auth/refresh', { body, timeout: 4000 })) as Session;
        const still = (await this.load())?.refresh_token === old.refresh_token;
        if (still) await this.#keep(s); // otherwise there was a logout or a login meanwhile
        return (await this.load())?.access_token;
      } catch (err) {
        if ((err as TandemError).final) {
          if ((await this.load())?.refresh_token === old.refresh_token) await this.#keep(null);
          return undefined;
        }
        // A token whose response was lost is spent; the server repeats the response for 10 s.
        if (n === 2) throw err;
        await sleep(300);
      }
    }
  }

  async #keep(s: Session | null): Promise<void> {
    // Refreshed after nine tenths of its life: early enough for a slow network and a drifting clock.
    const stored = s && { ...s, renew_at: Date.now() + s.expires_in * 900 };
    await this.#store.set(stored);
    this.#tell(stored);
  }

  #tell(s: StoredSession | null): void {
    const user = s?.user.username ?? null;
    if (user === this.user) return;
    this.user = user;
    this.changed.tell(user);
  }
}
