// Proxies that treat streams as some networks do.
import { once } from 'node:events';
import { Agent, createServer, request } from 'node:http';
import { connect } from 'node:net';

/**
 * Starts a proxy in front of a server's port. Its faults may be changed while it runs:
 * - socket: WebSocket handshakes are refused
 * - buffer: heads pass at once, bodies when they are complete
 * - cut: every connection ends after so many milliseconds
 */
export async function startProxy(port, faults = {}) {
  const agent = new Agent({ keepAlive: false });
  const proxy = { faults, seen: [], close };
  const sockets = new Set();
  const ask = (req) => request({ port, host: '127.0.0.1', method: req.method, path: req.url, headers: req.headers, agent });

  const server = createServer((req, res) => {
    proxy.seen.push(`${req.method} ${req.url}`);
    const upstream = ask(req);
    upstream.on('response', (answer) => {
      res.writeHead(answer.statusCode, answer.rawHeaders);
      res.flushHeaders();
      const held = [];
      answer.on('data', (chunk) => (proxy.faults.buffer ? held.push(chunk) : res.write(chunk)));
      answer.on('end', () => res.end(Buffer.concat(held)));
      answer.on('error', () => res.destroy());
    });
    upstream.on('error', () => res.destroy());
    res.on('close', () => upstream.destroy());
    req.pipe(upstream);
  });
  server.on('upgrade', (req, socket, head) => {
    proxy.seen.push(`WS ${req.url}`);
    if (proxy.faults.socket) return socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n');
    const upstream = connect(port, '127.0.0.1', () => {
      const lines = [];
      for (let i = 0; i < req.rawHeaders.length; i += 2) lines.push(`${req.rawHeaders[i]}: ${req.rawHeaders[i + 1]}\r\n`);
      upstream.write(`${req.method} ${req.url} HTTP/1.1\r\n${lines.join('')}\r\n`);
      upstream.write(head);
      upstream.pipe(socket).pipe(upstream);
    });
    for (const [one, other] of [[socket, upstream], [upstream, socket]]) {
      one.on('error', () => other.destroy());
      one.on('close', () => other.destroy());
    }
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    const opened = Date.now();
    const timer = setInterval(() => { if (Date.now() - opened > proxy.faults.cut) socket.destroy(); }, 50);
    socket.on('close', () => clearInterval(timer));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  proxy.url = `http://127.0.0.1:${server.address().port}/`;
  return proxy;

  async function close() {
    server.close();
    sockets.forEach((socket) => socket.destroy());
    await once(server, 'close');
  }
}
