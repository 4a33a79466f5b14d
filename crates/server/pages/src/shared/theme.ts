/** Light, dark, or what the system has; remembered by the browser. */

import { effect, signal } from '@preact/signals';

export type Theme = 'system' | 'light' | 'dark';

const storageKey = 'flumen.theme';

export const theme = signal<Theme>(readStored());

function readStored(): Theme {
  try {
    const stored = localStorage.getItem(storageKey);
    return stored === 'light' || stored === 'dark' ? stored : 'system';
  } catch {
    return 'system';
  }
}

/** Keeps the document in the chosen theme from now on. */
export function applyTheme(): void {
  effect(() => {
    const { dataset } = document.documentElement;
    if (theme.value === 'system') delete dataset['theme'];
    else dataset['theme'] = theme.value;
    try {
      localStorage.setItem(storageKey, theme.value);
    } catch {
      // Not remembered, then.
    }
  });
}

/** The next one when somebody presses the button again and again. */
export function nextTheme(current: Theme): Theme {
  return current === 'system' ? 'light' : current === 'light' ? 'dark' : 'system';
}
