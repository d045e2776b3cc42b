// The four ways to get the same events. Each runs until its connection has ended; cut short by its signal.
import { createParser } from 'eventsource-parser';
import type { EventOf, TandemEvent } from './events.js';
import { TandemError } from './problem.js';
import type { Rest, Tokens } from './rest.js';

/** WebSocket, SSE by `fetch`, the same by POST (some proxies buffer GET alone), and long poll. */
export type Transport = 'ws' | 'sse' | 'sse-post' | 'poll';
export const ORDER: readonly Transport[] = ['ws', 'sse', 'sse-post', 'poll'];

/** What a stream asks the server for. */
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
  hear: (event: TandemEvent) => void;
  /** The class to use; browsers and Node 22 have one, `ws` brings one. */
  WebSocket?: new (url: string, protocols?: string) => WebSocket;
  /** Seconds that a poll may wait; shortened where something cuts it earlier. */
  pace: { wait: number };
  /** There is somebody at the other end, who has no event yet. */
  alive?: () => void;
}

export type Open = (c: Connection) => Promise<void>;

const PATH = '/v1/events';
const unsupported = (what: string) => new TandemError('http_unsupported', what);

export const transports: Record<Transport, Open> = {
  // A browser's WebSocket cannot carry a token in a header, so a ticket goes into the URL.
  async ws({ rest, tokens, query, signal, hear, WebSocket }) {
    if (!WebSocket) throw unsupported('No WebSocket here.');
    let ticket: string | undefined;
    try {
      const call = (await tokens.token()) && rest.json('POST', '/v1/auth/ticket', { signal }, tokens);
      ticket = ((await call) as { ticket: string } | undefined)?.ticket;
    } catch (err) {
      throw (err as TandemError).code === 'token_scope' ? unsupported('API tokens get no ticket.') : err;
    }
    const socket = new WebSocket(rest.url(PATH, { query: { ...query, ticket } }).replace(/^http/, 'ws'), 'tandem.v1');
    await new Promise<void>((done, fail) => {
      const close = () => {
        socket.close();
        done();
      };
      if (signal.aborted) return close();
      signal.addEventListener('abort', close);
      socket.onerror = () => {}; // ws throws where nobody listens; onclose follows
      socket.onclose = (e) => fail(new TandemError('http_socket', `Closed with ${e.code}.`));
      socket.onmessage = (e) => hear(JSON.parse(e.data as string) as TandemEvent);
    });
  },

  sse: (c) => sse('GET', c),
  'sse-post': (c) => sse('POST', c),

  async poll({ rest, tokens, query, signal, hear, pace }) {
    let since = query.since;
    // The first answer comes at once: it is the sign that this way works.
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
        answer.events.forEach(hear);
        since = answer.since;
        // One second more as long as nothing cuts it: doubled, each third would be cut where something always does.
        if (wait && Date.now() - asked >= wait * 1000) pace.wait = Math.min(25, wait + 1);
      } catch (err) {
        const lasted = Date.now() - asked;
        if (!signal.aborted && wait > 2 && lasted < wait * 1000) pace.wait = Math.max(1, Math.floor(lasted / 2000));
        throw err;
      }
    }
  },
};

// Not EventSource: it can send no token, and hides why an opening failed.
async function sse(method: string, { rest, tokens, query, signal, hear }: Connection): Promise<void> {
  // React Native's fetch keeps the body back until it has ended, which a stream's never does.
  if (typeof Response === 'undefined' || !('body' in Response.prototype))
    throw unsupported('fetch cannot stream here.');
  const res = await rest.open(method, PATH, { query: { ...query }, accept: 'text/event-stream', signal }, tokens);
  if (!res.body || !res.headers.get('Content-Type')?.startsWith('text/event-stream')) {
    throw unsupported('No event stream.');
  }
  const parser = createParser({ onEvent: ({ data }) => hear(JSON.parse(data) as TandemEvent) });
  const reader = res.body.getReader();
  const decoder = new TextDecoder();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    parser.feed(decoder.decode(value, { stream: true }));
  }
}

export type Close = EventOf<'stream_close'>;
