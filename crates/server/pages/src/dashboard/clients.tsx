import { signal, useSignal } from '@preact/signals';
import { remove, segment } from '../api/client';
import type { Ban, Client } from '../api/types';
import { bytes, span } from '../shared/format';
import { Table } from '../shared/table';
import { attempt } from '../shared/toast';
import { KickDialog } from './kick';
import { usePoll } from './poll';
import { streamHref } from './route';
import { protocolName } from './stream-parts';

const clients = signal<Client[] | null>(null);
const bans = signal<Ban[]>([]);

/** The server looks at the sockets every two seconds. */
const interval = 2000;

/** Everybody who is connected, and what is banned. */
export function Clients() {
  const filter = useSignal('');
  usePoll<{ clients: Client[] }>('/clients', interval, (answer) => (clients.value = answer.clients));
  usePoll<{ bans: Ban[] }>('/bans', interval, (answer) => (bans.value = answer.bans));
  const shown = clients.value?.filter((client) => matches(client, filter.value)) ?? [];
  return (
    <>
      <div class="heading">
        <h1>Clients</h1>
        <input
          type="search"
          aria-label="Filter by stream, address or name"
          placeholder="Filter by stream, address, name"
          value={filter.value}
          onInput={(event) => (filter.value = event.currentTarget.value)}
        />
      </div>
      <ClientTable clients={shown} nobody={clients.value === null ? 'Asking the server …' : 'Nobody is connected.'} />
      {bans.value.length > 0 && <Bans />}
    </>
  );
}

/** Whether a client has all words of `filter` somewhere. */
export function matches(client: Client, filter: string): boolean {
  const text = [client.streamKey, client.remote, client.name, client.user, client.protocol, client.role]
    .join(' ')
    .toLowerCase();
  return filter.toLowerCase().split(/\s+/).every((word) => text.includes(word));
}

/** The clients of one stream. */
export function ClientsOf({ streamKey }: { streamKey: string }) {
  usePoll<{ clients: Client[] }>('/clients', interval, (answer) => (clients.value = answer.clients));
  const shown = clients.value?.filter((client) => client.streamKey === streamKey) ?? [];
  return <ClientTable clients={shown} nobody="No client is connected to this stream." />;
}

function ClientTable({ clients, nobody }: { clients: Client[]; nobody: string }) {
  const kicked = useSignal<Client | null>(null);
  if (clients.length === 0) return <p class="card nothing">{nobody}</p>;
  return (
    <>
      <Table columns={['Client', 'Stream', 'Address', 'Carried', 'Connected']} right={['Carried', 'Connected']}>
        {clients.map((client) => (
          <tr key={client.id}>
            <td>
              <span class={`role ${client.role}`}>{roles[client.role]}</span> {client.user ?? client.name}
              <small class="muted"> {protocolName(client.protocol)}</small>
            </td>
            <td>{client.streamKey && <a href={streamHref(client.streamKey)}>{client.streamKey}</a>}</td>
            <td class="mono">{client.remote}</td>
            <td class="right number">{bytes(client.role === 'publisher' ? client.bytesIn : client.bytesOut)}</td>
            <td class="right number">{span((Date.now() - Date.parse(client.connectedAt)) / 1000)}</td>
            <td class="right">
              <button
                type="button"
                class="button small danger"
                aria-label={`Kick client ${client.id}`}
                onClick={() => (kicked.value = client)}
              >
                Kick
              </button>
            </td>
          </tr>
        ))}
      </Table>
      {kicked.value && <KickDialog client={kicked.value} onClose={() => (kicked.value = null)} />}
    </>
  );
}

const roles = { publisher: 'Publisher', player: 'Player', none: 'Idle' };

function Bans() {
  const lift = ({ streamKey }: Ban) => attempt(() => remove(`/bans/${segment(streamKey)}`), `${streamKey} may be published again`);
  return (
    <section class="part">
      <h2>Banned from being published</h2>
      <ul class="card rows">
        {bans.value.map((ban) => (
          <li key={ban.streamKey}>
            <strong>{ban.streamKey}</strong>
            <span class="muted">for another {span(ban.remaining)}</span>
            <button type="button" class="button small" onClick={() => void lift(ban)}>
              Lift
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}
