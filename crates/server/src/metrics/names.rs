//! The names of all figures, as they stand in `/metrics`: dashboards and alert rules are tested against
//! this list. Names follow the OpenTelemetry and Prometheus conventions where they have one.

/// Histogram by route template, method and status: from the whole head to the answer's head.
pub const HTTP_DURATION: &str = "http_server_request_duration_seconds";
/// Requests under way.
pub const HTTP_ACTIVE: &str = "http_server_active_requests";
/// Open connections of the public listener.
pub const HTTP_CONNECTIONS: &str = "procura_http_connections";
/// When the certificate of the public listener expires; 0 where it has none.
pub const CERTIFICATE_END: &str = "procura_tls_certificate_not_after_seconds";
/// Exchanges by outcome.
pub const EXCHANGES: &str = "procura_exchanges_total";
/// Tokens handed out, by kind.
pub const TOKENS: &str = "procura_tokens_issued_total";
/// Logins by outcome.
pub const LOGINS: &str = "procura_logins_total";
/// Failures of strangers without an entry of their own in the audit log.
pub const UNRECORDED: &str = "procura_unrecorded_failures_total";
/// Requests beyond a limit, by limit.
pub const LIMITED: &str = "procura_requests_limited_total";
/// 1 where limits are counted together with the other nodes; absent without Redis.
pub const LIMITS_SHARED: &str = "procura_limits_shared";
/// Exchanges and entries that wait for the ledger.
pub const LEDGER_QUEUE: &str = "procura_ledger_queue_jobs";
/// Histogram: jobs in a commit of the ledger.
pub const LEDGER_BATCH: &str = "procura_ledger_batch_jobs";
/// Histogram: how long a commit of the ledger takes.
pub const LEDGER_COMMIT: &str = "procura_ledger_commit_duration_seconds";
/// Commits of the ledger that failed.
pub const LEDGER_FAILURES: &str = "procura_ledger_commit_failures_total";
/// The head of the revocation log.
pub const REVOCATION_HEAD: &str = "procura_revocation_head";
/// Revocations that can still kill a token.
pub const REVOCATION_ENTRIES: &str = "procura_revocation_entries";
/// Revocations written by this node, by cause.
pub const REVOCATIONS: &str = "procura_revocations_written_total";
/// 1 where the copy in Redis was reached and had everything; absent without Redis.
pub const COPY_IN_STEP: &str = "procura_revocation_copy_in_step";
/// Entries that this node appended to the copy in Redis.
pub const COPY_APPENDED: &str = "procura_revocation_copy_appended_total";
/// How often the copy in Redis was not what was written, and was written anew.
pub const COPY_REWRITTEN: &str = "procura_revocation_copy_rewritten_total";
/// Open feeds.
pub const FEEDS: &str = "procura_revocation_feeds";
/// Verifiers with a lease.
pub const VERIFIERS: &str = "procura_revocation_verifiers";
/// Position of the last audit entry.
pub const AUDIT_SEQ: &str = "procura_audit_last_seq";
/// Connections to the database, by pool and state.
pub const DATABASE: &str = "db_client_connection_count";
/// 1 where `/readyz` answers 200.
pub const READY: &str = "procura_ready";
/// Always 1; the version is a label.
pub const BUILD: &str = "procura_build_info";
/// When the process started.
pub const START_TIME: &str = "process_start_time_seconds";
/// Resident memory.
pub const RESIDENT: &str = "process_resident_memory_bytes";
/// Open file descriptors.
pub const OPEN_FDS: &str = "process_open_fds";
/// The most file descriptors that may be open.
pub const MAX_FDS: &str = "process_max_fds";
