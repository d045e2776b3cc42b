// REST calls, typed by the generated `paths`: a new endpoint only needs to be generated.
import type { paths } from './openapi.js';
import { noAnswer, problem, problemOf, TandemError } from './problem.js';
import { child } from './wait.js';
import { xhr } from './xhr.js';

type Verb = 'get' | 'put' | 'post' | 'delete' | 'patch';
type Operation<P extends keyof paths, M extends string> =
  Lowercase<M> extends keyof paths[P] ? paths[P][Lowercase<M>] : never;

/** The methods that a path has: `Method<'/v1/rooms'>` is `'GET' | 'POST'`. */
export type Method<P extends keyof paths> = {
  [V in Verb]: paths[P] extends { [K in V]: unknown } ? Uppercase<V> : never;
}[Verb];

type Field<O, K extends string> = O extends { parameters: infer A }
  ? K extends keyof A
    ? A[K]
    : undefined
  : undefined;
type Body<O> = O extends { requestBody: { content: infer C } }
  ? { body: C extends { 'application/json': infer J } ? J : never }
  : O extends { requestBody?: { content: { 'application/json': infer J } } }
    ? { body?: J }
    : { body?: never };
type Part<Name extends string, T> = [T] extends [undefined]
  ? unknown
  : undefined extends T
    ? { [N in Name]?: T }
    : { [N in Name]: T };

export type RequestOptions<P extends keyof paths, M extends string> = Part<'path', Field<Operation<P, M>, 'path'>> &
  Part<'query', Field<Operation<P, M>, 'query'>> &
  Body<Operation<P, M>> & {
    headers?: Record<string, string>;
    signal?: AbortSignal;
    /** Milliseconds until a call without a response fails with `timeout`; 15,000 by default. */
    timeout?: number;
  };

type JsonOf<R> = R extends { content: { 'application/json': infer J } } ? J : undefined;
type Success<O> = O extends { responses: infer R }
  ? { [S in keyof R]: S extends 200 | 201 | 202 | 204 ? JsonOf<R[S]> : never }[keyof R]
  : never;

/** The response of a call. */
export type Answer<P extends keyof paths, M extends string> = Success<Operation<P, M>>;

type RequiredKeys<T> = { [K in keyof T]-?: object extends Pick<T, K> ? never : K }[keyof T];
/** Options can be omitted if none is required. */
export type OptionsArgument<P extends keyof paths, M extends string> =
  RequiredKeys<RequestOptions<P, M>> extends never ? [options?: RequestOptions<P, M>] : [options: RequestOptions<P, M>];

/** The parts of a call, without types. */
export interface Call {
  path?: Record<string, unknown>;
  query?: Record<string, unknown>;
  headers?: Record<string, string>;
  body?: unknown;
  /** A body other than JSON. */
  raw?: Blob;
  signal?: AbortSignal;
  /** For an upload with progress: how long it may stall. */
  timeout?: number;
  accept?: string;
  /** Called with the number of bytes sent, by XMLHttpRequest, if there is one. */
  progress?: (bytes: number) => void;
}

/** Provides tokens to calls. */
export interface Tokens {
  /** Returns a valid token, never `refused`. Undefined if nobody is logged in. */
  token(refused?: string): Promise<string | undefined>;
  /** Whose they are, if known. */
  readonly user?: string | null;
  /** The server says that the session has ended. */
  ended?(): Promise<void>;
}

const enc = encodeURIComponent;

/** The JSON of a response, or undefined if it is empty. What breaks off, or is not the server's, is worth another try. */
async function contentOf(res: Response, signal: AbortSignal): Promise<unknown> {
  let text: string | undefined;
  try {
    text = await res.text();
    return text ? JSON.parse(text) : undefined;
  } catch (cause) {
    if (signal.aborted) throw cause;
    throw text === undefined ? noAnswer('unreachable', 'The answer broke off.', cause) : problem(res.status, {});
  }
}

export class Rest {
  /** @param own the app's own fetch for all calls; the platform's by default */
  constructor(
    readonly base: string,
    own?: typeof globalThis.fetch,
  ) {
    this.#fetch = own ?? ((input, init) => fetch(input, init));
    this.#xhr = !own && typeof XMLHttpRequest !== 'undefined';
  }
  #fetch: typeof globalThis.fetch;
  #xhr: boolean;

  /** Throws a TypeError without a server URL. */
  url(path: string, call: Call = {}): string {
    if (!this.base) throw new TypeError('createClient needs a url here.');
    const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => enc(String(call.path?.[name])));
    // By hand, because React Native's URL cannot do it.
    const query = Object.entries(call.query ?? {})
      .flatMap(([k, v]) => (Array.isArray(v) ? v : v == null ? [] : [v]).map((one) => `${enc(k)}=${enc(String(one))}`))
      .join('&');
    return this.base + filled + (query && `?${query}`);
  }

  /** One try, without examining the response. Throws TandemError `unreachable`, or the signal's reason. */
  async send(method: string, path: string, call: Call, token?: string): Promise<Response> {
    const { body, raw, signal, progress } = call;
    const json = body !== undefined;
    const init: RequestInit = {
      method,
      signal,
      cache: 'no-store',
      credentials: 'omit',
      headers: {
        ...(call.accept && { Accept: call.accept }),
        ...((json || raw) && { 'Content-Type': json ? 'application/json' : 'application/octet-stream' }),
        ...(token && { Authorization: `Bearer ${token}` }),
        ...call.headers,
      },
      body: json ? JSON.stringify(body) : raw,
    };
    const url = this.url(path, call);
    try {
      return await (progress && this.#xhr ? xhr(url, init, progress) : this.#fetch(url, init));
    } catch (cause) {
      if (signal?.aborted) throw signal.reason ?? cause;
      throw noAnswer('unreachable', 'No answer.', cause);
    }
  }

  /** An authenticated call. A refused token is replaced once. Throws TandemError for a response other than 2xx. */
  async open(method: string, path: string, call: Call, tokens?: Tokens): Promise<Response> {
    const who = tokens?.user;
    let refused: string | undefined;
    let last: TandemError | undefined;
    for (;;) {
      const token = await tokens?.token(refused);
      // Another tab may have logged in another user: what one began is not done in the other's name.
      if (who && tokens?.user !== who) throw new TandemError('signed_out', 'Logged out.', 401);
      if (last && (!token || token === refused)) throw last;
      const res = await this.send(method, path, call, token);
      if (res.ok) return res;
      const over = last || !token || res.status !== 401;
      last = await problemOf(res);
      if (over) throw last;
      refused = token;
    }
  }

  /** A call with a JSON response, or none. Also throws TandemError `timeout`. */
  async json(method: string, path: string, call: Call, tokens?: Tokens): Promise<unknown> {
    const cut = child(call.signal);
    const size = call.raw?.size ?? 0;
    let late = false;
    let timer: ReturnType<typeof setTimeout>;
    // What has no more progress to report may still be on its way, here or behind a proxy: 8 kB/s must be enough.
    const watch = (sent: number) => {
      clearTimeout(timer);
      timer = setTimeout(
        () => {
          late = true;
          cut.abort();
        },
        call.timeout ?? 15_000 + (sent < size ? 0 : size / 8),
      );
    };
    watch(call.progress && this.#xhr ? 0 : size);
    const progress = call.progress && ((bytes: number) => (watch(bytes), call.progress!(bytes)));
    try {
      const res = await this.open(method, path, { ...call, progress, signal: cut.signal }, tokens);
      return await contentOf(res, cut.signal);
    } catch (cause) {
      if (late) throw noAnswer('timeout', 'No answer in time.', cause);
      throw cause;
    } finally {
      clearTimeout(timer!);
      cut.abort(); // lets go of the parent
    }
  }
}
