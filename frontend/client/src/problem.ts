import type { Problem } from './events.js';

/** A failed call or stream. `code` is stable; use it rather than the text. */
export class TandemError extends Error {
  override name = 'TandemError';

  /**
   * @param code the server's (`room_not_found`, `rate_limited` …), or `unreachable` without a response, `timeout`,
   *   `signed_out`, and `http_502` and the like if something other than tandem answered
   * @param status HTTP's; 0 without a response
   * @param errors the invalid fields
   * @param retryAfter seconds to wait, if the server said so
   */
  constructor(
    readonly code: string,
    message: string,
    readonly status = 0,
    readonly errors: NonNullable<Problem['errors']> = [],
    readonly retryAfter?: number,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }

  /** The server refused: retrying makes no sense. */
  get final(): boolean {
    const { code, status } = this;
    if (status === 413) return true; // a proxy's limit too: the same body is never small enough
    return !code.startsWith('http_') && status >= 400 && status < 500 && ![405, 408, 429].includes(status);
  }
}

/** The error of a status and a body. */
export const problem = (status: number, body: Partial<Problem>, retryAfter?: number) =>
  new TandemError(
    body.code ?? `http_${status}`,
    body.detail ?? body.title ?? `HTTP ${status}`,
    status,
    body.errors,
    retryAfter,
  );

/** The error of a response. */
export async function problemOf(res: Response): Promise<TandemError> {
  const body = (await res.json().catch(() => ({}))) as Partial<Problem>;
  return problem(res.status, body, Number(res.headers.get('Retry-After')) || undefined);
}

/** There was no response. */
export const noAnswer = (code: string, message: string, cause?: unknown) =>
  new TandemError(code, message, 0, [], undefined, { cause });

/** The error of whatever was thrown; `failed` for an unknown one. */
export const failure = (err: unknown) => (err instanceof TandemError ? err : noAnswer('failed', String(err), err));
