// What a program saw of the answers, as one JSON object on standard output.
export async function print(calls) {
  const seen = {};
  for (const [name, call] of Object.entries(calls)) {
    const { data, error, count, status } = await call();
    seen[name] = { data, error, count, status };
  }
  console.log(JSON.stringify(seen));
}
