//! The kinds of Redis: TLS, sentinels, a cluster.
