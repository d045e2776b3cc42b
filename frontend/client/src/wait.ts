// Time, signals and other helpers. They only use what React Native has too: no AbortSignal.any, .timeout or .reason.
import { TandemError } from './problem.js';

/** Resolves after this many milliseconds, or at once when the signal is aborted. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((wake) => {
    if (signal?.aborted) return wake();
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      wake();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener('abort', done);
  });
}

/** Milliseconds before the n-th retry: doubling up to 20 s, with jitter, so that a crowd does not return at once. */
export const backoff = (n: number) => Math.min(20_000, 500 * 2 ** n) * (0.5 + Math.random() / 2);

/** Calls until there is a response, as long as it is wanted. Undefined if it is refused. */
export async function insist<T>(call: () => Promise<T>, wanted: () => boolean): Promise<T | undefined> {
  for (let n = 0; wanted(); n++) {
    try {
      return await call();
    } catch (err) {
      if (!(err instanceof TandemError) || err.final) return;
      await sleep(backoff(n));
    }
  }
}

/** A controller that is aborted with its parent. */
export function child(parent?: AbortSignal): AbortController {
  const c = new AbortController();
  const abort = () => c.abort(parent?.reason);
  if (parent?.aborted) abort();
  else {
    parent?.addEventListener('abort', abort);
    c.signal.addEventListener('abort', () => parent?.removeEventListener('abort', abort));
  }
  return c;
}

/** A unique name. It must be unique, not secret; React Native has no crypto. */
export const unique = () => Array.from('abc', () => Math.random().toString(36).slice(2)).join('');

export type Unsubscribe = () => void;

/** Listeners. One that throws does not affect the others. */
export class Listeners<A extends unknown[]> {
  #fns = new Set<(...args: A) => void>();

  /** Returns a function that removes fn, and reports whether it was still there. */
  add(fn: (...args: A) => void): () => boolean {
    const own = (...args: A) => fn(...args); // added twice, it is called twice
    this.#fns.add(own);
    return () => this.#fns.delete(own);
  }

  tell(...args: A): void {
    for (const fn of [...this.#fns]) {
      try {
        fn(...args);
      } catch (err) {
        setTimeout(() => {
          throw err; // reported like any uncaught error
        });
      }
    }
  }
}

/** The parts of a browser that exist; React Native and Node have fewer. */
export const here = globalThis as Partial<Pick<typeof globalThis, 'addEventListener' | 'localStorage' | 'document'>> & {
  navigator?: { onLine?: boolean; locks?: LockManager };
};

/** Locks between tabs. They need a secure context: https, or localhost. */
export const locks = () => here.document && here.navigator?.locks;

/** localStorage, if there is one that may be used. */
export function storage(): Storage | undefined {
  try {
    return here.document ? here.localStorage : undefined; // Node has one too, with a warning
  } catch {
    return undefined; // forbidden by the browser's settings
  }
}
