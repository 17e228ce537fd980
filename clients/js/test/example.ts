// Compiled only: the types say what the calls take and give.
import { Holdfast, HoldfastError, pages, type BackupView } from '../client.js';

const client = new Holdfast({ host: 'http://127.0.0.1:8080', token: 'hft_example' });
const at = { projectId: 'shop', addonId: 'orders' };

export async function example(): Promise<string[]> {
  const made: BackupView = await client.createBackup({ ...at, body: { backupType: 'dump' } });
  const copies: string[] = made.copies.map((copy) => copy.status);
  for await (const { backups } of pages((args) => client.listBackups({ ...at, ...args }))) {
    copies.push(...backups.map((backup) => backup.config.size));
  }
  const file: Response = await client.files({ ...at, backupId: made.id });
  try {
    await client.repair({ ...at, backupId: made.id });
  } catch (error) {
    if (error instanceof HoldfastError) copies.push(error.message, String(error.status));
  }
  // @ts-expect-error: there is no such kind of backup
  await client.createBackup({ ...at, body: { backupType: 'copy' } });
  // @ts-expect-error: the addon is missing
  await client.listBackups({ projectId: 'shop' });
  return [...copies, String(file.status)];
}
