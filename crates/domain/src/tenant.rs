//! Tenants: organisations. *Partner* and *customer* are roles in a relationship, not kinds of tenant.

use crate::words::words;

words! {
    /// Where a tenant stands. Only an active one can be entered, or act in others.
    pub enum TenantStatus {
        /// In use.
        Active = "active",
        /// Stopped by the operator, for now.
        Suspended = "suspended",
        /// Given up; its data is still there.
        Cancelled = "cancelled",
        /// Gone; only the audit log remembers it.
        Deleted = "deleted",
    }
}
