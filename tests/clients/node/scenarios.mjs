// What a client does with a realtime endpoint, in the words of the official JavaScript packages.
//
//   node scenarios.mjs '{"url": "https://localhost:8765/v1", "key": "...", "speech": "24_khz.pcm", "scenarios": [...]}'
//
// One line of JSON for each scenario: its name, whether it went well, and if not, why.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

import { conversation } from './agents.mjs';
import { CALLED, COMMIT, COMPLETED, DELTA, ITEM, SPEECH, SPOKEN, WRITTEN } from './talk.mjs';
import { connect, hangUp, heard, joined, talking, transcribed } from './talk.mjs';

const DEADLINE_MS = 40_000;
const TRANSCRIPTION = { intent: 'transcription' };
const endpoint = JSON.parse(process.argv[2]);
const said = readFileSync(endpoint.speech);
const silence = (seconds) => Buffer.alloc(seconds * 48_000);
const utterance = Buffer.concat([silence(1), said, silence(1.5)]);
const words = ['he', 'might', 'even', 'have', 'been', 'made', 'amiable', 'himself'];

function isTranscribed(got) {
  const [completed] = got[COMPLETED];
  const found = new Set(completed.transcript.split(' '));
  assert.ok(words.filter((word) => found.has(word)).length > words.length / 2, completed.transcript);
  assert.equal(completed.item_id, got[COMMIT[0]][0].item_id);
  assert.ok(completed.usage.seconds > 1);
}

function isOneResponse(got, itemId) {
  const { response } = got['response.done'][0];
  assert.equal(response.status, 'completed');
  assert.deepEqual(response.output.map((item) => item.id), [itemId]);
  assert.ok(response.usage.total_tokens > 0);
  for (const event of Object.values(got).flat()) {
    assert.equal(event.response_id ?? response.id, response.id);
    assert.equal(event.item_id ?? itemId, itemId);
  }
}

const scenarios = {
  async greeting() {
    for (const [options, type] of [[{ model: 'gpt-realtime' }, 'realtime'], [TRANSCRIPTION, 'transcription']]) {
      const { session } = await connect(endpoint, options).next('session.created');
      assert.equal(session.type, type);
      assert.equal(session.audio.input.turn_detection.type, 'server_vad');
    }
  },

  async update() {
    const talk = await talking(endpoint);
    await talk.converse(null, { instructions: 'Be brief.', max_output_tokens: 100 });
    let session = await talk.converse({ type: 'semantic_vad' }, { output_modalities: ['text'] });
    assert.deepEqual([session.instructions, session.max_output_tokens], ['Be brief.', 100]);
    assert.deepEqual(session.output_modalities, ['text']);
    const input = { turn_detection: { type: 'server_vad', threshold: 7 } };
    const wrong = { type: 'realtime', instructions: 'Shout.', audio: { input } };
    talk.send('session.update', { session: wrong, event_id: 'mine' });
    assert.equal((await talk.refused('mine'))[1], 'session.audio.input.turn_detection.threshold');
    session = await talk.converse();
    assert.deepEqual([session.instructions, session.audio.input.turn_detection], ['Be brief.', null]);
  },

  async manual_transcription() {
    const talk = await talking(endpoint, TRANSCRIPTION);
    await talk.transcribe();
    talk.append(said);
    talk.send('input_audio_buffer.commit');
    isTranscribed(await talk.follow(`${DELTA}*`, ...transcribed(...COMMIT)));
  },

  async vad_transcription() {
    const talk = await talking(endpoint, TRANSCRIPTION);
    await talk.transcribe({ type: 'server_vad', silence_duration_ms: 500 });
    talk.append(utterance);
    const got = await talk.follow(...transcribed(...SPEECH, ...COMMIT));
    assert.ok(got[SPEECH[0]][0].audio_start_ms < got[SPEECH[1]][0].audio_end_ms);
    isTranscribed(got);
  },

  async spoken_conversation() {
    const talk = await talking(endpoint);
    await talk.converse();
    for (let turn = 0; turn < 2; turn += 1) {
      talk.append(said);
      talk.send('input_audio_buffer.commit');
      const user = (await talk.follow(...COMMIT))[ITEM[0]][0].item;
      talk.send('response.create');
      const got = await talk.follow(...SPOKEN);
      assert.ok(heard(got).equals(said));
      const [added] = got[ITEM[0]];
      assert.equal(added.previous_item_id, user.id);
      isOneResponse(got, added.item.id);
    }
  },

  async automatic_response() {
    const talk = await talking(endpoint);
    await talk.converse({ type: 'server_vad', silence_duration_ms: 500 });
    talk.append(utterance);
    const turn = (await talk.follow(...SPEECH, ...COMMIT))[COMMIT[0]][0].item_id;
    const got = await talk.follow(...SPOKEN);
    assert.equal(got[ITEM[0]][0].previous_item_id, turn);
    assert.ok(heard(got).length > said.length / 2);
  },

  async out_of_band() {
    const talk = await talking(endpoint);
    await talk.converse();
    const content = [{ type: 'input_text', text: 'Is this a question?' }];
    const input = [{ type: 'message', role: 'user', content }];
    const metadata = { topic: 'classification' };
    const response = { conversation: 'none', output_modalities: ['text'], input, metadata };
    talk.realtime.sendResponseCreate({ type: 'response.create', response });
    const got = await talk.follow(...WRITTEN.filter((step) => !step.startsWith('conversation.')));
    const done = got['response.done'][0].response;
    assert.deepEqual(done.metadata, metadata);
    assert.equal(done.conversation_id, null);
    assert.equal(done.output[0].content[0].text, got['response.output_text.done'][0].text);
    talk.send('conversation.item.retrieve', { item_id: done.output[0].id });
    assert.equal((await talk.refused())[0], 'item_retrieve_invalid_item_id');
  },

  async cancel() {
    const talk = await talking(endpoint);
    await talk.converse();
    for (let turn = 0; turn < 2; turn += 1) {
      await talk.write('Tell me a story.');
      talk.send('response.create');
      await talk.until('response.output_audio.delta');
      talk.send('response.create', { event_id: 'second' });
      const { error } = await talk.until('error');
      assert.deepEqual([error.code, error.event_id], ['conversation_already_has_active_response', 'second']);
      talk.send('response.cancel');
      const { response } = await talk.until('response.done');
      assert.deepEqual([response.status, response.status_details.reason], ['cancelled', 'client_cancelled']);
      await talk.next('rate_limits.updated');
    }
    talk.send('response.cancel', { event_id: 'late' });
    assert.equal((await talk.refused('late'))[0], 'response_cancel_not_active');
  },

  async barge_in() {
    const talk = await talking(endpoint);
    await talk.converse({ type: 'server_vad', silence_duration_ms: 500, create_response: false });
    await talk.write('Tell me a story.');
    talk.send('response.create');
    const delta = await talk.until('response.output_audio.delta');
    talk.append(utterance);
    const got = await talk.allOf(SPEECH[0], 'response.done', COMMIT[0]);
    const { response } = got.get('response.done');
    assert.ok([...got.keys()].indexOf(SPEECH[0]) < [...got.keys()].indexOf('response.done'));
    assert.deepEqual([response.id, response.status], [delta.response_id, 'cancelled']);
    assert.equal(response.status_details.reason, 'turn_detected');
    talk.send('output_audio_buffer.clear');
    await talk.until('output_audio_buffer.cleared');
    const cut = { item_id: delta.item_id, content_index: 0, audio_end_ms: 120 };
    talk.send('conversation.item.truncate', cut);
    assert.equal((await talk.next('conversation.item.truncated')).audio_end_ms, 120);
  },

  async function_call() {
    const parameters = { type: 'object', properties: { zone: { type: 'string' } } };
    const tools = [{ type: 'function', name: 'clock', description: 'The time.', parameters }];
    const talk = await talking(endpoint);
    await talk.converse(null, { tools, tool_choice: 'auto', output_modalities: ['text'] });
    await talk.write('What time is it?');
    talk.send('response.create');
    const [call] = (await talk.follow(...CALLED))['response.done'][0].response.output;
    assert.deepEqual([call.type, call.name, call.arguments], ['function_call', 'clock', '{"zone": "UTC"}']);
    const item = { type: 'function_call_output', call_id: call.call_id, output: 'five past six' };
    talk.send('conversation.item.create', { item });
    await talk.follow(...ITEM);
    talk.send('response.create');
    const got = await talk.follow(...WRITTEN);
    assert.equal(joined(got['response.output_text.delta']), 'It is five past six.');
  },

  async items() {
    const talk = await talking(endpoint);
    await talk.converse();
    talk.append(said);
    talk.send('input_audio_buffer.commit');
    const turn = (await talk.follow(...COMMIT))[COMMIT[0]][0].item_id;
    talk.send('response.create');
    const reply = (await talk.follow(...SPOKEN))[ITEM[0]][0].item.id;
    const content = [{ type: 'input_text', text: 'You are a parrot.' }];
    const item = { id: 'mine', type: 'message', role: 'system', content };
    talk.send('conversation.item.create', { item, previous_item_id: 'root' });
    const [added] = (await talk.follow(...ITEM))[ITEM[0]];
    assert.deepEqual([added.item.id, added.previous_item_id], ['mine', null]);
    talk.send('conversation.item.truncate', { item_id: reply, content_index: 0, audio_end_ms: 200 });
    assert.equal((await talk.next('conversation.item.truncated')).item_id, reply);
    for (const [itemId, sound] of [[turn, said], [reply, said.subarray(0, 9600)]]) {
      talk.send('conversation.item.retrieve', { item_id: itemId });
      const [part] = (await talk.next('conversation.item.retrieved')).item.content;
      assert.ok(Buffer.from(part.audio, 'base64').equals(sound));
    }
    talk.send('conversation.item.delete', { item_id: 'mine' });
    assert.equal((await talk.next('conversation.item.deleted')).item_id, 'mine');
    talk.send('conversation.item.delete', { item_id: 'mine', event_id: 'again' });
    assert.equal((await talk.refused('again'))[0], 'item_delete_invalid_item_id');
  },

  async errors() {
    const talk = await talking(endpoint, TRANSCRIPTION);
    await talk.transcribe();
    talk.send('input_audio_buffer.commit', { event_id: 'a' });
    assert.deepEqual(await talk.refused('a'), ['input_audio_buffer_commit_empty', null]);
    talk.append(said.subarray(0, 2400));
    talk.send('input_audio_buffer.commit', { event_id: 'b' });
    assert.deepEqual(await talk.refused('b'), ['input_audio_buffer_commit_empty', null]);
    talk.send('input_audio_buffer.clear');
    await talk.next('input_audio_buffer.cleared');
    talk.send('no.such.event', { event_id: 'c' });
    assert.deepEqual(await talk.refused('c'), ['invalid_value', 'type']);
    talk.realtime.socket.send('{');
    assert.equal((await talk.refused())[0], 'invalid_json');
    talk.send('input_audio_buffer.append', { audio: '?', event_id: 'd' });
    assert.deepEqual(await talk.refused('d'), ['invalid_value', 'audio']);
    await talk.transcribe();
  },

  async keys() {
    await talking(endpoint);
    const stranger = connect({ ...endpoint, key: 'sk-wrong' }, { model: 'gpt-realtime' });
    assert.equal((await stranger.refused())[0], 'invalid_api_key');
    assert.equal(await stranger.closed, 3000);
  },

  async expiry() {
    const talk = await talking(endpoint, { model: 'gpt-realtime', reconnect: true, reconnectInitialDelay: 10 });
    const reconnected = new Promise((resolve) => talk.realtime.on('reconnected', resolve));
    assert.equal((await talk.refused())[0], 'session_expired');
    assert.equal(await talk.closed, 1001);
    await talk.next('session.created');
    await reconnected;
    await talk.converse();
    talk.realtime.close();
  },

  agents: () => conversation(endpoint),
};

async function verdict(name) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done after ${DEADLINE_MS} ms`)), DEADLINE_MS);
  });
  try {
    await Promise.race([scenarios[name](), late]);
    return { scenario: name, ok: true };
  } catch (error) {
    return { scenario: name, ok: false, reason: error.message };
  } finally {
    clearTimeout(timer);
    hangUp();
  }
}

for (const name of endpoint.scenarios ?? Object.keys(scenarios)) console.log(JSON.stringify(await verdict(name)));
process.exit();
