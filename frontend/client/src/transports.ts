// The four transports. Each runs until its connection has ended; its signal aborts it.
import { createParser } from 'eventsource-parser';
import { Commands, type Reply } from './commands.js';
import type { EventOf, TandemEvent } from './events.js';
import { TandemError } from './problem.js';
import type { Rest, Tokens } from './rest.js';

/** WebSocket, SSE by `fetch`, SSE by POST (some proxies only buffer GET), and long poll. */
export type Transport = 'ws' | 'sse' | 'sse-post' | 'poll';
export const ORDER: readonly Transport[] = ['ws', 'sse', 'sse-post', 'poll'];

/** What a stream requests from the server. */
export interface Query {
  room: string[];
  since?: string;
  history?: number;
  site?: 1;
}

export interface Connection {
  rest: Rest;
  tokens: Tokens;
  query: Query;
  signal: AbortSignal;
  receive: (event: TandemEvent) => void;
  /** The class to use; browsers and Node 22 have one, `ws` provides one. */
  WebSocket?: new (url: string, protocols?: string) => WebSocket;
  /** Seconds that a poll may wait; reduced if something cuts it earlier. */
  pace: { wait: number };
  /** The server answered, but has no event yet. */
  alive?: () => void;
  /** Called with a way to send commands, if the transport has one. */
  commands?: (commands: Commands) => void;
}

export type Open = (c: Connection) => Promise<void>;

const PATH = '/v1/events';
const unsupported = (what: string) => new TandemError('http_unsupported', what);

export const transports: Record<Transport, Open> = {
  // A browser's WebSocket cannot send a token in a header, so the URL has a ticket.
  async ws({ rest, tokens, query, signal, receive, WebSocket, commands }) {
    if (!WebSocket) throw unsupported('No WebSocket here.');
    let ticket: string | undefined;
    try {
      const call = (await tokens.token()) && rest.json('POST', '/v1/auth/ticket', { signal }, tokens);
      ticket = ((await call) as { ticket: string } | undefined)?.ticket;
    } catch (err) {
      throw (err as TandemError).code === 'token_scope' ? unsupported('API tokens get no ticket.') : err;
    }
    const socket = new WebSocket(rest.url(PATH, { query: { ...query, ticket } }).replace(/^http/, 'ws'), 'tandem.v1');
    const sent = new Commands((text) => socket.send(text));
    await new Promise<void>((done, fail) => {
      const close = () => {
        socket.close();
        done();
      };
      if (signal.aborted) return close();
      signal.addEventListener('abort', close);
      socket.onerror = () => {}; // ws throws without a listener; onclose follows
      socket.onclose = (e) => fail(new TandemError('http_socket', `Closed with ${e.code}.`));
      socket.onopen = () => commands?.(sent);
      socket.onmessage = (e) => {
        const frame = JSON.parse(e.data as string) as TandemEvent | Reply;
        if (frame.type === 'reply') sent.receive(frame);
        else receive(frame);
      };
    }).finally(() => sent.end());
  },

  sse: (c) => sse('GET', c),
  'sse-post': (c) => sse('POST', c),

  async poll({ rest, tokens, query, signal, receive, pace }) {
    let since = query.since;
    // The first response is immediate, which shows that polling works.
    for (let wait = 0; !signal.aborted; wait = pace.wait) {
      const asked = Date.now();
      try {
        const call = {
          query: { ...query, since, wait, history: since ? undefined : query.history },
          accept: 'application/json',
          signal,
          timeout: (wait + 20) * 1000,
        };
        const answer = (await rest.json('GET', PATH, call, tokens)) as { events: TandemEvent[]; since: string };
        answer.events.forEach(receive);
        since = answer.since;
        // One second more as long as nothing cuts it: if doubled, each third poll would be cut behind a proxy that
        // always does so.
        if (wait && Date.now() - asked >= wait * 1000) pace.wait = Math.min(25, wait + 1);
      } catch (err) {
        const lasted = Date.now() - asked;
        if (!signal.aborted && wait > 2 && lasted < wait * 1000) pace.wait = Math.max(1, Math.floor(lasted / 2000));
        throw err;
      }
    }
  },
};

// Not EventSource: it cannot send a token, and hides why opening failed.
async function sse(method: string, { rest, tokens, query, signal, receive }: Connection): Promise<void> {
  // React Native's fetch withholds the body until it has ended, which a stream's never does.
  if (typeof Response === 'undefined' || !('body' in Response.prototype))
    throw unsupported('fetch cannot stream here.');
  const res = await rest.open(method, PATH, { query: { ...query }, accept: 'text/event-stream', signal }, tokens);
  if (!res.body || !res.headers.get('Content-Type')?.startsWith('text/event-stream')) {
    throw unsupported('No event stream.');
  }
  const parser = createParser({ onEvent: ({ data }) => receive(JSON.parse(data) as TandemEvent) });
  const reader = res.body.getReader();
  // Node's fetch may forget its signal (its garbage collector takes it), and the read would never end.
  signal.addEventListener('abort', () => void reader.cancel().catch(() => {}));
  const decoder = new TextDecoder();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    parser.feed(decoder.decode(value, { stream: true }));
  }
}

export type Close = EventOf<'stream_close'>;
