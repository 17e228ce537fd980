// Drives the official JavaScript client: one JSON command per line in, one JSON result per line out.
//
//   {"call": "get.addon.backups", "with": {"parameters": {...}, "options": {...}, "data": {...}}}
//   {"all":  "get.addon.backups", "with": {...}}      every page, as the client joins them
//   {"pages": "get.addon.backups", "with": {...}}     page after page through getNextPage()
//   {"tail": "get.addon.backup.logTail", "with": {...}}  every event until the end
//   {"tail": "get.addon.logTail", "with": {...}, "until": "text"}  until a line has the text
import readline from 'node:readline';
import { ApiClient, ApiClientInMemoryContextProvider } from '@northflank/js-client';

const [host, token, mode] = process.argv.slice(2);
const contexts = new ApiClientInMemoryContextProvider();
await contexts.addContext({ name: 'holdfast', host, token });
const client = new ApiClient(contexts, { throwErrorOnHttpErrorCode: mode === 'throws' });

const found = (path) => path.split('.').reduce((at, name) => at[name], client);

const shown = (result) => ({
  data: result.data,
  error: result.error,
  pagination: result.pagination && {
    hasNextPage: result.pagination.hasNextPage,
    count: result.pagination.count,
    cursor: result.pagination.cursor,
  },
  status: result.rawResponse?.status,
  url: result.request?.url,
});

async function pages(path, args) {
  const all = [];
  let result = await found(path)(args);
  for (;;) {
    all.push(shown(result));
    if (result.error || !result.pagination?.hasNextPage) return all;
    result = await result.pagination.getNextPage();
  }
}

async function tail(path, args, until) {
  const events = [];
  const logs = await found(path)(args);
  const closed = new Promise((resolve) => {
    for (const name of ['open', 'logs-received', 'error', 'close']) {
      logs.on(name, (payload) => {
        const data = payload instanceof Error ? { message: payload.message } : payload;
        events.push({ name, data: name === 'open' || name === 'close' ? undefined : data });
        if (name === 'close') resolve();
        if (until && JSON.stringify(data ?? '').includes(until)) logs.stop().then(resolve, resolve);
      });
    }
  });
  try {
    await logs.start();
    await closed;
  } catch (error) {
    events.push({ name: 'refused', data: { message: error.message } });
  }
  return { events };
}

async function answer({ call, all, pages: through, tail: follow, with: args, until }) {
  if (call) return shown(await found(call)(args));
  if (all) return shown(await found(all).all(args));
  if (through) return { pages: await pages(through, args) };
  return tail(follow, args, until);
}

for await (const line of readline.createInterface({ input: process.stdin })) {
  let result;
  try {
    result = await answer(JSON.parse(line));
  } catch (error) {
    const { name, status, message, id, details } = error;
    result = { thrown: { name, status, message, id, details } };
  }
  process.stdout.write(`${JSON.stringify(result)}\n`);
}
process.exit(0);
