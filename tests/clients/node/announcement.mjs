// The program that Supabase announced its queues with: the schema as an option of the client, then one send.
import { createClient } from "@supabase/supabase-js";

const url = process.env.SUPABASE_URL;
const key = process.env.SUPABASE_KEY;

const queues = createClient(url, key, {
  db: { schema: "pgmq_public" },
});

const { data, error } = await queues.rpc("send", {
  queue_name: "foo",
  message: { hello: "world" },
});

console.log(JSON.stringify({ data, error }));
