// One stream of events, over WebSocket or SSE, that comes back by itself. Whatever happens, it goes on from
// its cursor: events come out once each and in the order of their ids.
import { call, request } from './api.js';

const WATCHDOG = 45_000; // ms without any event; the server pings every 20 s, so two pings are missing
const SLOWEST = 20_000; // ms between attempts
const STEADY = 10_000; // ms that a connection must have lasted for the back-off to begin anew

export const backoff = (n) => Math.min(SLOWEST, 500 * 2 ** n) * (0.5 + Math.random() / 2);

export function sleep(ms, signal) {
  return new Promise((wake) => {
    const timer = setTimeout(wake, ms);
    signal?.addEventListener('abort', () => { clearTimeout(timer); wake(); });
  });
}

export class Stream {
  #last = 0; // id of the latest event that was handed on
  #log = ''; // name of the log that the id belongs to; empty before the first stream_open
  #cut = new AbortController(); // ends what is going on now: a connection, or the wait for the next one
  #hurry = false; // the next attempt shall not wait
  #retry = null; // ms, as stream_close asked
  #closed = false;

  /** onState is told 'connecting', 'live', or 'retrying' with the ms until then. */
  constructor(room, transport, onEvent, onState) {
    Object.assign(this, { room, transport, onEvent, onState });
    this.#run();
  }

  close() {
    this.#closed = true;
    this.#cut.abort();
  }

  use(transport) {
    if (transport === this.transport) return;
    this.transport = transport;
    this.#hurry = true;
    this.#cut.abort();
  }

  /** Does not wait any longer where it waits; a connection that stands is left alone. */
  wake() {
    if (this.waiting) this.#cut.abort();
  }

  // One loop, so that there is never more than one connection and none can overtake another.
  async #run() {
    for (let tries = 0; !this.#closed; tries++) {
      const started = Date.now();
      await this.#attempt();
      if (this.#closed) return;
      if (Date.now() - started > STEADY || this.#hurry) tries = 0;
      if (!this.#hurry) {
        const ms = this.#retry ?? backoff(tries);
        this.onState('retrying', ms);
        this.#cut = new AbortController();
        this.waiting = true;
        await sleep(ms, this.#cut.signal);
        this.waiting = false;
      }
      this.#hurry = false;
    }
  }

  async #attempt() {
    const { signal } = this.#cut = new AbortController();
    const cut = this.#cut;
    let dog;
    const watch = () => {
      clearTimeout(dog);
      dog = setTimeout(() => cut.abort(), WATCHDOG);
    };
    const hear = (json) => {
      if (signal.aborted) return; // what a connection still says after its end has come again from the next
      watch();
      this.#hear(JSON.parse(json));
    };
    const query = new URLSearchParams({ room: this.room });
    if (this.#log) query.set('since', `${this.#last}.${this.#log}`);
    this.#retry = null;
    this.onState('connecting');
    watch();
    try {
      await transports[this.transport](query, signal, hear);
    } catch (err) {
      if (!signal.aborted) console.warn('stream:', err);
    } finally {
      clearTimeout(dog);
      cut.abort();
    }
  }

  #hear(event) {
    const at = parseInt(event.since, 10); // of stream_open and ping
    if (event.type === 'stream_open') {
      this.#log = event.log;
      if (!event.resumed) this.#last = at; // resumed, it is the cursor that we know already
      this.onState('live');
    } else if (event.type === 'stream_reset') {
      this.#last = event.head;
    } else if (event.type === 'ping') {
      this.#last = Math.max(this.#last, at);
    } else if (event.type === 'stream_close') {
      this.#retry = event.retry_ms;
      this.#cut.abort();
    } else if (event.id) {
      if (event.id <= this.#last) return;
      this.#last = event.id;
    }
    this.onEvent(event);
  }
}

const transports = {
  // A browser's WebSocket cannot carry a token in a header, so a ticket goes into the URL.
  async ws(query, signal, hear) {
    const { ticket } = await call('POST', 'v1/auth/ticket', { signal });
    query.set('ticket', ticket);
    const url = new URL(`v1/events?${query}`, location.href);
    url.protocol = url.protocol.replace('http', 'ws');
    const socket = new WebSocket(url);
    await new Promise((done, fail) => {
      signal.addEventListener('abort', () => { socket.close(); done(); });
      socket.onclose = (e) => fail(new Error(`socket closed with ${e.code}`));
      socket.onmessage = (e) => {
        try { hear(e.data); } catch (err) { socket.close(); fail(err); }
      };
    });
  },

  // Not EventSource: it can send no token either, and hides why an opening failed.
  async sse(query, signal, hear) {
    const res = await request('GET', `v1/events?${query}`, { signal, headers: { Accept: 'text/event-stream' } });
    const reader = res.body.getReader();
    const parse = sseParser((event) => hear(event.data));
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      parse(value);
    }
  },
};

/**
 * WHATWG HTML §9.2.6. Returns a function that takes bytes and calls onEvent with {id, type, data}. `retry` is
 * left out: Stream has a back-off of its own.
 */
export function sseParser(onEvent) {
  const decoder = new TextDecoder(); // takes off one leading BOM, as the standard asks
  let rest = '', afterCR = false;
  let id = '', type = '', data = [];

  function line(text) {
    if (text === '') {
      if (data.length) onEvent({ id, type: type || 'message', data: data.join('\n') });
      type = '', data = [];
      return;
    }
    const colon = text.indexOf(':'); // at 0 it is a comment, whose field '' is none of those below
    const field = colon < 0 ? text : text.slice(0, colon);
    const value = colon < 0 ? '' : text.slice(colon + 1).replace(/^ /, '');
    if (field === 'data') data.push(value);
    else if (field === 'event') type = value;
    else if (field === 'id' && !value.includes('\0')) id = value;
  }

  return (bytes) => {
    let text = decoder.decode(bytes, { stream: true });
    if (!text) return;
    if (afterCR && text[0] === '\n') text = text.slice(1); // the second half of a CRLF that was cut in two
    afterCR = text.endsWith('\r');
    const lines = (rest + text).split(/\r\n|\r|\n/);
    rest = lines.pop();
    lines.forEach(line);
  };
}
