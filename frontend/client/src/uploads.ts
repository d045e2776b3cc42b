// A message's files while it is sent. They are uploaded one after the other: a completed upload is not repeated when
// the network drops, and a refused one can be retried or left out.
import type { TandemFile } from './events.js';
import { failure, type TandemError } from './problem.js';
import { backoff, child, sleep } from './wait.js';

/** A file being sent. A new object with every change. */
export interface Upload {
  name: string;
  /** Total bytes; `sent` are the bytes sent. `fetch` reports no progress, only the end. */
  size: number;
  sent: number;
  type: string;
  /** As given, for a preview; absent for one that was uploaded before. */
  source?: Blob;
  state: 'waiting' | 'uploading' | 'done' | 'failed';
  /** Why it has failed, or is still waiting. */
  error?: TandemError;
  /** The server's file. */
  file?: TandemFile;
  /** Leaves it out. The message is sent with the others. */
  cancel: () => void;
}

/** What can be sent: a `File` or `Blob`, or a file that was uploaded before. */
export type Source = Blob | TandemFile;

export type SendFile = (
  file: Blob,
  name: string,
  signal: AbortSignal,
  progress: (bytes: number) => void,
) => Promise<TandemFile>;

const LONG = 60; // s; a longer wait is reported

const isBlob = (source: Source): source is Blob => typeof (source as Blob).slice === 'function';

interface Entry {
  upload: Upload;
  source: Source;
}

export class Uploads {
  #entries: Entry[];
  #end = child();
  #now?: Entry; // under way
  #cut = child(); // ends it
  #nap = child();
  /** Whether a post has them, which may have arrived: none can be left out any more. */
  taken = false;

  /** @param changed is called after every change */
  constructor(
    sources: readonly Source[],
    private send: SendFile,
    private changed: () => void,
  ) {
    this.#entries = sources.map((source) => {
      const { name = 'file', size, type } = source as File;
      const cancel = () => this.#cancel(entry);
      const rest = isBlob(source)
        ? { sent: 0, source, state: 'waiting' as const }
        : { sent: size, file: source, state: 'done' as const };
      const entry: Entry = { source, upload: { name, size, type, cancel, ...rest } };
      return entry;
    });
  }

  get all(): readonly Upload[] {
    return this.#entries.map(({ upload }) => upload);
  }

  get done(): boolean {
    return this.#entries.every(({ upload }) => upload.file);
  }

  /** Uploads what is missing. Throws if one is refused. */
  async run(): Promise<void> {
    for (let n = 0; !this.done;) {
      const entry = (this.#now = this.#entries.find(({ upload }) => !upload.file)!);
      const source = entry.source as File;
      this.#cut = child(this.#end.signal);
      const { signal } = this.#cut;
      try {
        this.#set(entry, { state: 'uploading', error: undefined });
        const file = await this.send(source, source.name ?? '', signal, (sent) => this.#set(entry, { sent }));
        this.#set(entry, { state: 'done', sent: source.size, file });
        n = 0;
      } catch (err) {
        if (this.#end.signal.aborted) throw err;
        if (signal.aborted) continue; // left out
        const error = failure(err);
        const over = error.final || error.code === 'failed' || error.status === 507 || (error.retryAfter ?? 0) > LONG;
        this.#set(entry, { state: over ? 'failed' : 'waiting', sent: 0, error });
        if (over) throw error;
        this.#nap = child(signal);
        await sleep(Math.max((error.retryAfter ?? 0) * 1000, backoff(n++)), this.#nap.signal);
      } finally {
        this.#cut.abort(); // lets go of the end's
      }
    }
  }

  /** Returns the ids to post. */
  take(): string[] {
    this.taken = true;
    return this.#entries.map(({ upload }) => upload.file!.id);
  }

  /** The uploaded files no longer exist: upload them again. */
  restart(): void {
    for (const entry of this.#entries) {
      if (isBlob(entry.source)) this.#set(entry, { state: 'waiting', sent: 0, file: undefined });
    }
  }

  wake(): void {
    this.#nap.abort();
  }

  abort(): void {
    this.#end.abort();
  }

  #cancel(entry: Entry): void {
    if (this.taken) return;
    this.#entries = this.#entries.filter((e) => e !== entry);
    if (entry === this.#now) this.#cut.abort();
    this.changed();
  }

  #set(entry: Entry, change: Partial<Upload>): void {
    entry.upload = { ...entry.upload, ...change };
    this.changed();
  }
}
