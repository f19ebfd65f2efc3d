//! Subscribers: personal data, masked unless the token may see them and says why.

use axum::{Json, extract::State};
use procura_verify::Verified;
use serde::Serialize;
use sqlx::FromRow;

use crate::{mask, outbox::Event, problem::Problem, routes::App};

const LIST: &str = "SELECT id, name, email, phone, plan, is_active FROM subscribers \
    WHERE tenant_id = $1 ORDER BY id LIMIT 200";

#[derive(Debug, Serialize, FromRow)]
struct Subscriber {
    id: String,
    name: String,
    email: String,
    phone: String,
    plan: String,
    is_active: bool,
}

impl Subscriber {
    fn masked(self) -> Self {
        Self {
            name: mask::name(&self.name),
            email: mask::email(&self.email),
            phone: mask::phone(&self.phone),
            ..self
        }
    }
}

/// `{tenant_id, is_masked, subscribers: [{id, name, email, phone, plan, is_active}]}`
#[derive(Serialize)]
pub struct SubscriberList {
    tenant_id: String,
    is_masked: bool,
    subscribers: Vec<Subscriber>,
}

/// `GET /api/v1/subscribers`
pub async fn list(
    State(app): State<App>,
    token: Verified,
) -> Result<Json<SubscriberList>, Problem> {
    let tenant_id = token.tenant().to_string();
    let is_masked = !token.can_see_pii();
    let mut subscribers: Vec<Subscriber> =
        sqlx::query_as(LIST).bind(&tenant_id).fetch_all(&app.database.readers).await?;
    if is_masked {
        subscribers = subscribers.into_iter().map(Subscriber::masked).collect();
    }
    // Whoever reads the audit log must see that personal data were shown.
    let action = if is_masked { "subscribers.read" } else { "subscribers.read_unmasked" };
    let event = Event { action, resource_type: "subscriber", resource_id: None };
    app.outbox.report_read(&token, &event).await?;
    Ok(Json(SubscriberList { tenant_id, is_masked, subscribers }))
}
