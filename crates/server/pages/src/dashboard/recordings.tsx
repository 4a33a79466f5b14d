import { signal, useSignal } from '@preact/signals';
import { hasToken, remove, request } from '../api/client';
import type { Recording } from '../api/types';
import { Dialog } from '../shared/dialog';
import { bytes, clock, dateTime } from '../shared/format';
import { Icon } from '../shared/icons';
import { Table } from '../shared/table';
import { attempt } from '../shared/toast';
import { usePoll } from './poll';
import { replayHref } from './route';
import { EmbeddedPlayer, Watch } from './watch';

const recordings = signal<Recording[] | null>(null);

const interval = 3000;

/** What was recorded: to play, to fetch, to delete. */
export function Recordings() {
  const deleted = useSignal<Recording | null>(null);
  const played = useSignal<Recording | null>(null);
  usePoll<{ recordings: Recording[] }>('/recordings', interval, (answer) => (recordings.value = answer.recordings));
  const all = recordings.value;
  const size = all?.reduce((sum, recording) => sum + recording.bytes, 0) ?? 0;
  return (
    <>
      <div class="heading">
        <h1>Recordings</h1>
        {all && all.length > 0 && (
          <span class="muted">
            {all.length} · {bytes(size)}
          </span>
        )}
      </div>
      {all && all.length === 0 && (
        <section class="card empty">
          <h2>Nothing was recorded yet</h2>
          <p>
            Press <em>Record</em> on a stream, or set <code>record.all = true</code> to record all of them.
          </p>
        </section>
      )}
      {all && all.length > 0 && (
        <Table columns={['Recording', 'Begun', 'Length', 'Size']} right={['Length', 'Size']}>
          {all.map((recording) => (
            <Row
              key={recording.id}
              recording={recording}
              onPlay={() => (played.value = recording)}
              onDelete={() => (deleted.value = recording)}
            />
          ))}
        </Table>
      )}
      {played.value && <PlayDialog recording={played.value} onClose={() => (played.value = null)} />}
      {deleted.value && <DeleteDialog recording={deleted.value} onClose={() => (deleted.value = null)} />}
    </>
  );
}

interface RowProps {
  recording: Recording;
  onPlay: () => void;
  onDelete: () => void;
}

function Row({ recording, onPlay, onDelete }: RowProps) {
  const isDone = recording.state === 'completed';
  return (
    <tr>
      <td>
        <strong>{recording.streamKey ?? recording.id}</strong>{' '}
        {isDone ? (
          <small class="muted">{recording.id.split('.').pop()?.toUpperCase()}</small>
        ) : (
          <span class="state recording">Recording</span>
        )}
      </td>
      <td class="number">{dateTime(recording.startedAt)}</td>
      <td class="right number">{clock(recording.duration)}</td>
      <td class="right number">{bytes(recording.bytes)}</td>
      <td class="right">
        <span class="actions">
          <button
            type="button"
            class="button small"
            disabled={!isDone}
            aria-label={`Play ${recording.id}`}
            onClick={onPlay}
          >
            <Icon name="play" filled /> Play
          </button>
          <Download recording={recording} />
          <button
            type="button"
            class="button small quiet danger"
            disabled={!isDone}
            aria-label={`Delete ${recording.id}`}
            title="Delete"
            onClick={onDelete}
          >
            <Icon name="trash" />
          </button>
        </span>
      </td>
    </tr>
  );
}

/** A link, where the browser may fetch the file by itself; with a token, which a link cannot show, we fetch it. */
function Download({ recording }: { recording: Recording }) {
  const path = `/recordings/${encodeURIComponent(recording.id)}/file`;
  const label = `Download ${recording.id}`;
  if (!hasToken.value) {
    return (
      <a class="button small quiet" href={`/api/v1${path}`} download={recording.id} aria-label={label} title="Download">
        <Icon name="download" />
      </a>
    );
  }
  const onClick = () => attempt(() => save(path, recording.id), `${recording.id} was fetched`);
  return (
    <button type="button" class="button small quiet" aria-label={label} title="Download" onClick={() => void onClick()}>
      <Icon name="download" />
    </button>
  );
}

async function save(path: string, name: string): Promise<void> {
  const address = URL.createObjectURL(await (await request(path)).blob());
  const link = document.createElement('a');
  link.href = address;
  link.download = name;
  link.click();
  URL.revokeObjectURL(address);
}

function PlayDialog({ recording, onClose }: { recording: Recording; onClose: () => void }) {
  const player = { href: replayHref(recording.id), streamKey: `vod/${recording.id}` };
  return (
    <Dialog title={recording.streamKey ?? recording.id} onClose={onClose}>
      <EmbeddedPlayer {...player} title={`Player of ${recording.id}`} />
      <p class="actions">
        <Watch {...player} class="button">
          Open in a tab
        </Watch>
      </p>
    </Dialog>
  );
}

function DeleteDialog({ recording, onClose }: { recording: Recording; onClose: () => void }) {
  const confirm = () => {
    onClose();
    const path = `/recordings/${encodeURIComponent(recording.id)}`;
    const work = remove(path).then(() => {
      recordings.value = recordings.value?.filter(({ id }) => id !== recording.id) ?? null;
    });
    void attempt(() => work, `${recording.id} was deleted`);
  };
  return (
    <Dialog title="Delete this recording?" onClose={onClose}>
      <p>
        <strong class="mono">{recording.id}</strong>, {bytes(recording.bytes)}. It cannot be brought back.
      </p>
      <p class="actions">
        <button type="button" class="button" onClick={onClose}>
          Cancel
        </button>
        <button type="button" class="button primary danger" onClick={confirm}>
          Delete
        </button>
      </p>
    </Dialog>
  );
}
