// REST calls, typed by the generated `paths`: a new endpoint needs generating anew and nothing else.
import type { paths } from './openapi.js';
import { noAnswer, problemOf, TandemError } from './problem.js';
import { child } from './wait.js';

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
    /** Milliseconds until a call without an answer fails as `timeout`; 15,000 unless given. */
    timeout?: number;
  };

type JsonOf<R> = R extends { content: { 'application/json': infer J } } ? J : undefined;
type Success<O> = O extends { responses: infer R }
  ? { [S in keyof R]: S extends 200 | 201 | 202 | 204 ? JsonOf<R[S]> : never }[keyof R]
  : never;

/** What a call answers. */
export type Answer<P extends keyof paths, M extends string> = Success<Operation<P, M>>;

type RequiredKeys<T> = { [K in keyof T]-?: object extends Pick<T, K> ? never : K }[keyof T];
/** Options may be left out where none is required. */
export type OptionsArgument<P extends keyof paths, M extends string> =
  RequiredKeys<RequestOptions<P, M>> extends never ? [options?: RequestOptions<P, M>] : [options: RequestOptions<P, M>];

/** What a call is made of, types aside. */
export interface Call {
  path?: Record<string, unknown>;
  query?: Record<string, unknown>;
  headers?: Record<string, string>;
  body?: unknown;
  signal?: AbortSignal;
  timeout?: number;
  accept?: string;
}

/** Tells tokens to calls. */
export interface Tokens {
  /** A token that is good for a while, never `refused`. Undefined where nobody is logged in. */
  token(refused?: string): Promise<string | undefined>;
  /** Whose they are, where that is known. */
  readonly user?: string | null;
  /** The server said that the session has ended. */
  ended?(): Promise<void>;
}

const enc = encodeURIComponent;

export class Rest {
  constructor(
    readonly base: string,
    readonly fetch: typeof globalThis.fetch,
  ) {}

  url(path: string, call: Call = {}): string {
    const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => enc(String(call.path?.[name])));
    // By hand: React Native's URL cannot do it.
    const query = Object.entries(call.query ?? {})
      .flatMap(([k, v]) => (Array.isArray(v) ? v : v == null ? [] : [v]).map((one) => `${enc(k)}=${enc(String(one))}`))
      .join('&');
    return this.base + filled + (query && `?${query}`);
  }

  /** One try, without looking at the answer. Throws TandemError `unreachable`, or the signal's reason. */
  async send(method: string, path: string, call: Call, token?: string): Promise<Response> {
    const { body, signal } = call;
    const json = body !== undefined;
    try {
      return await this.fetch(this.url(path, call), {
        method,
        signal,
        cache: 'no-store',
        credentials: 'omit',
        headers: {
          ...(call.accept && { Accept: call.accept }),
          ...(json && { 'Content-Type': 'application/json' }),
          ...(token && { Authorization: `Bearer ${token}` }),
          ...call.headers,
        },
        body: json ? JSON.stringify(body) : undefined,
      });
    } catch (cause) {
      if (signal?.aborted) throw signal.reason ?? cause;
      throw noAnswer('unreachable', 'No answer.', cause);
    }
  }

  /** A call in somebody's name. A token that is refused is replaced once. Throws TandemError for what is not 2xx. */
  async open(method: string, path: string, call: Call, tokens?: Tokens): Promise<Response> {
    const who = tokens?.user;
    let refused: string | undefined;
    let problem: TandemError | undefined;
    for (;;) {
      const token = await tokens?.token(refused);
      // Another tab may have logged in somebody else: what one began is not done in the other's name.
      if (who && tokens?.user !== who) throw new TandemError('signed_out', 'Logged out.', 401);
      if (problem && (!token || token === refused)) throw problem;
      const res = await this.send(method, path, call, token);
      if (res.ok) return res;
      const last = problem || !token || res.status !== 401;
      problem = await problemOf(res);
      if (last) throw problem;
      refused = token;
    }
  }

  /** A call whose answer is JSON, or nothing. Throws TandemError `timeout` too. */
  async json(method: string, path: string, call: Call, tokens?: Tokens): Promise<unknown> {
    const cut = child(call.signal);
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      cut.abort();
    }, call.timeout ?? 15_000);
    try {
      const res = await this.open(method, path, { ...call, signal: cut.signal }, tokens);
      const text = await res.text();
      return text ? JSON.parse(text) : undefined;
    } catch (cause) {
      if (late) throw noAnswer('timeout', 'No answer in time.', cause);
      throw cause;
    } finally {
      clearTimeout(timer);
      cut.abort(); // lets go of the parent
    }
  }
}
