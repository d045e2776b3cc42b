// What was written and is not in the log yet. Messages go out one after the other, so that they arrive in the
// order they were written. Every try of a message has the same Idempotency-Key: however often the answer is
// lost, it is posted once.
import { call, roomPath } from './api.js';
import { backoff, sleep } from './stream.js';

const TRIES = 8; // about a minute with the back-off

// crypto.randomUUID is missing where the page is served over plain HTTP from another host.
const newKey = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, '0')).join('');

export class Outbox {
  items = []; // {key, room, user, message, sent_at, state: queued | sent | failed, id?, error?}
  #busy = false;

  /** onChange is told each item that has changed. */
  constructor(onChange) {
    this.onChange = onChange;
  }

  add(room, user, message) {
    const item = { key: newKey(), room, user, message, sent_at: new Date().toISOString() };
    this.items.push(item);
    this.#queue(item);
  }

  retry = (item) => this.#queue(item);

  discard = (item) => { this.items = this.items.filter((i) => i !== item); };

  /** Takes out and returns the item that a chat_message is the echo of. */
  heard(event) {
    const item = this.items.find((i) => i.user === event.user && (i.key === event.nonce || i.id === event.id));
    if (item) this.discard(item);
    return item;
  }

  /** Forgets what was answered but not heard of; for when history is about to be loaded, which has it. */
  dropSent(room) {
    this.items = this.items.filter((i) => i.room !== room || i.state !== 'sent');
  }

  #queue(item) {
    item.state = 'queued';
    this.onChange(item);
    this.#work();
  }

  async #work() {
    if (this.#busy) return;
    this.#busy = true;
    for (let item; (item = this.items.find((i) => i.state === 'queued')); ) {
      try {
        const { id } = await post(item);
        Object.assign(item, { id, state: 'sent' });
      } catch (err) {
        Object.assign(item, { error: err.status ? err.message : 'the server cannot be reached.', state: 'failed' });
      }
      if (this.items.includes(item)) this.onChange(item); // else its echo was faster than the answer
    }
    this.#busy = false;
  }
}

async function post({ key, room, message }) {
  for (let n = 0; ; n++) {
    try {
      const headers = { 'Idempotency-Key': key };
      return await call('POST', `${roomPath(room)}/messages`, { headers, body: { message, nonce: key } });
    } catch (err) {
      const final = err.status < 500 && err.status !== 429; // no status: there was no answer
      if (final || n === TRIES) throw err;
      await sleep(err.retryAfter ?? backoff(n));
    }
  }
}
