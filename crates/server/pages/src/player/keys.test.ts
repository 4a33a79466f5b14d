import { expect, test } from 'vitest';
import { commandOf } from './keys';

const press = (key: string, more: object = {}) =>
  commandOf({ key, ctrlKey: false, metaKey: false, altKey: false, target: null, ...more });
const on = (tagName: string) => ({ target: { tagName } as unknown as EventTarget });

test('keys do what they do in other players', () => {
  expect([press(' '), press('K'), press('m'), press('ArrowLeft'), press('x')]).toEqual(['play', 'play', 'mute', 'back', null]);
});

test('the keys of browsers and controls stay theirs', () => {
  expect(press('f', { ctrlKey: true })).toBeNull();
  expect([press(' ', on('BUTTON')), press('m', on('BUTTON'))]).toEqual([null, 'mute']);
  expect([press('ArrowUp', on('INPUT')), press('f', on('INPUT'))]).toEqual([null, 'fullscreen']);
});
