// What the client makes of no answer, of one, of too many, and of ids that a double cannot hold.
import { createClient } from "@supabase/supabase-js";
import { print } from "./seen.mjs";

const { SUPABASE_URL, SUPABASE_KEY, QUEUE: queue_name, FIRST_ID } = process.env;
const db = createClient(SUPABASE_URL, SUPABASE_KEY).schema("pgmq_public");
const first = BigInt(FIRST_ID);

await print({
  readNothing: () => db.rpc("read", { queue_name, sleep_seconds: 0, n: 1 }),
  popNothing: () => db.rpc("pop", { queue_name }),
  popNothingMaybeSingle: () => db.rpc("pop", { queue_name }).maybeSingle(),
  sendMaybeSingle: () => db.rpc("send", { queue_name, message: "a" }).maybeSingle(),
  sendBatch: () => db.rpc("send_batch", { queue_name, messages: ["b", "c"] }),
  readTooMany: () => db.rpc("read", { queue_name, sleep_seconds: 60, n: 2 }).maybeSingle(),
  archiveBigint: () => db.rpc("archive", { queue_name, message_id: first }),
  deleteBigint: () => db.rpc("delete", { queue_name, message_id: first + 1n }),
  popMaybeSingle: () => db.rpc("pop", { queue_name }).maybeSingle(),
});
