// A user who is known by a token, handed over in one of two ways: "accessToken" or "headers".
import { createClient } from "@supabase/supabase-js";
import { print } from "./seen.mjs";

const { SUPABASE_URL, SUPABASE_KEY, USER_TOKEN, QUEUE: queue_name, WAY } = process.env;
const options =
  WAY === "accessToken"
    ? { accessToken: async () => USER_TOKEN }
    : { global: { headers: { Authorization: `Bearer ${USER_TOKEN}` } } };
const db = createClient(SUPABASE_URL, SUPABASE_KEY, options).schema("pgmq_public");

await print({
  sendOwn: () => db.rpc("send", { queue_name, message: { owner: "alice" } }),
  sendForeign: () => db.rpc("send", { queue_name, message: { owner: "bob" } }),
  read: () => db.rpc("read", { queue_name, sleep_seconds: 0, n: 10 }),
});
