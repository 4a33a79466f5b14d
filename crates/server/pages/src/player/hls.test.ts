import { expect, test, vi } from 'vitest';

vi.mock('hls.js/dist/hls.worker.js?url', () => ({ default: '' }));
const { endingOf } = await import('./hls');
const { ErrorDetails, ErrorTypes } = await import('hls.js');

function network(code: number, body = '') {
  const response = { url: '', data: '', code, text: '' };
  return { type: ErrorTypes.NETWORK_ERROR, details: ErrorDetails.MANIFEST_LOAD_ERROR, response, networkDetails: { response: body } };
}

test('an answer becomes a reason', () => {
  expect(endingOf(network(404))).toEqual({ kind: 'absent' });
  expect(endingOf(network(410))).toEqual({ kind: 'absent' });
  expect(endingOf(network(401, '{"detail":"the token has expired"}'))).toEqual({ kind: 'refused', reason: 'the token has expired' });
  expect(endingOf(network(403, '<html>'))).toMatchObject({ kind: 'refused' });
  expect(endingOf(network(503))).toEqual({ kind: 'broken', reason: 'The server answers 503' });
  expect(endingOf(network(0))).toEqual({ kind: 'broken', reason: 'The server does not answer' });
});

test('a codec that the browser does not know is no fault of the network', () => {
  const error = { ...network(0), type: ErrorTypes.MEDIA_ERROR, details: ErrorDetails.MANIFEST_INCOMPATIBLE_CODECS_ERROR };
  expect(endingOf(error)).toMatchObject({ kind: 'unsupported' });
});
