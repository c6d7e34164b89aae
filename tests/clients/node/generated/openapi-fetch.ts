// All operations with openapi-fetch, on the types that openapi-typescript made of openapi.yaml.
import createClient from "openapi-fetch";
import type { components, paths } from "./api";

type Popped = components["schemas"]["message_record"];
type Message = components["schemas"]["message"];

const { SUPABASE_URL, SUPABASE_KEY = "", QUEUE: queue_name = "" } = process.env;
const api = createClient<paths>({ baseUrl: `${SUPABASE_URL}/rest/v1`, headers: { apikey: SUPABASE_KEY } });
const header = { "Content-Profile": "pgmq_public" } as const;
const params = { header };
const messages = { path: { queue: queue_name } };

function had<T>(answer: { data?: T; error?: unknown }): T {
  if (answer.data === undefined) throw new Error(JSON.stringify(answer.error));
  return answer.data;
}

function brief(found: Popped[]): [number, unknown][] {
  return found.map((message) => [message.msg_id, message.message]);
}

function one(message_id: number) {
  return { path: { queue: queue_name, message_id } };
}

async function functions() {
  const message = { hello: "world" };
  const sent: number[] = had(await api.POST("/rpc/send", { params, body: { queue_name, message } }));
  const batch = { queue_name, messages: [{ n: 2 }, "three"] };
  const sentBatch: number[] = had(await api.POST("/rpc/send_batch", { params, body: batch }));
  const lease = { queue_name, sleep_seconds: 60, n: 1 };
  const read: Popped[] = had(await api.POST("/rpc/read", { params, body: lease }));
  const archived: boolean = had(await api.POST("/rpc/archive", { params, body: { queue_name, message_id: 1 } }));
  const again: boolean = had(await api.POST("/rpc/archive", { params, body: { queue_name, message_id: 1 } }));
  const popped: Popped[] = had(await api.POST("/rpc/pop", { params, body: { queue_name } }));
  const deleted: boolean = had(await api.POST("/rpc/delete", { params, body: { queue_name, message_id: "3" } }));
  return { sent, sentBatch, read: brief(read), archived, again, popped: brief(popped), deleted };
}

async function resources() {
  const place = "/queues/{queue}/messages";
  const body = { via: "resources" };
  const sent = had(await api.POST(place, { params: messages, body }));
  const query = { n: 1, sleep_seconds: 60 };
  const read: Message[] = had(await api.GET(place, { params: { ...messages, query } }));
  const archived: true = had(await api.POST(`${place}/{message_id}/archive`, { params: one(4) }));
  const batch = had(await api.POST(place, { params: messages, body: { messages: [5, 6] } }));
  const popped: Message[] = had(await api.POST(`${place}/pop`, { params: messages }));
  const deleted: true = had(await api.DELETE(`${place}/{message_id}`, { params: one(6) }));
  const entries = had(await api.POST(place, { params: messages, body: { entries: [{ message: 7 }] } }));
  const leased: Message[] = had(await api.GET(place, { params: { ...messages, query } }));
  const acks = leased.map(({ receipt }) => receipt ?? "");
  const settled = had(await api.POST("/queues/{queue}/settle", { params: messages, body: { acks } }));
  const outcomes: string[] = settled.map(({ outcome }) => outcome);
  return { sent, read: brief(read), archived, batch, popped: brief(popped), deleted, entries, outcomes };
}

async function refusals() {
  const place = "/queues/{queue}/messages/{message_id}";
  const gone = await api.DELETE(place, { params: one(6) });
  const nowhere = await api.POST("/rpc/pop", { params, body: { queue_name: "nowhere" } });
  const wrong = await api.POST("/rpc/archive", { params, body: { queue_name, message_id: "one" } });
  return [gone, nowhere, wrong].map(({ error, response }) => [
    response.status,
    error !== undefined && "code" in error ? error.code : null,
  ]);
}

// What the types keep from being written.
export const mistakes = [
  // @ts-expect-error the schema must be named
  () => api.POST("/rpc/pop", { params: { header: {} }, body: { queue_name } }),
  // @ts-expect-error a queue's name is text
  () => api.POST("/rpc/pop", { params, body: { queue_name: 1 } }),
  // @ts-expect-error the queue is missing
  () => api.GET("/queues/{queue}/messages"),
];

async function main() {
  const seen = { functions: await functions(), resources: await resources(), refusals: await refusals() };
  await api.POST("/rpc/send", { params, body: { queue_name, message: null, sleep_seconds: 600 } });
  console.log(JSON.stringify(seen));
}

void main();
