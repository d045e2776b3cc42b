// Time, signals and other small things. Only what React Native has too: no AbortSignal.any, .timeout or .reason.

/** Resolves after so many milliseconds, or at once when the signal is aborted. */
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

/** Milliseconds before the n-th retry: doubling up to 20 s, and scattered, so that a crowd does not come back as one. */
export const backoff = (n: number) => Math.min(20_000, 500 * 2 ** n) * (0.5 + Math.random() / 2);

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

/** A name that nobody else has made. It is to differ, not to be secret; React Native has no crypto. */
export const unique = () => Array.from('abc', () => Math.random().toString(36).slice(2)).join('');

export type Unsubscribe = () => void;

/** Functions that want to be told. One that throws does not keep the others from hearing. */
export class Listeners<A extends unknown[]> {
  #fns = new Set<(...args: A) => void>();

  /** Returns what takes fn out again, and says whether it was still there. */
  add(fn: (...args: A) => void): () => boolean {
    const own = (...args: A) => fn(...args); // added twice, it is told twice
    this.#fns.add(own);
    return () => this.#fns.delete(own);
  }

  tell(...args: A): void {
    for (const fn of [...this.#fns]) {
      try {
        fn(...args);
      } catch (err) {
        setTimeout(() => {
          throw err; // reported as any uncaught error is
        });
      }
    }
  }
}

/** What of a browser there is; React Native and Node have less. */
export const here = globalThis as Partial<Pick<typeof globalThis, 'addEventListener' | 'localStorage' | 'document'>> & {
  navigator?: { onLine?: boolean; locks?: LockManager };
};

/** Locks between tabs. They need a secure context: https, or localhost. */
export const locks = () => here.document && here.navigator?.locks;

/** localStorage, where there is one that may be used. */
export function storage(): Storage | undefined {
  try {
    return here.document ? here.localStorage : undefined; // Node has one too, with a warning
  } catch {
    return undefined; // forbidden by the browser's settings
  }
}
