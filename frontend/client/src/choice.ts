// Choosing a transport: which to try, in which order, and when to stop trying others.
import type { Link } from './link.js';
import { TandemError } from './problem.js';
import type { Transport } from './transports.js';
import type { Winner } from './winner.js';

export class Choice {
  /** Only this one. */
  forced?: Transport;
  #worked?: Link['via'];
  #failures = 0; // consecutive, of the transport that worked last
  #climb?: ReturnType<typeof setTimeout>;

  /**
   * @param order best first
   * @param upward retries those that are better than the one in use
   */
  constructor(
    private order: readonly Transport[],
    private winner: Winner,
    private upward: () => void,
  ) {}

  /** What to try, in order. */
  candidates(tab: boolean): Link['via'][] {
    if (this.forced) return [this.forced];
    const { order } = this;
    const first = Math.max(0, order.indexOf(this.winner.name ?? order[0]!));
    const all: Link['via'][] = [...order.slice(first), ...order.slice(0, first)];
    if (tab) all.unshift('tab');
    // A transport that opens and ends at once, repeatedly, counts as one that does not open.
    const bad = (via: Link['via']) => +(this.#failures > 1 && via === this.#worked);
    return all.sort((a, b) => bad(a) - bad(b));
  }

  /** Whether to try the next candidate after this link did not open. */
  next({ via, error }: Link): boolean {
    if (error instanceof TandemError && via !== 'tab') {
      // Something answered, or nothing at all did: the transport is not the cause. A WebSocket's handshake does not
      // report its failure; its ticket comes from a call.
      if (error.final || (error.status >= 429 && !error.code.startsWith('http_'))) return false;
      if (via === 'ws' && error.code === 'unreachable') return false;
    }
    // The transport that worked gets a second chance: perhaps the server was just down.
    return (via !== this.winner.name && via !== this.#worked) || ++this.#failures >= 2;
  }

  /** A link is open and in use. */
  took(via: Link['via']): void {
    this.#worked = via;
    this.rest();
    if (via === 'tab' || this.forced) return;
    if (via === this.order[0]) return this.winner.forget();
    this.keep(via);
  }

  /** It stays with this one for a while. */
  keep(via: Transport): void {
    this.winner.keep(via);
    this.rest();
    this.#climb = setTimeout(this.upward, this.winner.rest);
  }

  /** The transports that are better than via, best first. */
  better(via: Link['via']): Transport[] {
    const at = this.order.indexOf(via as Transport);
    return this.order.slice(0, at < 0 ? undefined : at);
  }

  /** Whether the one that worked has failed. */
  failed(yes: boolean): void {
    this.#failures = yes ? this.#failures + 1 : 0;
  }

  /** Tries no better ones for now. */
  rest(): void {
    clearTimeout(this.#climb);
  }
}
