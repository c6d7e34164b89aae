// All six functions by a caller who may do nothing: SUPABASE_KEY alone, or with a user's token.
import { createClient } from "@supabase/supabase-js";
import { print } from "./seen.mjs";

const { SUPABASE_URL, SUPABASE_KEY, USER_TOKEN, QUEUE: queue_name } = process.env;
const headers = USER_TOKEN ? { Authorization: `Bearer ${USER_TOKEN}` } : {};
const db = createClient(SUPABASE_URL, SUPABASE_KEY, { global: { headers } }).schema("pgmq_public");

await print({
  send: () => db.rpc("send", { queue_name, message: 1 }),
  send_batch: () => db.rpc("send_batch", { queue_name, messages: [1, 2] }),
  read: () => db.rpc("read", { queue_name, sleep_seconds: 60, n: 1 }),
  pop: () => db.rpc("pop", { queue_name }),
  archive: () => db.rpc("archive", { queue_name, message_id: 1 }),
  delete: () => db.rpc("delete", { queue_name, message_id: 1 }),
});
