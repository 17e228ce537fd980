// Against a running Holdfast: HOLDFAST_HOST and HOLDFAST_TOKEN say which, HOLDFAST_FILE a database.
import assert from 'node:assert/strict';
import test from 'node:test';
import { Holdfast, HoldfastError, pages } from '../client.js';

const { HOLDFAST_HOST: host, HOLDFAST_TOKEN: token, HOLDFAST_FILE: file } = process.env;
const client = new Holdfast({ host, token });
const refusal = (call) => call.then(assert.fail, (error) => error);

test('a backup is made, proven and downloaded', async () => {
  const project = await client.createProject({ body: { name: 'From js' } });
  const order = { name: 'Js file', type: 'sqlite', connectionString: `sqlite://${file}` };
  const addon = await client.createAddon({ projectId: project.id, body: order });
  const at = { projectId: project.id, addonId: addon.id };
  const { id } = await client.createBackup({ ...at, body: { backupType: 'dump', name: 'js one' } });
  const one = { ...at, backupId: id };
  let backup = await client.getBackup(one);
  while (['scheduled', 'in-progress'].includes(backup.status)) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    backup = await client.getBackup(one);
  }
  assert.equal(backup.status, 'completed');
  assert.ok((await client.getEvidence(one)).manifestSha256);
  const link = new URL((await client.downloadLink(one)).downloadLink);
  const response = await client.download({
    uid: backup.uid,
    name: link.pathname.split('/').pop(),
    ...Object.fromEntries(link.searchParams),
  });
  assert.ok((await response.arrayBuffer()).byteLength > 0);
  const plan = await client.getAddonPlan(at);
  assert.deepEqual(plan.copies.map((copy) => copy.backupId), [id]);
});

test('an upload goes as bytes', async () => {
  const at = { projectId: 'from-js', addonId: 'js-file' };
  const upload = await client.beginUpload({ ...at, body: { size: 5 } });
  const part = { ...at, uploadId: upload.id, offset: 0, body: new Uint8Array([1, 2, 3, 4, 5]) };
  assert.equal((await client.putPart(part)).received, 5);
  assert.deepEqual(await client.dropUpload({ ...at, uploadId: upload.id }), {});
});

test('every page comes once', async () => {
  for (const name of ['Page one', 'Page two', 'Page three']) {
    await client.createProject({ body: { name } });
  }
  const seen = [];
  for await (const { projects } of pages((args) => client.listProjects(args), { per_page: 2 })) {
    assert.ok(projects.length <= 2);
    seen.push(...projects.map((project) => project.id));
  }
  assert.equal(new Set(seen).size, seen.length);
  assert.ok(seen.includes('page-one') && seen.includes('page-three'));
});

test('an error has its sentence, its code and its fields', async () => {
  const missing = await refusal(client.getProject({ projectId: 'no/such' }));
  assert.ok(missing instanceof HoldfastError);
  assert.equal(missing.status, 404);
  const invalid = await refusal(client.createProject({ body: { name: 'a' } }));
  assert.deepEqual([invalid.status, Object.keys(invalid.details)], [400, ['name']]);
  const stranger = new Holdfast({ host, token: 'hft_nobody' });
  assert.equal((await refusal(stranger.about())).status, 401);
  const nobody = new Holdfast({ host: 'http://127.0.0.1:1', token });
  assert.equal((await refusal(nobody.about())).status, 0);
});

test('what a call does not know, or lacks, is never sent', async () => {
  const strange = await refusal(client.getProject({ projectId: 'a', projectid: 'b' }));
  assert.ok(strange instanceof TypeError);
  for (const projectId of [undefined, '', '..']) {
    assert.ok((await refusal(client.getProject({ projectId }))) instanceof TypeError);
  }
});
