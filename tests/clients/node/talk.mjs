// The official client in a session: what it sends, and what it is told, in exactly the order that is expected.

import { OpenAI } from 'openai';
import { OpenAIRealtimeWS } from 'openai/realtime/ws';

const WORDS = 'conversation.item.input_audio_transcription';
export const ITEM = ['conversation.item.added', 'conversation.item.done'];
export const COMMIT = ['input_audio_buffer.committed', ...ITEM];
export const SPEECH = ['input_audio_buffer.speech_started', 'input_audio_buffer.speech_stopped'];
export const [DELTA, COMPLETED] = [`${WORDS}.delta`, `${WORDS}.completed`];
const BEGUN = ['response.created', 'response.output_item.added', ITEM[0]];
const ENDED = [ITEM[1], 'response.output_item.done', 'response.done', 'rate_limits.updated'];
const AUDIO = 'response.output_audio';
const SOUND = [`${AUDIO}.delta|${AUDIO}_transcript.delta*`, `${AUDIO}.done`, `${AUDIO}_transcript.done`];
const TEXT = ['response.output_text.delta*', 'response.output_text.done'];
const message = (parts) => [...BEGUN, 'response.content_part.added', ...parts, 'response.content_part.done', ...ENDED];
export const SPOKEN = message(SOUND);
export const WRITTEN = message(TEXT);
const ARGUMENTS = 'response.function_call_arguments';
export const CALLED = [...BEGUN, `${ARGUMENTS}.delta*`, `${ARGUMENTS}.done`, ...ENDED];

/** These steps and the end of the transcription, with words whenever they are recognised. */
export const transcribed = (first, ...later) => [first, ...[...later, COMPLETED].flatMap((step) => [`${DELTA}*`, step])];

/** The fields that each event must have, where the client has a type for them and no check. */
const IDS = ['response_id', 'item_id', 'output_index'];
const REQUIRED = {
  'response.output_item.added': ['response_id', 'output_index', 'item'],
  'response.output_item.done': ['response_id', 'output_index', 'item'],
  'response.content_part.added': [...IDS, 'content_index', 'part'],
  'response.content_part.done': [...IDS, 'content_index', 'part'],
  'response.output_audio.delta': [...IDS, 'content_index', 'delta'],
  'response.output_audio.done': [...IDS, 'content_index'],
  'response.output_audio_transcript.delta': [...IDS, 'content_index', 'delta'],
  'response.output_audio_transcript.done': [...IDS, 'content_index', 'transcript'],
  'response.output_text.delta': [...IDS, 'content_index', 'delta'],
  'response.output_text.done': [...IDS, 'content_index', 'text'],
  'response.function_call_arguments.delta': [...IDS, 'call_id', 'delta'],
  'response.function_call_arguments.done': [...IDS, 'call_id', 'name', 'arguments'],
  [DELTA]: ['item_id', 'content_index', 'delta'],
  [COMPLETED]: ['item_id', 'content_index', 'transcript', 'usage'],
  'input_audio_buffer.committed': ['item_id', 'previous_item_id'],
};

const opened = new Set();

/** End the sessions that a scenario left open. */
export function hangUp() {
  for (const talk of opened) talk.realtime.socket.terminate();
  opened.clear();
}

export class Talk {
  #events = [];
  #waiting = null;

  constructor(realtime) {
    this.realtime = realtime;
    this.closed = new Promise((resolve) => realtime.socket.on('close', (code) => resolve(code)));
    realtime.on('event', (event) => this.#take(event));
    realtime.on('error', (error) => {
      if (!error.error) this.#take(error); // of the connection; what the server says comes as an event, too
    });
    opened.add(this);
  }

  #take(event) {
    this.#events.push(event);
    this.#waiting?.();
  }

  async receive() {
    while (!this.#events.length) await new Promise((resolve) => (this.#waiting = resolve));
    const event = this.#events.shift();
    if (event instanceof Error) throw event;
    for (const field of ['event_id', ...(REQUIRED[event.type] ?? [])]) {
      if (!(field in event)) throw new Error(`${event.type} without ${field}`);
    }
    return event;
  }

  /** Events in exactly this order: `a|b` is either, `*` at the end of a step is any number; the last step has none. */
  async follow(...steps) {
    const got = {};
    let event = await this.receive();
    for (const [index, step] of steps.entries()) {
      const many = step.endsWith('*');
      const kinds = step.replace('*', '').split('|');
      if (!many && !kinds.includes(event.type)) throw new Error(`${JSON.stringify(event)} in place of ${step}`);
      while (kinds.includes(event.type)) {
        (got[event.type] ??= []).push(event);
        if (index === steps.length - 1) return got;
        event = await this.receive();
        if (!many) break;
      }
    }
    throw new Error('the last step is one event');
  }

  async next(type) {
    return (await this.follow(type))[type][0];
  }

  async until(type) {
    for (;;) {
      const event = await this.receive();
      if (event.type === type) return event;
    }
  }

  /** The next event of each of these types, in any order. */
  async allOf(...types) {
    const got = new Map();
    while (!types.every((type) => got.has(type))) {
      const event = await this.receive();
      if (!got.has(event.type)) got.set(event.type, event);
    }
    return got;
  }

  async refused(eventId = null) {
    const { error } = await this.next('error');
    if (error.event_id !== eventId || !error.message) throw new Error(`${JSON.stringify(error)} about ${eventId}`);
    return [error.code, error.param];
  }

  send(type, fields = {}) {
    this.realtime.send({ type, ...fields });
  }

  append(pcm, piece = 9600) {
    for (let start = 0; start < pcm.length; start += piece) {
      this.send('input_audio_buffer.append', { audio: pcm.subarray(start, start + piece).toString('base64') });
    }
  }

  async transcribe(detection = null) {
    const input = { transcription: { model: 'gpt-4o-transcribe' }, turn_detection: detection };
    this.send('session.update', { session: { type: 'transcription', audio: { input } } });
    await this.next('session.updated');
  }

  async converse(detection = null, settings = {}) {
    const audio = { input: { turn_detection: detection } };
    this.send('session.update', { session: { type: 'realtime', audio, ...settings } });
    return (await this.next('session.updated')).session;
  }

  async write(text) {
    const content = [{ type: 'input_text', text }];
    this.send('conversation.item.create', { item: { type: 'message', role: 'user', content } });
    return (await this.follow(...ITEM))[ITEM[0]][0].item.id;
  }
}

/** A connection of the official client; with a session that has begun where it is to begin. */
export function connect({ url, key }, options) {
  return new Talk(new OpenAIRealtimeWS(options, new OpenAI({ apiKey: key, baseURL: url })));
}

export async function talking(endpoint, options = { model: 'gpt-realtime' }) {
  const talk = connect(endpoint, options);
  await talk.next('session.created');
  return talk;
}

export const heard = (got) => Buffer.concat(got['response.output_audio.delta'].map((e) => Buffer.from(e.delta, 'base64')));
export const joined = (events) => events.map((event) => event.delta).join('');
