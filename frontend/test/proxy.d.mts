export interface Faults {
  socket?: boolean;
  buffer?: boolean;
  cut?: number;
}
export interface Proxy {
  url: string;
  faults: Faults;
  seen: string[];
  close(): Promise<void>;
}
export function startProxy(port: number, faults?: Faults): Promise<Proxy>;
