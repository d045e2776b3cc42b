import type { Problem } from './events.js';

/** What went wrong with a call or a stream. `code` is stable; look at it rather than at the text. */
export class TandemError extends Error {
  override name = 'TandemError';

  /**
   * @param code the server's (`room_not_found`, `rate_limited` …), or `unreachable` where nothing answered, `timeout`,
   *   `signed_out`, and `http_502` and the like where something else than tandem answered
   * @param status HTTP's; 0 where nothing answered
   * @param errors which fields do not fit
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

  /** The server said no: trying the same again is of no use. */
  get final(): boolean {
    const { code, status } = this;
    return !code.startsWith('http_') && status >= 400 && status < 500 && ![405, 408, 429].includes(status);
  }
}

/** The error that an answer stands for. */
export async function problemOf(res: Response): Promise<TandemError> {
  const body = (await res.json().catch(() => ({}))) as Partial<Problem>;
  return new TandemError(
    body.code ?? `http_${res.status}`,
    body.detail ?? body.title ?? `HTTP ${res.status}`,
    res.status,
    body.errors,
    Number(res.headers.get('Retry-After')) || undefined,
  );
}

/** Nobody answered. */
export const noAnswer = (code: string, message: string, cause: unknown) =>
  new TandemError(code, message, 0, [], undefined, { cause });
