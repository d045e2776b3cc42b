// The parser against WHATWG HTML §9.2.6, every stream fed whole, byte by byte, and cut in two everywhere.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sseParser } from '../page/stream.js';

const message = (data, id = '', type = 'message') => ({ id, type, data });
const streams = [
  ['LF', 'data: a\n\ndata: b\n\n', [message('a'), message('b')]],
  ['CR', 'data: a\r\rdata: b\r\r', [message('a'), message('b')]],
  ['CRLF', 'data: a\r\n\r\ndata: b\r\n\r\n', [message('a'), message('b')]],
  ['line ends mixed', 'data: a\r\n\rdata: b\n\r\n', [message('a'), message('b')]],
  ['one BOM is taken off', '\uFEFFdata: a\n\n', [message('a')]],
  ['a second BOM is not', '\uFEFF\uFEFFdata: a\n\ndata: b\n\n', [message('b')]],
  ['several lines of data', 'data: a\ndata:\ndata: b\n\n', [message('a\n\nb')]],
  ['only one space is taken off', 'data:  a\ndata:b\n\n', [message(' a\nb')]],
  ['data without a colon is an empty line', 'data\n\n', [message('')]],
  ['comments, unknown fields and blank lines', ': hi\n\nfoo: bar\nretry: 10\n\ndata: a\n:\n\n', [message('a')]],
  ['type lasts for one event, id for all after it', 'event: x\nid: 7.l\ndata: a\n\ndata: b\n\nid\ndata: c\n\n',
    [message('a', '7.l', 'x'), message('b', '7.l'), message('c')]],
  ['an id with NUL is ignored', 'id: 1\ndata: a\n\nid: 2\0\ndata: b\n\n', [message('a', '1'), message('b', '1')]],
  ['an event without data is none', 'event: x\n\ndata: a\n\n', [message('a')]],
  ['what is not ended is none', 'data: a\n\ndata: b\n', [message('a')]],
  ['letters of several bytes', 'data: 🚲 комната\n\n', [message('🚲 комната')]],
];

function parse(...chunks) {
  const events = [];
  const push = sseParser((event) => events.push(event));
  chunks.forEach((chunk) => push(chunk));
  return events;
}

for (const [name, text, want] of streams) {
  test(name, () => {
    const bytes = new TextEncoder().encode(text);
    assert.deepEqual(parse(bytes), want);
    assert.deepEqual(parse(...Array.from(bytes, (_, i) => bytes.subarray(i, i + 1))), want, 'byte by byte');
    for (let i = 1; i < bytes.length; i++) assert.deepEqual(parse(bytes.subarray(0, i), bytes.subarray(i)), want, `cut at ${i}`);
  });
}
