import type { writeSync } from 'node:fs';

import test from 'ava';

import { logOutput } from '../../shared/rpc/log-output.js';

/** A file that does, write by write, what the script says: an error's code, or how many bytes it takes. */
function scripted(script: (string | number)[]) {
  let text = '';
  const write = (_file: number, bytes: Buffer, offset: number): number => {
    const next = script.shift() ?? Infinity;
    if (typeof next === 'string') throw Object.assign(new Error(next), { code: next });
    const taken = Math.min(next, bytes.length - offset);
    text += bytes.toString('utf8', offset, offset + taken);
    return taken;
  };
  return { write: write as typeof writeSync, read: () => text };
}

test('lines that can not be written are dropped, and counted when the next one can [fault A8]', (t) => {
  const { write, read } = scripted(['ENOSPC', 'EPIPE', 'ENOSPC']);
  const output = logOutput('test', write);
  for (const line of ['one\n', 'two\n', 'three\n', 'four\n']) output.write(line);
  const lines = read().split('\n');
  t.like(JSON.parse(lines[0] ?? ''), { name: 'test', msg: '2 lines of the log could not be written' });
  t.deepEqual(lines.slice(1), ['three', 'four', '']);
});

test('a full pipe is waited for, and a line that it takes in pieces stays whole', (t) => {
  const { write, read } = scripted(['EAGAIN', 2, 'EAGAIN', 1]);
  logOutput('test', write).write('a line\n');
  t.is(read(), 'a line\n');
});

test('a torn line ends before the next one begins', (t) => {
  const { write, read } = scripted([3, 'ENOSPC', 'ENOSPC']);
  const output = logOutput('test', write);
  output.write('a line\n');
  output.write('next\n');
  t.is(read(), 'a l\nnext\n');
});
