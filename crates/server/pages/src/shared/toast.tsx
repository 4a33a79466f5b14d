import { signal } from '@preact/signals';

interface Toast {
  id: number;
  text: string;
  isProblem: boolean;
}

/** How long one is shown, in milliseconds. */
const shown = 5000;

const toasts = signal<Toast[]>([]);
let next = 0;

/** Tells something that is over in a moment. */
export function tell(text: string, isProblem = false): void {
  const id = next++;
  toasts.value = [...toasts.value, { id, text, isProblem }];
  setTimeout(() => (toasts.value = toasts.value.filter((toast) => toast.id !== id)), shown);
}

/** Does something and tells how it went. */
export async function attempt(work: () => Promise<unknown>, done: string): Promise<void> {
  try {
    await work();
    tell(done);
  } catch (error) {
    tell(sentence(error), true);
  }
}

/** What went wrong, with a capital at the beginning. */
export function sentence(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.charAt(0).toUpperCase() + text.slice(1);
}

export function Toasts() {
  return (
    <div class="toasts" role="status" aria-live="polite">
      {toasts.value.map(({ id, text, isProblem }) => (
        <p key={id} class={isProblem ? 'toast problem' : 'toast'}>
          {text}
        </p>
      ))}
    </div>
  );
}
