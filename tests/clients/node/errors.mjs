// The errors that a program meets, as the client hands them on.
import { createClient } from "@supabase/supabase-js";
import { print } from "./seen.mjs";

const { SUPABASE_URL, SUPABASE_KEY, QUEUE: queue_name } = process.env;
const client = createClient(SUPABASE_URL, SUPABASE_KEY);
const db = client.schema("pgmq_public");

await print({
  noSuchFunction: () => db.rpc("nosuch"),
  noSuchArgument: () => db.rpc("pop", { queue: queue_name }),
  noSuchQueue: () => db.rpc("send", { queue_name: "no-such-queue", message: 1 }),
  noSuchSchema: () => client.schema("nosuch").rpc("pop", { queue_name }),
  notAnInteger: () => db.rpc("delete", { queue_name, message_id: "x" }),
  get: () => db.rpc("pop", { queue_name }, { get: true }),
  head: () => db.rpc("pop", { queue_name }, { head: true }),
  headWithObject: () => db.rpc("send", { queue_name, message: { n: 1 } }, { head: true }),
  badKey: () => createClient(SUPABASE_URL, "a.b.c").schema("pgmq_public").rpc("pop", { queue_name }),
  thrown: () => db.rpc("nosuch").throwOnError().then(null, (thrown) => ({ error: thrown.toJSON() })),
});
