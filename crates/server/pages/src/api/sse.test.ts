import { expect, test } from 'vitest';
import { Parser } from './sse';

const text = 'id: 5\nevent: viewer.joined\ndata: {"a":\ndata:1}\n\n: keep-alive\n\ndata: x\r\n\r\n';
const messages = [
  { event: 'viewer.joined', data: '{"a":\n1}' },
  { event: 'message', data: 'x' },
];

test('an event stream becomes messages', () => {
  expect(new Parser().push(text)).toEqual(messages);
});

test('it does not matter where the network cuts it', () => {
  for (let cut = 1; cut < text.length; cut++) {
    const parser = new Parser();
    expect([...parser.push(text.slice(0, cut)), ...parser.push(text.slice(cut))], `cut at ${cut}`).toEqual(messages);
  }
});

test('what has no end is no message yet', () => {
  expect(new Parser().push('data: x\n')).toEqual([]);
});
