// All six functions, with the schema named in one of the two ways that supabase-js has: "schema" or "option".
import { createClient } from "@supabase/supabase-js";
import { print } from "./seen.mjs";

const { SUPABASE_URL, SUPABASE_KEY, QUEUE: queue_name, WAY } = process.env;
const db =
  WAY === "schema"
    ? createClient(SUPABASE_URL, SUPABASE_KEY).schema("pgmq_public")
    : createClient(SUPABASE_URL, SUPABASE_KEY, { db: { schema: "pgmq_public" } });

await print({
  send: () => db.rpc("send", { queue_name, message: { text: "é￥😀", n: 1 } }),
  sendLater: () => db.rpc("send", { queue_name, message: null, sleep_seconds: 600 }),
  sendBatch: () => db.rpc("send_batch", { queue_name, messages: [{ n: 3 }, "four", null] }),
  read: () => db.rpc("read", { queue_name, sleep_seconds: 60, n: 2 }),
  archive: () => db.rpc("archive", { queue_name, message_id: 1 }),
  archiveAgain: () => db.rpc("archive", { queue_name, message_id: 1 }),
  delete: () => db.rpc("delete", { queue_name, message_id: 3 }),
  deleteAgain: () => db.rpc("delete", { queue_name, message_id: 3 }),
  pop: () => db.rpc("pop", { queue_name }),
});
