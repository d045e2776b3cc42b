// Remembers for a while which transport works here, so that a reconnect need not try the others again.
import { ORDER, type Transport } from './transports.js';
import { storage } from './wait.js';

interface Kept {
  name: Transport;
  until: number; // ms
}

export class Winner {
  #kept: Kept | null = null;
  #key: string;

  /** @param life milliseconds */
  constructor(
    base: string,
    private life: number,
  ) {
    this.#key = `tandem.transport:${base}`;
  }

  #read(): Kept | null {
    const text = storage()?.getItem(this.#key);
    const kept = text ? (JSON.parse(text) as Kept) : this.#kept;
    return kept && kept.until > Date.now() && ORDER.includes(kept.name) ? kept : null;
  }

  get name(): Transport | undefined {
    return this.#read()?.name;
  }

  /** Milliseconds until a better one should be tried again. */
  get rest(): number {
    return (this.#read()?.until ?? 0) - Date.now();
  }

  /** Keeps name; not longer, if it is kept already. */
  keep(name: Transport): void {
    if (this.name === name) return;
    this.#kept = { name, until: Date.now() + this.life };
    storage()?.setItem(this.#key, JSON.stringify(this.#kept));
  }

  forget(): void {
    this.#kept = null;
    storage()?.removeItem(this.#key);
  }
}
