//! `…/preview`: what a change would end, before anybody makes it.

use axum::{
    Json,
    extract::{Path, State},
};
use procura_domain::{Access, relationship::Step};
use procura_issuer::{
    agreements::{Patch, Wanted},
    preview::Idea,
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    api::{
        caller::Person,
        input::{Body, word},
        problem::Problem,
        tenants::Switch,
        view,
    },
    app::App,
};

/// `POST /api/tenants/partner-access/preview`
pub async fn partner_access(
    State(app): State<App>,
    Person(caller): Person,
    Body(switch): Body<Switch>,
) -> Result<Json<Value>, Problem> {
    let (before, would_end) = app.issuer().preview_partner_access(&caller, switch.mode).await?;
    Ok(Json(json!({
        "mode": before,
        "wanted": switch.mode,
        "would_end": view::count(&would_end),
    })))
}

/// What somebody thinks of: terms or the switch as in a PATCH, or a step.
#[derive(Debug, Default, Deserialize)]
pub struct Asked {
    step: Option<String>,
    access: Option<Access>,
    #[serde(flatten)]
    terms: Patch,
}

/// `POST /api/v1/partner/relationships/{id}/preview`
pub async fn relationship(
    State(app): State<App>,
    Person(caller): Person,
    Path(id): Path<String>,
    Body(asked): Body<Asked>,
) -> Result<Json<Value>, Problem> {
    let id = id.parse().map_err(|_| Problem::NOT_FOUND)?;
    let is_change = asked.access.is_some() || !asked.terms.is_empty();
    let step: Option<Step> = word(asked.step.as_deref(), "step")?;
    let idea = match step {
        Some(step) if !is_change => Idea::Step(step),
        None if is_change => {
            Idea::Change(Wanted { terms: asked.terms, access: asked.access, reason: None })
        }
        _ => return Err(Problem::invalid("body")),
    };
    let foreseen = app.issuer().preview_relationship(&caller, id, idea).await?;
    Ok(Json(json!({
        "relationship_id": foreseen.relationship.id,
        "version": foreseen.relationship.version,
        "is_proposal": foreseen.is_proposal,
        "would_end": view::count(&foreseen.would_end),
    })))
}
