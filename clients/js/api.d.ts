// Made from the API document by tools/js_client.py; changes belong there.

export interface AbortRestoreForm {
  restoreId: string;
}
export interface About {
  name?: string;
  version: string;
  team: string;
  node: string;
}
export interface AdditionalDestination {
  destinationId: string;
  type?: "custom";
  retentionTime?: number;
}
export interface AdditionalDestinationView {
  destinationId: string;
  type?: string;
  retentionTime?: number;
}
export interface AddonConfig {
  versionTag: string;
  lifecycleStatus: string;
  deployment: Deployment;
  networking: Networking;
}
export interface AddonForm {
  description?: string;
  tags?: Array<string>;
  connectionString?: string;
  backupSchedules?: Array<ScheduleForm>;
  pitrEnabled?: boolean;
  name: string;
  type: string;
  version?: string;
  billing?: Billing;
  customCredentials?: CustomCredentials;
  source?: ForkSource;
}
export interface AddonItem {
  id: string;
  name: string;
  appId: string;
  tags: Array<string>;
  description?: string;
  spec: SpecType;
  status: string;
  managed: boolean;
}
export interface AddonList {
  addons: Array<AddonItem>;
}
export interface AddonPatch {
  description?: string;
  tags?: Array<string>;
  connectionString?: string;
  backupSchedules?: Array<ScheduleForm>;
  pitrEnabled?: boolean;
}
export interface AddonPlan {
  project: Owner;
  addon: Owner;
  copies: Array<PlannedCopy>;
}
export interface AddonProbeForm {
  connectionString: string;
}
export interface AddonProbeView {
  flavour: string;
  version: string;
  bytes: string;
}
export interface AddonSpec {
  type: string;
  config: AddonConfig;
}
export interface AddonType {
  type: string;
  name: string;
  description: string;
  features: Features;
  versions: Array<string>;
  major: Array<string>;
  resources: Resources;
  missing?: string;
}
export interface AddonTypes {
  addonTypes: Array<AddonType>;
}
export interface AddonView {
  id: string;
  name: string;
  appId: string;
  tags: Array<string>;
  description?: string;
  spec: AddonSpec;
  status: string;
  managed: boolean;
  createdAt: string;
  updatedAt: string;
  cluster: Cluster;
  type: string;
  version: string;
  billing?: Record<string, unknown>;
  source?: Record<string, unknown>;
  address: Server;
  backupSchedules: Array<ScheduleView>;
  reason?: string;
}
export interface Adopted {
  archives: Array<AdoptedArchive>;
  backups: Array<StoredBackup>;
  problems: Array<AdoptionProblem>;
  next?: string;
}
export interface AdoptedArchive {
  projectId: string;
  addonId: string;
  hasValidWindow: boolean;
  startTimestamp?: string;
  endTimestamp?: string;
}
export interface AdoptionForm {
  passphrase?: string;
  trusted?: boolean;
  after?: string;
}
export interface AdoptionProblem {
  where: string;
  problem: string;
}
export interface AlarmList {
  alarms: Array<AlarmView>;
}
export interface AlarmView {
  id: string;
  kind: string;
  severity: string;
  subject: string;
  reason: string;
  remedy: string;
  projectId?: string;
  addonId?: string;
  since: string;
  openedAt: string;
  updatedAt: string;
  acknowledgedAt?: string;
  acknowledgedBy?: string;
  snoozedUntil?: string;
  closedAt?: string;
  closedBy?: string;
}
export interface Amount {
  copies: number;
  bytes: string;
}
export interface ArchiveForm {
  days?: number;
  intervalSeconds?: number;
  unbounded?: boolean;
}
export interface ArchiveGap {
  startTimestamp: string;
  endTimestamp: string;
  reason: string;
}
export interface ArchiveView {
  enabled: boolean;
  status: string;
  days: number;
  intervalSeconds: number;
  unbounded: boolean;
  slot: string;
  windows: Array<ArchiveWindow>;
  gaps: Array<ArchiveGap>;
  bases: Array<string>;
  reason?: string;
  storedUntil?: string;
  checkedAt?: string;
  behindBytes?: number;
  slackBytes?: number;
  openGap?: OpenArchiveGap;
  oldLogGoesAt?: string;
  oldLogStays?: string;
}
export interface ArchiveWindow {
  startTimestamp: string;
  endTimestamp: string;
}
export interface AssertionForm {
  name: string;
  text: string;
  seconds?: number;
  database?: string;
}
export interface AssertionList {
  assertions: Array<AssertionView>;
}
export interface AssertionView {
  name: string;
  text: string;
  seconds: number;
  database?: string;
}
export interface AssertionsForm {
  assertions: Array<AssertionForm>;
}
export interface AttemptView {
  at: string;
  ok: boolean;
  milliseconds: number;
  answer: string;
}
export interface AuditActor {
  tokenId: string;
  name: string;
  role: string;
}
export interface AuditEntries {
  entries: Array<AuditView>;
}
export interface AuditForm {
  destinationId?: string;
  readData?: boolean;
}
export interface AuditList {
  audits: Array<StoreCheckView>;
}
export interface AuditObject {
  kind: string;
  id: string;
  project?: string;
  addon?: string;
}
export interface AuditView {
  id: string;
  at: string;
  requestId: string;
  address: string;
  actor: AuditActor;
  action: string;
  object: AuditObject;
  before?: Record<string, unknown>;
  after?: Record<string, unknown>;
}
export interface BackupConfig {
  source: BackupSource;
  size: string;
  compressionType?: string;
  additionalDestinations?: Array<AdditionalDestinationView>;
  addonVersion: string;
}
export interface BackupForm {
  backupType?: BackupType;
  compressionType?: Compression;
  customDestinationId?: string;
  additionalDestinations?: Array<AdditionalDestination>;
  name?: string;
  retentionTime?: number;
  maxRate?: number;
  drill?: boolean;
}
export interface BackupList {
  backups: Array<BackupView>;
}
export interface BackupSource {
  type: string;
}
export type BackupType = "dump" | "snapshot";
export interface BackupView {
  id: string;
  name: string;
  uid: string;
  status: string;
  createdAt: string;
  completedAt?: string;
  config: BackupConfig;
  customDestinationId?: string;
  lastRestore?: LastRestore;
  backupType: string;
  retained: boolean;
  reason?: string;
  warnings?: number;
  progress?: Record<string, unknown>;
  schedules?: Array<Cause>;
  expiresAt?: string;
  copies: Array<CopyView>;
}
export interface Billing {
  deploymentPlan: string;
  storage: number;
  replicas: number;
  storageClass?: string;
}
export interface Cause {
  interval: string;
  minute: Array<number>;
  hour?: Array<number>;
  day?: Array<number>;
  id: string;
  retentionTime: number;
}
export interface CausedBackup {
  id: string;
  status: string;
  reason?: string;
  deletedAt?: string;
}
export interface ChangeView {
  timestamp: string;
  position: string;
  tables: Array<TableChangeView>;
  defines: boolean;
  isWhole: boolean;
  transaction?: string;
  statement?: string;
  name?: string;
  line?: string;
}
export interface Changes {
  startTimestamp: string;
  endTimestamp: string;
  changes: Array<ChangeView>;
}
export interface ChannelForm {
  name: string;
  kind: string;
  settings?: Record<string, unknown>;
  severity?: Severity;
  projects?: Array<string>;
  kinds?: Array<holdfast__domain__alarms__rules__Kind>;
  resolved?: boolean;
  digest?: Digest;
}
export interface ChannelList {
  channels: Array<ChannelView>;
}
export interface ChannelPatch {
  name?: string;
  settings?: Record<string, unknown>;
  severity?: Severity;
  projects?: Array<string>;
  kinds?: Array<holdfast__domain__alarms__rules__Kind>;
  resolved?: boolean;
  digest?: Digest;
}
export interface ChannelView {
  id: string;
  name: string;
  kind: string;
  receiver: string;
  severity: string;
  projects?: Array<string>;
  kinds?: Array<string>;
  resolved: boolean;
  digest?: string;
  failing: boolean;
  failures: number;
  problem?: string;
  failingSince?: string;
  nextTryAt?: string;
  deliveredAt?: string;
  createdAt: string;
  updatedAt: string;
}
export interface Choice {
  options: Array<number>;
  default: number;
}
export interface Cluster {
  id: string;
  name: string;
}
export interface Companion {
  id: string;
  interval: string;
}
export type Compression = "gz" | "zstd";
export interface Container {
  name: string;
  createdAt: number;
  updatedAt: number;
  status: string;
}
export interface Containers {
  containers: Array<Container>;
}
export interface CopyView {
  destinationId?: string;
  status: string;
  reason?: string;
  nextTryAt?: string;
  size: string;
  expiresAt?: string;
  readAt?: string;
  lost?: string;
  spoiled?: string;
  deletion?: PendingDeletion;
}
export interface Credentials {
  accessKey: string;
  secretKey: string;
  bucketName: string;
  region: string;
  endpoint: string;
}
export interface CredentialsView {
  secrets: Record<string, string>;
  envs: Record<string, string>;
}
export interface CustomCredentials {
  dbName: string;
}
export interface DeletionList {
  deletions: Array<DeletionView>;
}
export interface DeletionView {
  id: string;
  state: string;
  reason: string;
  projectId?: string;
  addonId?: string;
  backupId?: string;
  destinationId?: string;
  prefix: string;
  createdAt: string;
  dueAt: string;
  begunAt?: string;
  doneAt?: string;
  outcome?: string;
  calledOff?: string;
  tries: number;
  lastError?: string;
  nextTryAt?: string;
}
export interface DeliveryList {
  deliveries: Array<DeliveryView>;
}
export interface DeliveryView {
  id: string;
  channel: string;
  event: string;
  title: string;
  status: string;
  createdAt: string;
  sentAt?: string;
  givenUpAt?: string;
  attempts: Array<AttemptView>;
}
export interface Deployment {
  replicas: number;
  storageClass: string;
  storageSize: number;
  planId: string;
  region: string;
}
export interface DestinationCredentials {
  accessKey: string;
  secretKey: string;
  bucketName: string;
  region: string;
  endpoint: string;
}
export interface DestinationForm {
  maxParts?: number;
  equalParts?: boolean;
  checksum?: "none" | "md5" | "crc32" | "sha256";
  addressing?: "auto" | "path" | "virtual";
  name: string;
  description?: string;
  type: "s3";
  prefix: string;
  credentials: Credentials;
  projectId?: string;
  projects?: Array<string>;
}
export interface DestinationList {
  backupDestinations: Array<DestinationView>;
}
export interface DestinationPatch {
  maxParts?: number;
  equalParts?: boolean;
  checksum?: "none" | "md5" | "crc32" | "sha256";
  addressing?: "auto" | "path" | "virtual";
  name?: string;
  description?: string;
  credentials?: Credentials;
  projects?: Array<string>;
}
export interface DestinationView {
  id: string;
  name: string;
  description?: string;
  type: string;
  prefix: string;
  projectId?: string;
  projects?: Array<string>;
  credentials: DestinationCredentials;
  maxParts?: number;
  equalParts?: boolean;
  checksum?: string;
  addressing?: string;
  createdAt: string;
  updatedAt: string;
}
export type Digest = "daily" | "weekly";
export interface DownloadLink {
  downloadLink: string;
}
export interface DrillFinding {
  name: string;
  verdict: string;
  found: string;
}
export interface DrillForm {
  backupId?: string;
  targetTimestamp?: string;
  keepMinutes?: number;
}
export interface DrillList {
  drills: Array<DrillView>;
}
export interface DrillOpinion {
  passed: boolean;
  note: string;
  by: string;
  at: string;
}
export interface DrillPlanForm {
  scheduled?: boolean;
  afterBackup?: boolean;
  compareContent?: boolean;
}
export interface DrillPlanView {
  scheduled: boolean;
  afterBackup: boolean;
  compareContent: boolean;
}
export interface DrillServer {
  host: string;
  port: number;
  user: string;
  password: string;
  database: string;
  keptUntil: string;
}
export interface DrillStarted {
  drillId: string;
}
export interface DrillView {
  id: string;
  backupId: string;
  targetTimestamp?: string;
  cause: string;
  status: string;
  reason?: string;
  verdict?: string;
  findings: Array<DrillFinding>;
  seconds: Record<string, number>;
  version?: string;
  bytes: string;
  keptUntil?: string;
  opinions: Array<DrillOpinion>;
  createdAt: string;
  completedAt?: string;
  progress?: Record<string, unknown>;
}
export interface Empty {
}
export interface ErrorBody {
  status: number;
  message: string;
  id?: string;
  details?: Record<string, unknown>;
}
export interface ErrorEnvelope {
  error: ErrorBody;
}
export interface EvidenceView {
  provenance: string;
  checks: Array<Record<string, unknown>>;
  warnings: Array<Record<string, unknown>>;
  manifestSha256?: string;
  members?: Array<MemberView>;
  inventory?: Record<string, unknown>;
  snapshot?: string;
  files?: number;
  storedBytes?: number;
  facts?: Record<string, unknown>;
}
export interface Explanation {
  at: string;
  outcome: string;
  sentence: string;
  occurrence?: OccurrenceView;
  mergedWith?: Array<Companion>;
  before?: string;
  after?: string;
}
export interface Features {
  backupsDump: boolean;
  customDBName: boolean;
  forkAddon: boolean;
  importDump: boolean;
  importLive: boolean;
  scaleReplicas: boolean;
  tls: boolean;
  externalAccess: boolean;
  backupsSnapshot: boolean;
  managed: boolean;
  pitr: boolean;
}
export type File = "json" | "html" | "sig";
export interface FindingList {
  findings: Array<FindingView>;
}
export interface FindingView {
  id: string;
  kind: string;
  destinationId?: string;
  prefix: string;
  objects: number;
  bytes: string;
  backupId?: string;
  reason: string;
  createdAt: string;
  seenAt: string;
  settledAt?: string;
  outcome?: string;
}
export interface FinishView {
  texts: Record<string, string>;
  appended: Record<string, string>;
  modes: Record<string, string>;
  steps: Array<string>;
}
export interface ForkSource {
  projectId?: string;
  addonId?: string;
  backupId?: string;
  backupUid?: string;
}
export interface GlobalSource {
  type?: string;
}
export interface HoldForm {
  reason: string;
}
export interface HoldView {
  held: boolean;
  placedAt?: string;
  placedBy?: string;
  reason?: string;
  resumesAt?: string;
  begun: number;
}
export interface ImportForm {
  name?: string;
  connectionString?: string;
  importAllDatabases?: boolean;
  importUrl?: string;
  uploadId?: string;
  compressionType?: Compression;
  customDestinationId?: string;
}
export type Interval = "hourly" | "daily" | "weekly";
export interface KitRepository {
  project: string;
  addon: string;
  url: string;
}
export interface LastRestore {
  restoreTimestamp: string;
  status: string;
  completedAt?: string;
}
export interface LogLine {
  containerId: string;
  log: string;
  ts: string;
}
export interface MarkForm {
  name: string;
}
export interface Marked {
  name: string;
  position: string;
  timestamp: string;
}
export interface MemberView {
  name: string;
  key: string;
  format: string;
  database?: string;
  plainBytes: number;
  plainSha256: string;
  storedBytes: number;
  storedSha256: string;
  facts: Record<string, unknown>;
}
export interface MetricInfo {
  metricId: string;
  metricUnit: string;
}
export interface MetricPoint {
  value: number;
  ts: string;
}
export interface MetricSeries {
  metadata: MetricSource;
  data: Array<MetricPoint>;
}
export interface MetricSource {
  containerId: string;
}
export interface MetricView {
  metricInfo: MetricInfo;
  values: Array<MetricSeries>;
}
export interface MonitorForm {
  name: string;
  everySeconds: number;
  graceSeconds?: number;
}
export interface MonitorList {
  monitors: Array<MonitorView>;
}
export interface MonitorPatch {
  name?: string;
  everySeconds?: number;
  graceSeconds?: number;
}
export interface MonitorView {
  id: string;
  name: string;
  everySeconds: number;
  graceSeconds: number;
  state: string;
  problem?: string;
  since?: string;
  pingedAt?: string;
  signal?: string;
  said?: string;
  startedAt?: string;
  succeededAt?: string;
  dueAt: string;
  createdAt: string;
  updatedAt: string;
}
export interface NetworkForm {
  tlsEnabled?: boolean;
  externalAccessEnabled?: boolean;
}
export interface Networking {
  tlsEnabled: boolean;
  externalAccessEnabled: boolean;
}
export interface NewChannelView {
  id: string;
  name: string;
  kind: string;
  receiver: string;
  severity: string;
  projects?: Array<string>;
  kinds?: Array<string>;
  resolved: boolean;
  digest?: string;
  failing: boolean;
  failures: number;
  problem?: string;
  failingSince?: string;
  nextTryAt?: string;
  deliveredAt?: string;
  createdAt: string;
  updatedAt: string;
  key?: string;
}
export interface NewMonitorView {
  id: string;
  name: string;
  everySeconds: number;
  graceSeconds: number;
  state: string;
  problem?: string;
  since?: string;
  pingedAt?: string;
  signal?: string;
  said?: string;
  startedAt?: string;
  succeededAt?: string;
  dueAt: string;
  createdAt: string;
  updatedAt: string;
  pingUrl: string;
}
export interface NotificationForm {
  name: string;
  type: "RAW_WEBHOOK" | "SLACK" | "DISCORD" | "TEAMS" | "TEAMS_WORKFLOWS";
  webhook: string;
  secret?: string;
  restricted?: boolean;
  restrictions?: Restrictions;
  projects?: Array<string>;
  events: Record<string, boolean>;
}
export interface NotificationItem {
  name: string;
  id: string;
  type: string;
  webhook: string;
  status: NotificationStatus;
  createdAt: string;
  updatedAt: string;
}
export interface NotificationList {
  notificationIntegrations: Array<NotificationItem>;
}
export interface NotificationPatch {
  name?: string;
  webhook?: string;
  secret?: string;
  restricted?: boolean;
  restrictions?: Restrictions;
  projects?: Array<string>;
  events?: Record<string, boolean>;
}
export interface NotificationStatus {
  disabled: boolean;
  timeOfFirstFailedRequest?: string;
  numberOfFailedRequests?: number;
}
export interface NotificationView {
  name: string;
  id: string;
  type: string;
  webhook: string;
  status: NotificationStatus;
  createdAt: string;
  updatedAt: string;
  restricted: boolean;
  restrictions?: Record<string, unknown>;
  projects: Array<string>;
  events: Record<string, boolean>;
}
export interface ObjectiveForm {
  maxAgeMinutes?: number;
  maxRestoreMinutes?: number;
  provenWithinDays?: number;
  places?: number;
}
export interface ObjectiveView {
  maxAgeMinutes?: number;
  maxRestoreMinutes?: number;
  provenWithinDays?: number;
  places?: number;
}
export interface OccurrenceList {
  occurrences: Array<OccurrenceView>;
}
export interface OccurrenceView {
  at: string;
  since?: string;
  count: number;
  outcome: string;
  reason: string;
  decidedAt: string;
  lateSeconds?: number;
  backup?: CausedBackup;
}
export interface OpenArchiveGap {
  startTimestamp: string;
  reason: string;
}
export interface OpinionForm {
  passed: boolean;
  note?: string;
}
export interface Owner {
  id: string;
  name: string;
  deleted?: boolean;
}
export interface Pagination {
  hasNextPage: boolean;
  count: number;
  cursor?: string;
}
export interface PastUpgrade {
  upgradeId: string;
  status: UpgradeState;
  createdAt: string;
  upgradeType: string;
  previousVersion: string;
  newVersion: string;
  completedAt?: string;
}
export interface PendingDeletion {
  at: string;
  reason: string;
  begunAt?: string;
  lastError?: string;
}
export interface PitrWindow {
  hasValidWindow: boolean;
  startTimestamp?: string;
  endTimestamp?: string;
}
export interface PlanList {
  addons: Array<AddonPlan>;
}
export interface PlanTotals {
  addons: number;
  fates: Record<string, Amount>;
}
export interface PlannedCopy {
  backupId: string;
  destinationId?: string;
  status: string;
  size: string;
  createdAt: string;
  expiresAt?: string;
  fate: string;
  reasons: Array<string>;
  deletesAt?: string;
  earliestAt?: string;
  deletion?: Removal;
}
export interface ProbeView {
  works: boolean;
  problem?: string;
  milliseconds: number;
}
export interface ProjectAddon {
  id: string;
  appId: string;
  name: string;
  description?: string;
  spec: SpecType;
}
export interface ProjectForm {
  name: string;
  description?: string;
  color?: string;
  region?: string;
  clusterId?: string;
}
export interface ProjectItem {
  id: string;
  name: string;
  description?: string;
}
export interface ProjectList {
  projects: Array<ProjectItem>;
}
export interface ProjectPatch {
  name?: string;
  description?: string;
  color?: string;
}
export interface ProjectResult {
  id: string;
  name: string;
  description?: string;
  color?: string;
  region?: string;
  clusterId?: string;
  createdAt: string;
  updatedAt: string;
}
export interface ProjectView {
  id: string;
  name: string;
  description?: string;
  deployment: Region;
  createdAt: string;
  services?: Array<Record<string, unknown>>;
  jobs?: Array<Record<string, unknown>>;
  addons: Array<ProjectAddon>;
  cluster: Cluster;
}
export interface ProtectedAddon {
  id: string;
  name: string;
  type: string;
  projectId: string;
}
export interface ProtectionDay {
  date: string;
  due: number;
  good: number;
  failed: number;
  missed: number;
}
export interface ProtectionItem {
  addon: ProtectedAddon;
  state: string;
  since?: string;
  reasons: Array<ProtectionReason>;
  firstGoodAt?: string;
  lastGoodAt?: string;
  lastRecoverableAt?: string;
  nextDueAt?: string;
  maxAgeMinutes?: number;
  provenAt?: string;
  proofSeconds?: number;
  places: number;
  bytes: string;
}
export interface ProtectionReason {
  sentence: string;
  since: string;
}
export interface ProtectionView {
  addon: ProtectedAddon;
  state: string;
  since?: string;
  reasons: Array<ProtectionReason>;
  firstGoodAt?: string;
  lastGoodAt?: string;
  lastRecoverableAt?: string;
  nextDueAt?: string;
  maxAgeMinutes?: number;
  provenAt?: string;
  proofSeconds?: number;
  places: number;
  bytes: string;
  objective: ObjectiveView;
  days: Array<ProtectionDay>;
}
export interface ProtectionWall {
  addons: Array<ProtectionItem>;
  counts: Record<string, number>;
}
export interface PruneAnswer {
  marked: number;
  calledOff: number;
  expired: number;
}
export interface PruneForm {
  share?: number;
}
export interface RecoveryForm {
  targetTimestamp?: string;
  beforeTransaction?: string;
  withTransaction?: string;
  targetPosition?: string;
  targetName?: string;
  line?: string;
  inclusive?: boolean;
}
export interface RecoveryKit {
  passphrase: string;
  repositories: Array<KitRepository>;
}
export interface RecoveryStarted {
  id: string;
  name: string;
  uid: string;
  status: string;
  createdAt: string;
  completedAt?: string;
  config: BackupConfig;
  customDestinationId?: string;
  lastRestore?: LastRestore;
  backupType: string;
  retained: boolean;
  reason?: string;
  warnings?: number;
  progress?: Record<string, unknown>;
  schedules?: Array<Cause>;
  expiresAt?: string;
  copies: Array<CopyView>;
  restoreId: string;
}
export interface Reference {
  id: string;
  name: string;
}
export interface Region {
  region: string;
}
export interface Removal {
  reason: string;
  dueAt: string;
  begunAt?: string;
  tries: number;
  lastError?: string;
  nextTryAt?: string;
}
export interface ReportForm {
  from: string;
  to?: string;
  projectId?: string;
}
export interface ReportList {
  reports: Array<ReportView>;
}
export interface ReportView {
  number: number;
  projectId?: string;
  startTime: string;
  endTime: string;
  madeAt: string;
  madeBy: string;
  sha256: string;
  htmlSha256: string;
  bytes: string;
  htmlBytes: string;
  previousSha256?: string;
  previousOfScope?: number;
  keySha256: string;
  signature: string;
}
export interface ResetForm {
  secondFactors?: boolean;
}
export interface Resources {
  storage: Choice;
  replicas: Choice;
}
export interface RestoreForm {
  replace?: boolean;
  trusted?: boolean;
  acceptDifferences?: Array<string>;
  skipFailedObjects?: boolean;
  keepOldHours?: number;
  locale?: string;
}
export interface RestoreList {
  restores: Array<RestoreView>;
}
export interface RestoreStarted {
  restoreId: string;
}
export interface RestoreView {
  id: string;
  backupId: string;
  status: string;
  restoreTimestamp: string;
  completedAt?: string;
  reason?: string;
  report?: Record<string, unknown>;
  oldDataUntil?: string;
  undoes?: string;
  progress?: Record<string, unknown>;
}
export interface Restrictions {
  tags?: TagRestriction;
}
export interface RoleForm {
  name: string;
  permissions: Array<string>;
}
export interface RoleList {
  roles: Array<RoleView>;
}
export interface RolePatch {
  name?: string;
  permissions?: Array<string>;
}
export interface RoleView {
  id: string;
  name: string;
  permissions: Array<string>;
  builtIn: boolean;
}
export interface SampleView {
  connectionString: string;
}
export interface ScaleForm {
  deploymentPlan?: string;
  storage?: number;
  replicas?: number;
}
export interface ScheduleForm {
  backupType: BackupType;
  compressionType?: Compression;
  customDestinationId?: string;
  additionalDestinations?: Array<AdditionalDestination>;
  scheduling: SchedulingForm;
  retentionTime: number;
}
export interface ScheduleList {
  schedules: Array<ScheduleView>;
}
export interface ScheduleMade {
  id: string;
}
export interface SchedulePatch {
  retentionTime: number;
}
export interface SchedulePauseForm {
  reason?: string;
}
export interface ScheduleView {
  id: string;
  backupType: string;
  backupCompressionType?: string;
  additionalDestinations?: Array<AdditionalDestinationView>;
  customDestinationId?: string;
  scheduling: SchedulingView;
  retentionTime: number;
  createdAt: string;
  updatedAt: string;
  nextAt?: string;
  pausedAt?: string;
  pausedBy?: string;
  pauseReason?: string;
}
export interface SchedulingForm {
  interval: Interval;
  minute: Array<number>;
  hour?: Array<number>;
  day?: Array<number>;
}
export interface SchedulingView {
  interval: string;
  minute: Array<number>;
  hour?: Array<number>;
  day?: Array<number>;
}
export interface SecurityForm {
  ipPolicies?: Array<unknown>;
}
export interface Server {
  host: string;
  port: number;
  database: string;
  user: string;
}
export interface SessionList {
  sessions: Array<SessionView>;
}
export interface SessionView {
  id: string;
  by: string;
  userId?: string;
  tokenId?: string;
  method: string;
  address: string;
  program: string;
  createdAt: string;
  lastSeenAt: string;
}
export type Severity = "critical" | "warning" | "info";
export interface SnoozeForm {
  minutes: number;
}
export interface SpecType {
  type: string;
}
export type State = "unprotected" | "no plan" | "at risk" | "paused" | "protected";
export type Status = "scheduled" | "in-progress" | "completed" | "aborting" | "aborted" | "failed" | "not-supported";
export interface StoreCheckView {
  destinationId?: string;
  dueAt: string;
  endedAt?: string;
  problem?: string;
}
export interface StoredBackup {
  id: string;
  name: string;
  uid: string;
  status: string;
  project: Reference;
  addon: Reference;
  config: StoredConfig;
  reason?: string;
  schedules?: Array<SchedulingView>;
  expiredBy?: number;
  createdAt: string;
  completedAt?: string;
}
export interface StoredConfig {
  addonVersion?: string;
  addonType?: string;
  source?: GlobalSource;
  size: string;
}
export interface TableChangeView {
  database: string;
  table: string;
  inserted: number;
  updated: number;
  deleted: number;
  removed: boolean;
}
export interface TagRestriction {
  enabled?: boolean;
  items?: Array<string>;
  matchCondition?: string;
}
export interface Team {
  id: string;
  name: string;
}
export interface TeamList {
  teams: Array<Team>;
}
export interface TokenForm {
  name: string;
  role: string;
  projects?: Array<string>;
  expiresInDays?: number;
}
export interface TokenList {
  tokens: Array<TokenView>;
}
export interface TokenView {
  id: string;
  name: string;
  role: string;
  projects?: Array<string>;
  createdAt: string;
  expiresAt?: string;
  lastUsedAt?: string;
  revokedAt?: string;
  token?: string;
}
export interface UndoRestoreForm {
  restoreId: string;
}
export interface Upcoming {
  at: string;
}
export interface UpcomingList {
  occurrences: Array<Upcoming>;
}
export interface Upgrade {
  version: string;
  type: string;
}
export interface UpgradeState {
  status: string;
}
export interface UploadForm {
  size?: number;
  sha256?: string;
}
export interface UploadView {
  id: string;
  received: number;
  size?: number;
  partSize: number;
}
export interface UserForm {
  name: string;
  role: string;
  projects?: Array<string>;
  expiresInDays?: number;
  password?: string;
}
export interface UserList {
  users: Array<UserView>;
}
export interface UserPatch {
  role?: string;
  projects?: Array<string>;
  expiresInDays?: number;
  disabled?: boolean;
}
export interface UserView {
  id: string;
  name: string;
  role: string;
  projects?: Array<string>;
  signsInWith: Array<string>;
  passkeys: number;
  provider?: string;
  createdAt: string;
  expiresAt?: string;
  disabledAt?: string;
  lastSeenAt?: string;
  passwordLink?: string;
}
export interface VersionForm {
  version: string;
}
export interface VersionView {
  version: string;
  upgradeTo: Array<Upgrade>;
  lifecycleStatus: string;
  upgradeHistory: Array<PastUpgrade>;
}
export type holdfast__api__v1__retention__Kind = "lost" | "leftover" | "foreign" | "damaged";
export type holdfast__domain__alarms__rules__Kind = "addon.unprotected" | "addon.no-plan" | "addon.backup-failed" | "addon.overdue" | "addon.copy-lost" | "addon.too-few-copies" | "addon.unproven" | "addon.drill-failed" | "addon.archive-late" | "addon.objective-too-strict" | "drills.waiting" | "retention.held" | "store.unusable" | "disk.nearly-full" | "workers.dead" | "schedulers.dead" | "clock.jumped" | "master-key.missing" | "protection.differs" | "channel.failing" | "monitor.down";
export interface Page<T> { data: T; pagination: Pagination }
export interface Calls {
  /** Confirms that the token is valid. */
  login(): Promise<Empty>;
  /** What each engine can do on this machine now. */
  addonTypes(): Promise<AddonTypes>;
  /** One installation is one team. */
  listTeams(): Promise<Page<TeamList>>;
  about(): Promise<About>;
  listProjects(args?: { per_page?: number; page?: number; cursor?: string }): Promise<Page<ProjectList>>;
  createProject(args: { body: ProjectForm }): Promise<ProjectResult>;
  putProject(args: { body: ProjectForm }): Promise<ProjectResult>;
  getProject(args: { projectId: string }): Promise<ProjectView>;
  patchProject(args: { projectId: string; body: ProjectPatch }): Promise<ProjectResult>;
  deleteProject(args: { projectId: string; delete_child_objects?: boolean }): Promise<Empty>;
  /** Every addon that the token sees, the worst first. */
  getProtection(args?: { projectId?: string; state?: Array<State> }): Promise<ProtectionWall>;
  /** The state of one addon, its reasons, its objective and its last 14 days. */
  getAddonProtection(args: { projectId: string; addonId: string }): Promise<ProtectionView>;
  /** What was set for all addons. */
  getObjective(): Promise<ObjectiveView>;
  /** Sets it for all addons; what is left out goes back to the default. */
  putObjective(args: { body: ObjectiveForm }): Promise<ObjectiveView>;
  /** What was set for the addons of a project. */
  getProjectObjective(args: { projectId: string }): Promise<ObjectiveView>;
  /** Sets it for the addons of a project; what is left out is up to the installation's. */
  putProjectObjective(args: { projectId: string; body: ObjectiveForm }): Promise<ObjectiveView>;
  /** What was set for an addon itself. */
  getAddonObjective(args: { projectId: string; addonId: string }): Promise<ObjectiveView>;
  /** Sets it for an addon; what is left out is up to its project's. */
  putAddonObjective(args: { projectId: string; addonId: string; body: ObjectiveForm }): Promise<ObjectiveView>;
  listAddons(args: { projectId: string; per_page?: number; page?: number; cursor?: string }): Promise<Page<AddonList>>;
  createAddon(args: { projectId: string; body: AddonForm }): Promise<AddonView>;
  /** Creates the addon, or updates the one of that name. */
  putAddon(args: { projectId: string; body: AddonForm }): Promise<AddonView>;
  /** Asks a server what it is, as attaching it does. Nothing is written. */
  probeAddon(args: { addonType: string; body: AddonProbeForm }): Promise<AddonProbeView>;
  /** Makes up a small database on this machine, once, which can then be attached. */
  makeSample(args: { addonType: string }): Promise<SampleView>;
  getAddon(args: { projectId: string; addonId: string }): Promise<AddonView>;
  patchAddon(args: { projectId: string; addonId: string; body: AddonPatch }): Promise<AddonView>;
  deleteAddon(args: { projectId: string; addonId: string }): Promise<Empty>;
  pauseAddon(args: { projectId: string; addonId: string }): Promise<Empty>;
  resumeAddon(args: { projectId: string; addonId: string }): Promise<Empty>;
  restartAddon(args: { projectId: string; addonId: string }): Promise<Empty>;
  /** Wipes all data; connection details stay. */
  resetAddon(args: { projectId: string; addonId: string }): Promise<Empty>;
  getCredentials(args: { projectId: string; addonId: string }): Promise<CredentialsView>;
  getVersion(args: { projectId: string; addonId: string }): Promise<VersionView>;
  /** Minor upgrades of managed servers: the same data directory under newer binaries. */
  updateVersion(args: { projectId: string; addonId: string; body: VersionForm }): Promise<Empty>;
  scaleAddon(args: { projectId: string; addonId: string; body: ScaleForm }): Promise<Empty>;
  /** Accepts settings that hold already; how a server is reached cannot be changed here. */
  updateNetwork(args: { projectId: string; addonId: string; body: NetworkForm }): Promise<Empty>;
  /** Accepts no policy at all: ignoring one would leave a server more open than asked. */
  updateSecurity(args: { projectId: string; addonId: string; body: SecurityForm }): Promise<Empty>;
  /** Shows what a managed server takes now. There is no history: Prometheus keeps one. */
  getAddonMetrics(args: { projectId: string; addonId: string; queryType?: "single" | "range"; metricTypes?: Array<"cpu" | "memory" | "networkIngress" | "networkEgress" | "tcpConnectionsOpen" | "diskUsage" | "requests" | "http4xxResponses" | "http5xxResponses" | "bandwidth" | "bandwidthVolume">; time?: string; timestamp?: string; startTime?: string; endTime?: string; duration?: number; containerName?: string }): Promise<Record<string, MetricView>>;
  /** Shows a managed server as one container; an attached one has none. */
  getContainers(args: { projectId: string; addonId: string }): Promise<Containers>;
  listBackups(args: { projectId: string; addonId: string; backupType?: BackupType; status?: Array<Status>; per_page?: number; page?: number; cursor?: string }): Promise<Page<BackupList>>;
  createBackup(args: { projectId: string; addonId: string; body: BackupForm }): Promise<BackupView>;
  getBackup(args: { projectId: string; addonId: string; backupId: string }): Promise<BackupView>;
  deleteBackup(args: { projectId: string; addonId: string; backupId: string; force?: boolean }): Promise<Empty>;
  /** Extension: a backup by its `uid`, also when its addon or project is gone. */
  deleteStoredBackup(args: { uid: string; force?: boolean }): Promise<Empty>;
  abortBackup(args: { projectId: string; addonId: string; backupId: string }): Promise<Empty>;
  retainBackup(args: { projectId: string; addonId: string; backupId: string }): Promise<Empty>;
  /** Extension: the evidence from which `completed` was derived. */
  getEvidence(args: { projectId: string; addonId: string; backupId: string }): Promise<EvidenceView>;
  downloadLink(args: { projectId: string; addonId: string; backupId: string }): Promise<DownloadLink>;
  /** Makes a backup of the file; restoring it is a second step. */
  importBackup(args: { projectId: string; addonId: string; body: ImportForm }): Promise<BackupView>;
  beginUpload(args: { projectId: string; addonId: string; body: UploadForm }): Promise<UploadView>;
  /** The bytes that have arrived, to continue after a broken connection. */
  getUpload(args: { uploadId: string; projectId: string; addonId: string }): Promise<UploadView>;
  dropUpload(args: { uploadId: string; projectId: string; addonId: string }): Promise<Empty>;
  /** Adds the bytes from `offset` on. The same part may be sent again; any other offset than the next is a 409 that names the next. */
  putPart(args: { uploadId: string; projectId: string; addonId: string; offset: number; body: BodyInit }): Promise<UploadView>;
  /** The files of a snapshot as a tar, streamed from its repository. */
  files(args: { projectId: string; addonId: string; backupId: string }): Promise<Response>;
  /** The steps that a snapshot's files still need before a server starts from them. */
  finishFiles(args: { projectId: string; addonId: string; backupId: string; directory: string }): Promise<FinishView>;
  /** Makes an additional copy that failed again now, not only after its pause. */
  retryCopy(args: { destinationId: string; projectId: string; addonId: string; backupId: string }): Promise<Empty>;
  /** Makes lost copies again from one that is whole, the platform's as well. */
  repair(args: { projectId: string; addonId: string; backupId: string }): Promise<Empty>;
  /** A new passphrase for every repository at the destination; the old one stops working. */
  destinationKit(args: { destinationId: string }): Promise<RecoveryKit>;
  /** A new passphrase for every repository in the platform's own store. */
  platformKit(): Promise<RecoveryKit>;
  /** Adopts backups here that no catalogue entry names. Their addons count as deleted. */
  adoptDestination(args: { destinationId: string; body: AdoptionForm }): Promise<Adopted>;
  /** Adopts backups in the platform's own store. */
  adoptPlatform(args: { body: AdoptionForm }): Promise<Adopted>;
  startRestore(args: { projectId: string; addonId: string; backupId: string; sourceProjectId?: string; sourceAddonId?: string; body: RestoreForm }): Promise<RestoreStarted>;
  listBackupRestores(args: { projectId: string; addonId: string; backupId: string; per_page?: number; page?: number; cursor?: string; sourceProjectId?: string; sourceAddonId?: string }): Promise<Page<RestoreList>>;
  abortRestore(args: { projectId: string; addonId: string; backupId: string; sourceProjectId?: string; sourceAddonId?: string; body: AbortRestoreForm }): Promise<Empty>;
  undoRestore(args: { projectId: string; addonId: string; backupId: string; sourceProjectId?: string; sourceAddonId?: string; body: UndoRestoreForm }): Promise<RestoreStarted>;
  listAddonRestores(args: { projectId: string; addonId: string; per_page?: number; page?: number; cursor?: string }): Promise<Page<RestoreList>>;
  /** Restores a backup, or a moment, into a throwaway server of its own, beside all other work. */
  startDrill(args: { projectId: string; addonId: string; body: DrillForm }): Promise<DrillStarted>;
  /** The drills of an addon, newest first. */
  listDrills(args: { projectId: string; addonId: string; per_page?: number; page?: number; cursor?: string }): Promise<Page<DrillList>>;
  getDrill(args: { projectId: string; addonId: string; drillId: string }): Promise<DrillView>;
  /** How to reach the server that a drill keeps. */
  getDrillServer(args: { projectId: string; addonId: string; drillId: string }): Promise<DrillServer>;
  drillLogs(args: { projectId: string; addonId: string; drillId: string; startTime?: string; endTime?: string; duration?: number; lineLimit?: number; direction?: "forward" | "backward"; type?: Array<"backup" | "build" | "cdn" | "ingress" | "mesh" | "restore" | "runtime">; containerName?: string; textIncludes?: string; textNotIncludes?: string; regexIncludes?: string; regexNotIncludes?: string }): Promise<Page<Array<LogLine>>>;
  abortDrill(args: { projectId: string; addonId: string; drillId: string }): Promise<Empty>;
  /** Gives the kept server up before its time. */
  releaseDrill(args: { projectId: string; addonId: string; drillId: string }): Promise<Empty>;
  /** Adds what a person or a script found out about the restored server. */
  giveOpinion(args: { projectId: string; addonId: string; drillId: string; body: OpinionForm }): Promise<Empty>;
  getDrillPlan(args: { projectId: string; addonId: string }): Promise<DrillPlanView>;
  /** Says which drills an addon has by itself; what is left out goes back to the default. */
  putDrillPlan(args: { projectId: string; addonId: string; body: DrillPlanForm }): Promise<DrillPlanView>;
  getAssertions(args: { projectId: string; addonId: string }): Promise<AssertionList>;
  /** Replaces the questions that every drill of the addon asks. */
  putAssertions(args: { projectId: string; addonId: string; body: AssertionsForm }): Promise<AssertionList>;
  /** All schedules on one page: an addon has six at most, and the v1 API has no cursor here. */
  listSchedules(args: { projectId: string; addonId: string; per_page?: number; page?: number; cursor?: string }): Promise<Page<ScheduleList>>;
  createSchedule(args: { projectId: string; addonId: string; body: ScheduleForm }): Promise<ScheduleMade>;
  /** Extension: one schedule. */
  getSchedule(args: { projectId: string; addonId: string; scheduleId: string }): Promise<ScheduleView>;
  /** Extension: another retention, for backups from now on. The rest cannot be changed. */
  patchSchedule(args: { projectId: string; addonId: string; scheduleId: string; body: SchedulePatch }): Promise<ScheduleView>;
  /** Deletes the schedule; its backups stay, and expire as before. */
  deleteSchedule(args: { projectId: string; addonId: string; scheduleId: string }): Promise<Empty>;
  /** Extension: fires nothing of the schedule until it is resumed; its addon keeps the others. */
  pauseSchedule(args: { projectId: string; addonId: string; scheduleId: string; body: SchedulePauseForm }): Promise<ScheduleView>;
  /** Extension: fires the schedule from its next instant on. */
  resumeSchedule(args: { projectId: string; addonId: string; scheduleId: string }): Promise<ScheduleView>;
  /** Extension: the schedule's next instants, in UTC. */
  listUpcoming(args: { projectId: string; addonId: string; scheduleId: string; next?: number }): Promise<UpcomingList>;
  /** Extension: the outcomes of its instants, the latest first; also of a deleted schedule. */
  listHistory(args: { projectId: string; addonId: string; scheduleId: string; per_page?: number; page?: number; cursor?: string }): Promise<Page<OccurrenceList>>;
  /** Extension: why there was a backup at an instant, or why not; also of a deleted schedule. */
  explainInstant(args: { projectId: string; addonId: string; scheduleId: string; at: string }): Promise<Explanation>;
  /** The future of every copy, when and why; addon by addon. Changes nothing. */
  getPlan(args?: { per_page?: number; page?: number; cursor?: string; projectId?: string; addonId?: string }): Promise<Page<PlanList>>;
  /** Totals of the whole plan. Reads every copy's row, so it is slow. */
  getPlanTotals(): Promise<PlanTotals>;
  /** The plan of one addon. */
  getAddonPlan(args: { projectId: string; addonId: string }): Promise<AddonPlan>;
  /** Marks expired backups for deletion now; the grace period still applies. */
  pruneAddon(args: { projectId: string; addonId: string; body: PruneForm }): Promise<PruneAnswer>;
  /** Whether retention is held: then no backup goes because of its age. */
  getHold(): Promise<HoldView>;
  /** Holds retention of the whole installation, at once and until it is released. What had begun to go, and what is deleted by hand, goes on. */
  holdRetention(args: { body: HoldForm }): Promise<HoldView>;
  /** Lets retention go on. What is due waits for the grace period once more. */
  releaseRetention(): Promise<HoldView>;
  /** Deletions done, due or called off, with reasons; the newest first. */
  listDeletions(args?: { open?: boolean; per_page?: number; page?: number; cursor?: string }): Promise<Page<DeletionList>>;
  /** Differences that store checks found between store and catalogue; the newest first. */
  listFindings(args?: { kind?: holdfast__api__v1__retention__Kind; per_page?: number; page?: number; cursor?: string }): Promise<Page<FindingList>>;
  /** The last and the next comparison of each store with the catalogue. */
  listAudits(): Promise<AuditList>;
  /** Compares every store, or one, with the catalogue as soon as possible. */
  orderAudits(args: { body: AuditForm }): Promise<AuditList>;
  getWindow(args: { projectId: string; addonId: string; sourceProjectId?: string; sourceAddonId?: string }): Promise<PitrWindow>;
  getArchive(args: { projectId: string; addonId: string; sourceProjectId?: string; sourceAddonId?: string }): Promise<ArchiveView>;
  enableArchive(args: { projectId: string; addonId: string; body: ArchiveForm }): Promise<ArchiveView>;
  disableArchive(args: { projectId: string; addonId: string }): Promise<Empty>;
  /** Extension: what was committed around an instant, read from the stored log, page by page. */
  listChanges(args: { projectId: string; addonId: string; around: string; seconds?: number; table?: string; cursor?: string; sourceProjectId?: string; sourceAddonId?: string }): Promise<Page<Changes>>;
  /** Extension: writes a named point into the server's log, to restore to. A name is given once; a repeated request gets the first one's point. */
  markArchive(args: { projectId: string; addonId: string; body: MarkForm }): Promise<Marked>;
  /** Answers with the backup that the recovery begins with, and the id of its restore. The query may name another addon whose archive is restored into this one (extension). */
  startRecovery(args: { projectId: string; addonId: string; sourceProjectId?: string; sourceAddonId?: string; body: RecoveryForm }): Promise<RecoveryStarted>;
  listDestinations(args?: { per_page?: number; page?: number; cursor?: string }): Promise<Page<DestinationList>>;
  addDestination(args: { body: DestinationForm }): Promise<DestinationView>;
  getDestination(args: { destinationId: string }): Promise<DestinationView>;
  patchDestination(args: { destinationId: string; body: DestinationPatch }): Promise<Empty>;
  deleteDestination(args: { destinationId: string }): Promise<Empty>;
  /** Writes, reads back, lists and deletes there now, with the settings as they are. */
  probeDestination(args: { destinationId: string }): Promise<ProbeView>;
  /** The same in the platform's own store. */
  probePlatform(): Promise<ProbeView>;
  /** The copies kept here. `data` is a bare array, as in the v1 API. */
  listDestinationBackups(args: { destinationId: string; per_page?: number; page?: number; cursor?: string }): Promise<Page<Array<StoredBackup>>>;
  /** The copies kept in the platform's own store. */
  listPlatformBackups(args?: { per_page?: number; page?: number; cursor?: string }): Promise<Page<Array<StoredBackup>>>;
  addonLogs(args: { projectId: string; addonId: string; startTime?: string; endTime?: string; duration?: number; lineLimit?: number; direction?: "forward" | "backward"; type?: Array<"backup" | "build" | "cdn" | "ingress" | "mesh" | "restore" | "runtime">; containerName?: string; textIncludes?: string; textNotIncludes?: string; regexIncludes?: string; regexNotIncludes?: string }): Promise<Page<Array<LogLine>>>;
  backupLogs(args: { projectId: string; addonId: string; backupId: string; sourceProjectId?: string; sourceAddonId?: string; startTime?: string; endTime?: string; duration?: number; lineLimit?: number; direction?: "forward" | "backward"; type?: Array<"backup" | "build" | "cdn" | "ingress" | "mesh" | "restore" | "runtime">; containerName?: string; textIncludes?: string; textNotIncludes?: string; regexIncludes?: string; regexNotIncludes?: string }): Promise<Page<Array<LogLine>>>;
  restoreLogs(args: { restoreId: string; projectId: string; addonId: string; backupId: string; sourceProjectId?: string; sourceAddonId?: string; startTime?: string; endTime?: string; duration?: number; lineLimit?: number; direction?: "forward" | "backward"; type?: Array<"backup" | "build" | "cdn" | "ingress" | "mesh" | "restore" | "runtime">; containerName?: string; textIncludes?: string; textNotIncludes?: string; regexIncludes?: string; regexNotIncludes?: string }): Promise<Page<Array<LogLine>>>;
  listTokens(args?: { per_page?: number; page?: number; cursor?: string }): Promise<Page<TokenList>>;
  /** The only answer with the token itself; so it is not kept for repeated posts. */
  createToken(args: { body: TokenForm }): Promise<TokenView>;
  revokeToken(args: { tokenId: string }): Promise<Empty>;
  listRoles(): Promise<Page<RoleList>>;
  createRole(args: { body: RoleForm }): Promise<RoleView>;
  /** What is left out stays. Counts at once for all tokens and users of the role. */
  patchRole(args: { roleId: string; body: RolePatch }): Promise<RoleView>;
  deleteRole(args: { roleId: string }): Promise<Empty>;
  listUsers(args?: { per_page?: number; page?: number; cursor?: string }): Promise<Page<UserList>>;
  /** The answer may have a link that chooses the password, so it is not kept. */
  createUser(args: { body: UserForm }): Promise<UserView>;
  getUser(args: { userId: string }): Promise<UserView>;
  patchUser(args: { userId: string; body: UserPatch }): Promise<UserView>;
  /** Deletes the user, ends their sessions and revokes the tokens that were given to them. */
  deleteUser(args: { userId: string }): Promise<Empty>;
  /** Ends the user's password and sessions; the answer has a link to choose another one. */
  resetPassword(args: { userId: string; body: ResetForm }): Promise<UserView>;
  listSessions(args?: { per_page?: number; page?: number; cursor?: string }): Promise<Page<SessionList>>;
  endSession(args: { sessionId: string }): Promise<Empty>;
  /** Every change made through the API, the newest first; never a secret. */
  listAuditLog(args?: { actor?: string; per_page?: number; page?: number; cursor?: string; startTime?: string; endTime?: string; kind?: string; objectId?: string; projectId?: string; addonId?: string }): Promise<Page<AuditEntries>>;
  /** The newest first. A token of some projects sees alarms about their addons only. */
  listAlarms(args?: { open?: boolean; severity?: Array<Severity>; projectId?: string; per_page?: number; page?: number; cursor?: string }): Promise<Page<AlarmList>>;
  getAlarm(args: { alarmId: string }): Promise<AlarmView>;
  /** Says that the caller takes care of it. */
  acknowledgeAlarm(args: { alarmId: string }): Promise<AlarmView>;
  /** Sends it again after that time, if it is still open. */
  snoozeAlarm(args: { alarmId: string; body: SnoozeForm }): Promise<AlarmView>;
  /** Ends it by hand. It opens anew, within seconds, if its cause is still there. */
  closeAlarm(args: { alarmId: string }): Promise<AlarmView>;
  listChannels(args?: { per_page?: number; page?: number; cursor?: string }): Promise<Page<ChannelList>>;
  /** The only answer with a webhook's key; so it is not kept for repeated posts. */
  addChannel(args: { body: ChannelForm }): Promise<NewChannelView>;
  getChannel(args: { channelId: string }): Promise<ChannelView>;
  /** What is left out stays; `settings` are replaced as a whole. */
  patchChannel(args: { channelId: string; body: ChannelPatch }): Promise<ChannelView>;
  /** What still waits for it is given up. */
  deleteChannel(args: { channelId: string }): Promise<Empty>;
  /** Sends a test message now, once, and shows what the other side answered. */
  testChannel(args: { channelId: string }): Promise<DeliveryView>;
  /** The newest first, with every attempt and what was answered. */
  listDeliveries(args?: { channelId?: string; waiting?: boolean; per_page?: number; page?: number; cursor?: string }): Promise<Page<DeliveryList>>;
  /** Sends it again, under the same id, as soon as possible. 409 while it waits anyway. */
  resendDelivery(args: { deliveryId: string }): Promise<DeliveryView>;
  listNotificationIntegrations(args?: { per_page?: number; page?: number; cursor?: string }): Promise<Page<NotificationList>>;
  createNotificationIntegration(args: { body: NotificationForm }): Promise<NotificationView>;
  getNotificationIntegration(args: { notificationId: string }): Promise<NotificationView>;
  /** What is left out stays; the id and the type always do. */
  updateNotificationIntegration(args: { notificationId: string; body: NotificationPatch }): Promise<NotificationView>;
  deleteNotificationIntegration(args: { notificationId: string }): Promise<Empty>;
  listMonitors(args?: { per_page?: number; page?: number; cursor?: string }): Promise<Page<MonitorList>>;
  /** The only answer with the URL to ping; so it is not kept for repeated posts. */
  addMonitor(args: { body: MonitorForm }): Promise<NewMonitorView>;
  getMonitor(args: { monitorId: string }): Promise<MonitorView>;
  /** What is left out stays. Another period or grace is waited for anew. */
  patchMonitor(args: { monitorId: string; body: MonitorPatch }): Promise<MonitorView>;
  /** Its alarm is closed, and its URL means nothing any more. */
  removeMonitor(args: { monitorId: string }): Promise<Empty>;
  /** Another URL to ping, in this answer only; the old one means nothing any more. */
  renewMonitor(args: { monitorId: string }): Promise<NewMonitorView>;
  /** Makes and signs a report, and answers when it is stored: after seconds, or minutes for hundreds of thousands of backups. After five seconds the answer begins, with blanks; an error that comes then has its status in its body only. It is made also for a caller who leaves. 409 while another one is being made. */
  makeReport(args: { body: ReportForm }): Promise<ReportView>;
  /** The reports, newest first; a token of some projects sees those about one of them. */
  listReports(args?: { per_page?: number; page?: number; cursor?: string }): Promise<Page<ReportList>>;
  getReport(args: { number: string }): Promise<ReportView>;
  /** A file of the report, byte for byte as it was signed. */
  getReportFile(args: { number: string; file: string }): Promise<Response>;
  /** The public key that verifies reports, as PEM; no token is needed. */
  getProofKey(): Promise<Response>;
  /** The dump as one compressed tar that stock tools open. */
  download(args: { uid: string; name: string; expires: number; by: string; signature: string }): Promise<Response>;
  /** All is well: what was watched has ended, or goes on. A body is kept as what it said. */
  postPing(args: { key: string }): Promise<Response>;
  /** All is well: what was watched has ended, or goes on. A body is kept as what it said. */
  ping(args: { key: string }): Promise<Response>;
  /** `start`, `fail`, `log`, or an exit status, of which 0 is a success. */
  postSignal(args: { key: string; signal: string }): Promise<Response>;
  /** `start`, `fail`, `log`, or an exit status, of which 0 is a success. */
  signal(args: { key: string; signal: string }): Promise<Response>;
  live(): Promise<unknown>;
  /** Answers 503 with the parts that cannot be reached. */
  ready(): Promise<unknown>;
  /** In Prometheus' text format: the addons that the token sees, and, for one that sees every project, the work there is, the stores and this process. */
  getMetrics(): Promise<Response>;
}
