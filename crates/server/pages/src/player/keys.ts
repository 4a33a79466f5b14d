/** What keys do, by `KeyboardEvent.key`. Those of other players, as far as they agree. */

export type Command =
  | 'play'
  | 'mute'
  | 'fullscreen'
  | 'louder'
  | 'quieter'
  | 'back'
  | 'forward'
  | 'live'
  | 'audio'
  | 'statistics'
  | 'picture';

const commands: Record<string, Command> = {
  ' ': 'play',
  k: 'play',
  m: 'mute',
  f: 'fullscreen',
  arrowup: 'louder',
  arrowdown: 'quieter',
  arrowleft: 'back',
  arrowright: 'forward',
  j: 'back',
  l: 'live',
  a: 'audio',
  i: 'statistics',
  p: 'picture',
};

interface Pressed {
  key: string;
  ctrlKey: boolean;
  metaKey: boolean;
  altKey: boolean;
  target: EventTarget | null;
}

/** What a pressed key means; nothing where it is the browser's, or belongs to the control that has the focus. */
export function commandOf(pressed: Pressed): Command | null {
  if (pressed.ctrlKey || pressed.metaKey || pressed.altKey) return null;
  const key = pressed.key.toLowerCase();
  const tag = (pressed.target as Partial<Element> | null)?.tagName?.toLowerCase();
  const takesSpace = tag === 'button' || tag === 'a' || tag === 'select';
  if (takesSpace && (key === ' ' || key === 'enter')) return null;
  if ((tag === 'input' || tag === 'select') && key.startsWith('arrow')) return null;
  return commands[key] ?? null;
}
