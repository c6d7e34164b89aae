// All operations with the client that @hey-api/openapi-ts made of openapi.yaml.
import * as api from "./api";
import { client } from "./api/client.gen";

const { SUPABASE_URL, SUPABASE_KEY, QUEUE: queue_name = "" } = process.env;
client.setConfig({
  baseUrl: `${SUPABASE_URL}/rest/v1`,
  auth: (scheme) => (scheme.type === "apiKey" ? SUPABASE_KEY : undefined),
  throwOnError: false,
});
const headers = { "Content-Profile": "pgmq_public" } as const;
const path = { queue: queue_name };

function had<T>(answer: { data?: T; error?: unknown }): T {
  if (answer.data === undefined) throw new Error(JSON.stringify(answer.error));
  return answer.data;
}

function brief(found: api.MessageRecord[]): [number, unknown][] {
  return found.map((message) => [message.msg_id, message.message]);
}

async function functions() {
  const sent: number[] = had(await api.send({ headers, body: { queue_name, message: { hello: "world" } } }));
  const messages = [{ n: 2 }, "three"];
  const sentBatch: number[] = had(await api.sendBatch({ headers, body: { queue_name, messages } }));
  const lease = { queue_name, sleep_seconds: 60, n: 1 };
  const read: api.MessageRecord[] = had(await api.read({ headers, body: lease }));
  const archived: boolean = had(await api.archive({ headers, body: { queue_name, message_id: 1 } }));
  const again: boolean = had(await api.archive({ headers, body: { queue_name, message_id: 1 } }));
  const popped: api.MessageRecord[] = had(await api.pop({ headers, body: { queue_name } }));
  const deleted: boolean = had(await api.delete_({ headers, body: { queue_name, message_id: "3" } }));
  return { sent, sentBatch, read: brief(read), archived, again, popped: brief(popped), deleted };
}

async function resources() {
  const sent = had(await api.sendMessage({ path, body: { via: "resources" } }));
  const read: api.Message[] = had(await api.readMessages({ path, query: { n: 1, sleep_seconds: 60 } }));
  const archived: true = had(await api.archiveMessage({ path: { ...path, message_id: 4 } }));
  const batch = had(await api.sendMessage({ path, body: { messages: [5, 6] } }));
  const popped: api.Message[] = had(await api.popMessage({ path }));
  const deleted: true = had(await api.deleteMessage({ path: { ...path, message_id: 6 } }));
  const entries = had(await api.sendMessage({ path, body: { entries: [{ message: 7 }] } }));
  const leased: api.Message[] = had(await api.readMessages({ path, query: { n: 1 } }));
  const acks = leased.map(({ receipt }) => receipt ?? "");
  const settled = had(await api.settleMessages({ path, body: { acks } }));
  const outcomes: string[] = settled.map(({ outcome }) => outcome);
  return { sent, read: brief(read), archived, batch, popped: brief(popped), deleted, entries, outcomes };
}

async function refusals() {
  const gone = await api.deleteMessage({ path: { ...path, message_id: 6 } });
  const nowhere = await api.pop({ headers, body: { queue_name: "nowhere" } });
  const wrong = await api.archive({ headers, body: { queue_name, message_id: "one" } });
  return [gone, nowhere, wrong].map(({ error, response }) => [
    response?.status,
    error !== undefined && "code" in error ? error.code : null,
  ]);
}

// What the types keep from being written.
export const mistakes = [
  // @ts-expect-error the schema must be named
  () => api.pop({ headers: {}, body: { queue_name } }),
  // @ts-expect-error pop has no such argument
  () => api.pop({ headers, body: { queue_name, n: 1 } }),
  // @ts-expect-error the queue is missing
  () => api.readMessages({}),
];

async function main() {
  const seen = { functions: await functions(), resources: await resources(), refusals: await refusals() };
  await api.send({ headers, body: { queue_name, message: null, sleep_seconds: 600 } });
  console.log(JSON.stringify(seen));
}

void main();
