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
        shapes,
        tenants::Switch,
        view,
    },
    app::App,
    openapi::{Operation, Refusal, Reply, Shape},
};

/// Described.
pub const PARTNER_ACCESS: Operation =
    Operation::person("previewPartnerAccess", "What the switch would end")
        .open_to("The customer's tenant-admin.")
        .notes("Changes and writes nothing.")
        .takes(Shape::Object(&[("mode", shapes::ACCESS)]))
        .answers(&[Reply::json(
            200,
            Shape::Object(&[
                ("mode", shapes::ACCESS),
                ("wanted", shapes::ACCESS),
                ("would_end", shapes::COUNT),
            ]),
        )])
        .refuses(&[Refusal::FORBIDDEN, Refusal::NOT_FOUND]);

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

/// Described.
pub const RELATIONSHIP: Operation =
    Operation::person("previewRelationship", "What a change of a relationship would end")
        .open_to("Either side's admin, operator.")
        .notes(
            "Terms and access as in a change, or a step. Changes and writes \
            nothing; what the change would be refused for, this is too.",
        )
        .takes(shapes::IDEA)
        .answers(&[Reply::json(
            200,
            Shape::Object(&[
                ("relationship_id", Shape::Id("rel")),
                ("version", Shape::Number),
                ("is_proposal", Shape::Truth),
                ("would_end", shapes::COUNT),
            ]),
        )])
        .refuses(&[
            Refusal::FORBIDDEN,
            Refusal::NOT_FOUND,
            Refusal::CONFLICT,
            Refusal::WRONG_STATE,
        ]);

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
