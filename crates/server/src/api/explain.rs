//! `POST /api/explain`: why somebody may act in a tenant or may not, and what a token is worth.

use std::net::IpAddr;

use axum::{Json, extract::State};
use procura_domain::{Explanation, explain::Line, relationship::Side};
use procura_issuer::{
    explain::{Question, Worth},
    hand::Hand,
};
use procura_token::{ClientId, Purpose, Scope, UserId};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    api::{
        caller::Changing,
        input::{Body, word},
        problem::Problem,
        shapes::{SIDE, SOME_TEXT, SOME_TIME, TEXTS},
    },
    app::App,
    openapi::{
        Component, Operation, Refusal, Reply,
        Shape::{self, Id, List, Maybe, Named, Object, Open, OrNull, Text, Time, Truth, Word},
    },
};

/// Described.
pub const EXPLAIN: Operation =
    Operation::person("explain", "Why somebody may act in a tenant, or what a token is worth")
        .open_to("partner-admin or tenant-admin at home, the customer's tenant-admin, operator.")
        .notes(
            "Either token alone, or user_id, tenant and client_id with whatever else the exchange would name. Each side \
             reads its own half. Of a delegated token also what the same exchange would come to now. Gives nothing; that \
             it was asked stands in the audit log.",
        )
        .takes(Object(&[
            ("token", Maybe(&SOME_TEXT)),
            ("user_id", Maybe(&SOME_TEXT)),
            ("tenant", Maybe(&SOME_TEXT)),
            ("client_id", Maybe(&SOME_TEXT)),
            ("audience", Maybe(&SOME_TEXT)),
            ("scope", Maybe(&SOME_TEXT)),
            ("purpose", Maybe(&Shape::Any)),
            ("ip", Maybe(&SOME_TEXT)),
            ("api_key_id", Maybe(&SOME_TEXT)),
        ]))
        .answers(&[Reply::json(200, EXPLAINED)])
        .refuses(&[Refusal::FORBIDDEN, Refusal::NOT_FOUND]);

const FIXER: Shape = Word(&["person", "partner", "customer", "operator"]);

/// A decision step by step, or what a token is worth.
static EXPLAINED_COMPONENT: Component = Component {
    name: "Explained",
    shape: Object(&[
        ("side", Maybe(&SIDE)),
        ("is_granted", Maybe(&Truth)),
        (
            "granted",
            Maybe(&OrNull(&Object(&[
                ("tenant", Id("ten")),
                ("scope", Text),
                ("expires_at", Time),
                ("delegation_ends_at", SOME_TIME),
            ]))),
        ),
        ("relationship_id", Maybe(&OrNull(&Id("rel")))),
        (
            "steps",
            Maybe(&List(&Object(&[
                ("step", Text),
                ("result", Word(&["passed", "failed", "not_reached"])),
                ("reason", Maybe(&Text)),
                ("can_be_fixed_by", Maybe(&SOME_TEXT)),
            ]))),
        ),
        ("is_alive", Maybe(&Truth)),
        ("dead_by", Maybe(&TEXTS)),
        ("causes", Maybe(&List(&Object(&[("reason", Text), ("can_be_fixed_by", FIXER)])))),
        ("token", Maybe(&OrNull(&Open))),
    ]),
};
const EXPLAINED: Shape = Named(&EXPLAINED_COMPONENT);

/// Either a token alone, or who would do what where.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    token: Option<String>,
    user_id: Option<String>,
    tenant: Option<String>,
    client_id: Option<String>,
    audience: Option<String>,
    scope: Option<Scope>,
    purpose: Option<Purpose>,
    ip: Option<String>,
    api_key_id: Option<String>,
}

impl Asked {
    /// The question, where there is one; the token is left out.
    fn question(self) -> Result<Question, Problem> {
        let user: Option<UserId> = word(self.user_id.as_deref(), "user_id")?;
        let client: Option<ClientId> = word(self.client_id.as_deref(), "client_id")?;
        let ip: Option<IpAddr> = word(self.ip.as_deref(), "ip")?;
        Ok(Question {
            user: user.ok_or(Problem::invalid("user_id"))?,
            tenant: self.tenant.ok_or(Problem::invalid("tenant"))?,
            client: client.ok_or(Problem::invalid("client_id"))?,
            audience: self.audience,
            scope: self.scope,
            purpose: self.purpose,
            ip,
            key: word(self.api_key_id.as_deref(), "api_key_id")?,
        })
    }

    const fn is_question(&self) -> bool {
        self.user_id.is_some()
            || self.tenant.is_some()
            || self.client_id.is_some()
            || self.audience.is_some()
            || self.scope.is_some()
            || self.purpose.is_some()
            || self.ip.is_some()
            || self.api_key_id.is_some()
    }
}

/// `POST /api/explain`
pub async fn explain(
    State(app): State<App>,
    Changing(call): Changing,
    Body(asked): Body<Asked>,
) -> Result<Json<Value>, Problem> {
    let hand = Hand::Person(&call);
    match &asked.token {
        Some(_) if asked.is_question() => Err(Problem::invalid("token")),
        Some(token) => Ok(Json(worth(&app.issuer().explain_token(hand, token).await?))),
        None => Ok(Json(explained(&app.issuer().explain(hand, &asked.question()?).await?))),
    }
}

/// A decision, as its side may see it.
pub(crate) fn explained(explanation: &Explanation) -> Value {
    let side = explanation.side;
    let granted = explanation.verdict.as_ref().ok().map(|mandate| {
        json!({
            "tenant": mandate.tenant,
            "scope": mandate.scope,
            "expires_at": mandate.expires_at.rfc3339(),
            // It ends with the login, of which the customer is told nothing.
            "delegation_ends_at":
                (side != Side::Customer).then(|| mandate.delegation_ends_at.rfc3339()),
        })
    });
    let lines = explanation.lines();
    json!({
        "side": side,
        "is_granted": granted.is_some(),
        "granted": granted,
        "relationship_id": explanation.relationship(),
        "steps": lines.iter().map(line).collect::<Vec<_>>(),
    })
}

fn line(line: &Line) -> Value {
    match line.failure {
        None => json!({ "step": line.step, "result": line.standing }),
        Some((reason, fixer)) => json!({
            "step": line.step,
            "result": line.standing,
            "reason": reason,
            "can_be_fixed_by": fixer,
        }),
    }
}

/// What a token is worth.
pub(crate) fn worth(worth: &Worth) -> Value {
    let claims = worth.claims.as_ref().map(|claims| {
        let kind = match (&claims.dlg, &claims.sid) {
            (Some(_), _) => "delegated",
            (None, Some(_)) => "home",
            (None, None) => "client",
        };
        json!({
            "kind": kind,
            "jti": claims.jti,
            "tenant": claims.tenant,
            "audit_actor_tenant": claims.audit_actor_tenant,
            "client_id": claims.client_id,
            "audience": claims.aud,
            "scope": claims.scope,
            "relationship_id": claims.rel,
            "delegation_id": claims.dlg,
            "expires_at": procura_token::Ts::from_secs(claims.exp).rfc3339(),
        })
    });
    let causes = worth.dead_by.iter();
    let mut told = json!({
        "is_alive": worth.dead_by.is_empty(),
        "dead_by": causes.clone().map(|cause| cause.name).collect::<Vec<_>>(),
        "causes": causes
            .map(|cause| json!({ "reason": cause.name, "can_be_fixed_by": cause.fixer }))
            .collect::<Vec<_>>(),
        "token": claims,
    });
    if let (Some(decision), Some(members)) = (&worth.decision, told.as_object_mut())
        && let Value::Object(decided) = explained(decision)
    {
        members.extend(decided);
    }
    told
}
