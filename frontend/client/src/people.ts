// Profiles of users. Events only carry usernames; profiles for a screen are fetched in one call.
import type { Profile } from './events.js';
import { insist, Listeners, sleep, type Unsubscribe } from './wait.js';

const BATCH = 100; // names that the server takes at once
const BREATH = 10; // ms to collect names
const FRESH = 5 * 60_000; // ms; changes of users who share no room are not announced

interface Known {
  profile: Profile;
  until: number; // ms
}

export class People {
  #known = new Map<string, Known>();
  #wanted = new Map<string, Promise<unknown>>(); // names being fetched
  #batch: string[] = [];
  #asking?: Promise<void>;
  readonly #listeners = new Listeners<[]>();
  #generation = 0;

  /** @param ask for some names, at most 100 */
  constructor(private ask: (names: string) => Promise<Profile[]>) {}

  /**
   * Returns what is known about a user; at first only the name. It fetches the rest, and `subscribe` notifies when it
   * has arrived. The same object as long as nothing has changed.
   */
  peek(username: string): Profile {
    const known = this.#known.get(username);
    if (!known || known.until < Date.now()) void this.#want(username);
    return this.known(username);
  }

  /** @internal The same without fetching, for server-side rendering. */
  known = (username: string): Profile => this.#known.get(username)?.profile ?? this.#keep(username, undefined, 0);

  /** Returns a user's profile, fetched unless it is known. For an unknown user, only the name. */
  async get(username: string): Promise<Profile> {
    const known = this.#known.get(username);
    if (!known || known.until < Date.now()) await this.#want(username);
    return this.#known.get(username)?.profile ?? { username };
  }

  /** Calls fn when more is known about any user. */
  subscribe = (fn: () => void): Unsubscribe => this.#listeners.add(fn);

  /** @internal A user has changed; undefined: any user may have, without an announcement. */
  changed(username?: string): void {
    this.#known.forEach((known, name) => {
      if (username !== undefined && name !== username) return;
      known.until = 0;
      if (!this.#batch.includes(name)) this.#wanted.delete(name); // the response on its way may be older
    });
    if (username === undefined || this.#known.has(username)) this.#listeners.tell(); // components that show them fetch them again
  }

  /** @internal Another user is logged in, who may see other profiles. */
  clear(): void {
    this.#generation++;
    this.#known.clear();
    this.#wanted.clear();
    this.#batch = [];
  }

  #want(username: string): Promise<unknown> {
    let wanted = this.#wanted.get(username);
    if (!wanted) {
      this.known(username); // so that changed finds it
      this.#batch.push(username);
      wanted = this.#asking ??= sleep(BREATH).then(() => this.#askAll());
      this.#wanted.set(username, wanted);
    }
    return wanted;
  }

  async #askAll(): Promise<void> {
    const names = this.#batch;
    const mine = this.#generation;
    const asking = this.#asking;
    this.#batch = [];
    this.#asking = undefined;
    const pages = Array.from({ length: Math.ceil(names.length / BATCH) }, (_, i) =>
      names.slice(i * BATCH, (i + 1) * BATCH),
    );
    await Promise.all(
      pages.map(async (page) => {
        const found = await insist(
          () => this.ask(page.join()),
          () => mine === this.#generation,
        );
        if (mine !== this.#generation) return;
        // After a refusal, it is not fetched again at once.
        for (const name of page) {
          const current = this.#wanted.get(name) === asking; // it has not changed since
          if (current) this.#wanted.delete(name);
          else if (this.#known.get(name)!.until) continue; // a later response is here
          const profile = found?.find(({ username }) => username === name);
          this.#keep(name, profile ?? (found && { username: name }), current ? Date.now() + FRESH : 0);
        }
      }),
    );
    if (mine === this.#generation) this.#listeners.tell();
  }

  #keep(username: string, profile: Profile | undefined, until: number): Profile {
    const known = { profile: profile ?? this.#known.get(username)?.profile ?? { username }, until };
    this.#known.set(username, known);
    return known.profile;
  }
}
