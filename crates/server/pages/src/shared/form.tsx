import { type Signal, useSignal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { sentence } from './toast';

interface FormProps {
  /** Sends what was filled in; what it throws is shown above the button. */
  send: (fields: FormData, form: HTMLFormElement) => Promise<void>;
  /** The button that sends. */
  button: ComponentChildren;
  children: ComponentChildren;
}

/** A form on a card, which says what went wrong. */
export function CardForm({ send, button, children }: FormProps) {
  const problem = useSignal('');
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    problem.value = '';
    try {
      await send(new FormData(form), form);
    } catch (error) {
      problem.value = sentence(error);
    }
  };
  return (
    <form class="card fields" onSubmit={(event) => void submit(event)}>
      {children}
      {problem.value && (
        <p class="problem" role="alert">
          {problem.value}.
        </p>
      )}
      <p>
        <button type="submit" class="button primary">
          {button}
        </button>
      </p>
    </form>
  );
}

interface ChoiceProps<T extends string> {
  legend: string;
  /** Values, and what stands for them. */
  options: [T, ComponentChildren][];
  value: Signal<T>;
}

/** One of a few, side by side. */
export function Choice<T extends string>({ legend, options, value }: ChoiceProps<T>) {
  return (
    <fieldset class="choice">
      <legend>{legend}</legend>
      {options.map(([name, shown]) => (
        <label key={name}>
          <input type="radio" name={legend} checked={value.value === name} onChange={() => (value.value = name)} />
          <span>{shown}</span>
        </label>
      ))}
    </fieldset>
  );
}
