// URLs and bytes of messages' files.
import type { TandemFile } from './events.js';
import type { Call } from './rest.js';
import { insist } from './wait.js';

/** What to get of a file: with `preview`, a picture of at most 640 × 640 instead. */
export interface FileOptions {
  preview?: boolean;
}

interface Link {
  url: Promise<string>;
  until: number; // ms
}

const EARLY = 5 * 60; // s before its end, a link is no longer returned: what uses it may still be loading

export class Files {
  #links = new Map<string, Link>();

  constructor(
    private base: string,
    private call: (method: string, path: string, call: Call) => Promise<unknown>,
    private fetch: (path: string, call: Call) => Promise<Response>,
  ) {}

  /**
   * Returns a URL for `<img>`, `<audio>` and `<video>`, valid for the user for at least 55 minutes, or until they lose
   * access to the file. It is cached: the same file has the same URL, which a browser's cache knows.
   */
  async link(id: string, { preview }: FileOptions = {}): Promise<string> {
    let link = this.#links.get(id);
    if (!link || link.until < Date.now()) {
      const made: Link = {
        url: this.#make(id, (s) => (made.until = Date.now() + (s - EARLY) * 1000)),
        until: Infinity,
      };
      made.url.catch(() => this.#links.get(id) === made && this.#links.delete(id));
      this.#links.set(id, (link = made));
    }
    const url = await link.url;
    return preview ? `${url}${url.includes('?') ? '&' : '?'}preview=1` : url;
  }

  /** @internal Calls fn with the URL once it is known, unless it is refused. Returns a function that ends the wait. */
  follow(id: string, options: FileOptions, fn: (url: string) => void): () => void {
    let wanted = true;
    void insist(
      () => this.link(id, options),
      () => wanted,
    ).then((url) => wanted && url && fn(url));
    return () => void (wanted = false);
  }

  async #make(id: string, lasts: (seconds: number) => void): Promise<string> {
    const { url, expires_in } = (await this.call('POST', '/v1/files/{id}/link', { path: { id } })) as {
      url: string;
      expires_in: number;
    };
    lasts(expires_in);
    if (/^https?:/.test(url)) return url;
    // The server knows its path, unless a proxy removes it.
    const [, origin, path] = /^(\w+:\/\/[^/]*)(.*)$/.exec(this.base)!;
    return (url.startsWith(`${path}/`) ? origin : this.base) + url;
  }

  /** The file itself. */
  async blob(id: string, { preview, signal }: FileOptions & { signal?: AbortSignal } = {}): Promise<Blob> {
    const res = await this.fetch('/v1/files/{id}', {
      path: { id },
      query: { preview: preview ? 1 : undefined },
      signal,
    });
    return res.blob();
  }

  /** Uploads a picture for the user's profile: pass its id to `PATCH /v1/me` as `avatar`. */
  uploadAvatar(
    file: Blob,
    options: { signal?: AbortSignal; progress?: (bytes: number) => void } = {},
  ): Promise<TandemFile> {
    const { signal, progress = () => {} } = options;
    return this.call('POST', '/v1/me/files', { raw: file, signal, progress }) as Promise<TandemFile>;
  }

  /** @internal Another user is logged in. */
  clear(): void {
    this.#links.clear();
  }
}
