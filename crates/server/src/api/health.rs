//! Health, public: that the process answers. What it needs is asked on a private listener.

use axum::Json;
use serde_json::{Value, json};

/// `GET /api/health`
pub async fn health() -> Json<Value> {
    Json(json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION") }))
}
