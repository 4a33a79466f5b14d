import { useSignal } from '@preact/signals';
import { copy } from './clipboard';
import { Icon } from './icons';

/** A text to be pasted elsewhere, with its name and a button that copies it. */
export function CopyField({ label, value, secret = false }: { label: string; value: string; secret?: boolean }) {
  return (
    <div class="copy-field">
      <span class="label">{label}</span>
      <code class={secret ? 'value secret' : 'value'} title={secret ? undefined : value}>
        {value}
      </code>
      <CopyButton value={value} label={`Copy ${label}`} />
    </div>
  );
}

export function CopyButton({ value, label }: { value: string; label: string }) {
  const isDone = useSignal(false);
  const onClick = async () => {
    isDone.value = await copy(value);
    setTimeout(() => (isDone.value = false), 1500);
  };
  return (
    <button type="button" class="button quiet small" aria-label={label} title={label} onClick={onClick}>
      <Icon name={isDone.value ? 'check' : 'copy'} />
      <span class="visually-hidden" aria-live="polite">
        {isDone.value ? 'copied' : ''}
      </span>
    </button>
  );
}
