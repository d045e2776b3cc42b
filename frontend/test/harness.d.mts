// Types for the parts of harness.mjs that the SDK's tests use.
export const PASSWORD: string;
export function until<T>(what: string, check: () => T | Promise<T>, ms?: number): Promise<T>;
export class Server {
  static start(...options: string[]): Promise<Server>;
  url: string;
  port: number;
  run(): Promise<void>;
  end(signal: NodeJS.Signals): Promise<void>;
  stop(): Promise<void>;
  call(method: string, path: string, body?: unknown, token?: string): Promise<unknown>;
}
