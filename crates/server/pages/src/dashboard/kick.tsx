import { useSignal } from '@preact/signals';
import { post } from '../api/client';
import type { Client } from '../api/types';
import { Dialog } from '../shared/dialog';
import { attempt } from '../shared/toast';

/** How long a stream may be banned, in seconds. */
const bans: [number, string][] = [
  [0, 'no ban'],
  [60, '1 minute'],
  [600, '10 minutes'],
  [3600, '1 hour'],
  [86_400, '1 day'],
];

/** Asks how to end a client's connection, and ends it. */
export function KickDialog({ client, onClose }: { client: Client; onClose: () => void }) {
  const banFor = useSignal(client.role === 'publisher' ? 600 : 0);
  const who = client.name || client.remote;
  const kick = (event: SubmitEvent) => {
    event.preventDefault();
    const body = banFor.value > 0 ? { banFor: banFor.value } : {};
    void attempt(() => post(`/clients/${client.id}/kick`, body), `Kicked ${who}`);
    onClose();
  };
  return (
    <Dialog title={`Kick client ${client.id}`} onClose={onClose}>
      <form class="fields" onSubmit={kick}>
        <p>
          The connection of <strong>{who}</strong> ({client.remote}) is ended
          {client.streamKey && <>, which {client.role === 'publisher' ? 'publishes' : 'plays'} {client.streamKey}</>}.
        </p>
        {client.role === 'publisher' ? (
          <label>
            Keep {client.streamKey} from being published for
            <select value={banFor.value} onChange={(event) => (banFor.value = Number(event.currentTarget.value))}>
              {bans.map(([seconds, name]) => (
                <option key={seconds} value={seconds}>
                  {name}
                </option>
              ))}
            </select>
            <small class="muted">Without a ban an encoder is back in seconds.</small>
          </label>
        ) : (
          <p class="muted">A player may come back at once; tokens for playing keep it out.</p>
        )}
        <p class="actions">
          <button type="button" class="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class="button primary danger">
            Kick
          </button>
        </p>
      </form>
    </Dialog>
  );
}
