/** Server-sent events over `fetch`: `EventSource` can show no token. */

export interface Message {
  event: string;
  data: string;
}

/** Makes messages of the text of an event stream (HTML, "Event stream interpretation"), whatever pieces it comes in. */
export class Parser {
  private rest = '';
  private event = '';
  private data: string[] = [];

  /** Takes the next piece of text and gives the messages that it completes. */
  push(text: string): Message[] {
    const lines = (this.rest + text).split(/\r\n|\n|\r(?!$)/);
    this.rest = lines.pop() ?? '';
    return lines.flatMap((line) => this.line(line));
  }

  private line(line: string): Message[] {
    if (line === '') {
      const message = { event: this.event || 'message', data: this.data.join('\n') };
      const isEmpty = this.data.length === 0;
      [this.event, this.data] = ['', []];
      return isEmpty ? [] : [message];
    }
    const colon = line.indexOf(':');
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (field === 'event') this.event = value;
    if (field === 'data') this.data.push(value);
    return [];
  }
}

/** Hands over the messages of an event stream until it ends. */
export async function read(response: Response, take: (message: Message) => void): Promise<void> {
  const parser = new Parser();
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  for (let piece = await reader?.read(); piece && !piece.done; piece = await reader?.read()) {
    parser.push(piece.value).forEach(take);
  }
}
