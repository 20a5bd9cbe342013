// `@openai/agents-realtime` over its own WebSocket transport, driven by lines of JSON.
// In: {"say": base64 PCM16 at 24,000 Hz}; the end of the input ends the session.
// Out: what the session told, one object a line, `kind` first.

import { createInterface } from 'node:readline';
import { OpenAIRealtimeWebSocket, RealtimeAgent, RealtimeSession, tool } from '@openai/agents-realtime';
import { z } from 'zod';

const setup = JSON.parse(process.argv[2]);
const tell = (kind, fields = {}) => process.stdout.write(`${JSON.stringify({ kind, ...fields })}\n`);

const getWeather = tool({
  name: 'get_weather',
  description: setup.toolDescription,
  parameters: z.object({ city: z.string() }),
  execute: async ({ city }) => {
    tell('tool', { name: 'get_weather', arguments: { city } });
    return setup.toolAnswer.replace('{city}', city);
  },
});

const agent = new RealtimeAgent({ name: 'Shop', instructions: setup.instructions, tools: [getWeather] });
const transport = new OpenAIRealtimeWebSocket();
const session = new RealtimeSession(agent, { transport, model: setup.model, config: setup.config });

// An event that the SDK's own schemas refuse is told as `*` and by no name of its own.
const seen = new Map();
const named = new Map();
const count = (counts, type) => counts.set(type, (counts.get(type) ?? 0) + 1);
transport.on('*', ({ type }) => {
  if (!seen.has(type)) {
    transport.on(type, () => count(named, type));
  }
  count(seen, type);
});

const users = new Set();
session.on('history_updated', (history) => {
  for (const item of history) {
    if (item.type !== 'message' || item.role !== 'user' || users.has(item.itemId)) continue;
    const text = item.content.map((part) => part.transcript ?? '').join('');
    if (text) {
      users.add(item.itemId);
      tell('user', { text });
    }
  }
});
session.on('audio', ({ data, responseId }) => {
  tell('audio', { responseId, pcm: Buffer.from(data).toString('base64') });
});
session.on('audio_interrupted', () => tell('interrupted'));
session.on('error', ({ error }) => tell('error', { message: error?.stack ?? JSON.stringify(error) }));
transport.on('turn_done', ({ response }) => {
  const parts = response.output.flatMap((item) => (item.type === 'message' ? item.content : []));
  tell('ended', { responseId: response.id, text: parts.map((part) => part.transcript ?? '').join('') });
});

await session.connect({ url: setup.url, apiKey: setup.apiKey });
tell('connected');

for await (const line of createInterface({ input: process.stdin })) {
  const pcm = Buffer.from(JSON.parse(line).say, 'base64');
  for (let start = 0; start < pcm.length; start += setup.chunkBytes) {
    session.sendAudio(new Uint8Array(pcm.subarray(start, start + setup.chunkBytes)).buffer);
  }
}

const unparsed = [...seen].filter(([type, times]) => named.get(type) !== times).map(([type]) => type);
tell('closing', { unparsed });
session.close();
