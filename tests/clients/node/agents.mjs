// A voice agent made with the official agents package, which validates what it is told and drops what it cannot use.

import assert from 'node:assert/strict';

import { OpenAIRealtimeWebSocket, RealtimeAgent, RealtimeSession, tool } from '@openai/agents-realtime';
import { z } from 'zod';

/** What it does with the text of an event; the package keeps this to itself. */
const { parseRealtimeEvent } = await import(
  new URL('openaiRealtimeEvents.mjs', import.meta.resolve('@openai/agents-realtime'))
);

/** It asks what time it is; the agent calls its tool, and says what the tool said. */
export async function conversation({ url, key }) {
  const asked = [];
  const clock = tool({
    name: 'clock',
    description: 'The time.',
    parameters: z.object({ zone: z.string() }),
    execute: async ({ zone }) => {
      asked.push(zone);
      return 'five past six';
    },
  });
  const transport = new OpenAIRealtimeWebSocket({ url: `${url.replace('http', 'ws')}/realtime?model=rt-realtime` });
  const session = new RealtimeSession(new RealtimeAgent({ name: 'Clock', tools: [clock] }), { transport });
  const dropped = [];
  transport.on('*', (event) => {
    const { isGeneric } = parseRealtimeEvent({ data: JSON.stringify(event) });
    if (isGeneric) dropped.push(event.type);
  });
  const failed = new Promise((_, reject) => session.on('error', ({ error }) => reject(new Error(JSON.stringify(error)))));
  const said = new Promise((resolve) => session.on('agent_end', (_context, _agent, text) => text && resolve(text)));
  await Promise.race([session.connect({ apiKey: key }), failed]);
  session.sendMessage('What time is it?');
  assert.equal(await Promise.race([said, failed]), 'It is five past six.');
  assert.deepEqual(asked, ['UTC']);
  assert.deepEqual(dropped, []);
  session.close();
}
