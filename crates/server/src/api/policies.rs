//! `/api/policies` and what holds in a tenant: what is demanded of its people's logins. Written by admins of the
//! tenant, or of a partner for its customers; in the tenant itself its own admin has the last word.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use procura_domain::LoginRules;
use procura_issuer::{
    hand::Hand,
    policies::{Applied, NewPolicy},
};
use procura_store::policies::{AppliedPolicy, LoginPolicy};
use procura_token::PolicyId;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{
    api::{
        caller::{Changing, ChangingVersion, Person},
        input::{Body, tagged},
        problem::Problem,
        shapes, view,
    },
    app::App,
    openapi::{
        Component, Operation, Refusal, Reply,
        Shape::{
            self, Id, List, Maybe, Named, Number, Object, OrNull, Text, Time, Truth, Within, Word,
        },
    },
};

const WHO: &str = "tenant-admin, partner-admin: the own tenant's.";
const WHERE: &str = "The tenant's own tenant-admin; partner-admin of a partner with \
                     tenant.policies.write there.";

static RULES_COMPONENT: Component = Component {
    name: "LoginRules",
    shape: Object(&[
        (
            "min_acr",
            Maybe(&OrNull(&Word(&[
                "urn:procura:acr:pwd",
                "urn:procura:acr:mfa",
                "urn:procura:acr:phr",
            ]))),
        ),
        ("session_max_secs", Maybe(&OrNull(&Within(300, 31_536_000)))),
        ("identity_providers", Maybe(&OrNull(&List(&Text)))),
        ("password_min_length", Maybe(&OrNull(&Within(12, 64)))),
    ]),
};
const RULES: Shape = Named(&RULES_COMPONENT);

static POLICY_COMPONENT: Component = Component {
    name: "Policy",
    shape: Object(&[
        ("id", Id("pol")),
        ("tenant_id", Id("ten")),
        ("name", Text),
        ("rules", RULES),
        ("for_new_customers", Truth),
        ("applied_to", Number),
        ("version", Number),
        ("created_at", Time),
        ("changed_at", Time),
    ]),
};
const POLICY: Shape = Named(&POLICY_COMPONENT);

const NEW_POLICY: Shape =
    Object(&[("name", Text), ("rules", RULES), ("for_new_customers", Maybe(&Truth))]);

static APPLIED_COMPONENT: Component = Component {
    name: "AppliedPolicy",
    shape: Object(&[
        ("policy_id", Id("pol")),
        ("name", Text),
        ("version", Number),
        ("rules", RULES),
        ("owner_id", Id("ten")),
        ("owner_name", Maybe(&Text)),
        ("origin", Word(&["own", "partner", "onboarding"])),
        ("binds_admins", Truth),
        ("applied_at", Time),
        ("applied_by", Id("usr")),
        ("kept_at", OrNull(&Time)),
        ("kept_by", OrNull(&Id("usr"))),
    ]),
};
const APPLIED: Shape = Named(&APPLIED_COMPONENT);

/// A policy as it is to be.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct New {
    name: String,
    rules: Map<String, Value>,
    #[serde(default)]
    for_new_customers: bool,
}

impl New {
    fn policy(self) -> Result<NewPolicy, Problem> {
        let rules = serde_json::from_value::<LoginRules>(Value::Object(self.rules));
        let rules = rules.map_err(|_| Problem::invalid("rules"))?;
        Ok(NewPolicy { name: self.name, rules, is_for_new_customers: self.for_new_customers })
    }
}

/// Described.
pub const LIST: Operation = Operation::person("listPolicies", "Login policies")
    .open_to(WHO)
    .answers(&[Reply::json(200, List(&POLICY))])
    .refuses(&[Refusal::FORBIDDEN]);

/// `GET /api/policies`
pub async fn list(State(app): State<App>, Person(caller): Person) -> Result<Json<Value>, Problem> {
    let policies = app.issuer().list_policies(&caller).await?;
    Ok(Json(policies.iter().map(shown).collect()))
}

/// Described.
pub const ADD: Operation = Operation::person("addPolicy", "Write a login policy")
    .open_to(WHO)
    .notes("It holds nowhere before it is applied.")
    .change()
    .takes(NEW_POLICY)
    .answers(&[Reply::json(201, POLICY).tagged()])
    .refuses(&[Refusal::FORBIDDEN, Refusal::CONFLICT, Refusal::WRONG_STATE]);

/// `POST /api/policies`
pub async fn add(
    State(app): State<App>,
    Changing(call): Changing,
    Body(new): Body<New>,
) -> Result<Response, Problem> {
    let policy = app.issuer().add_policy(&call, new.policy()?).await?;
    Ok(tagged(StatusCode::CREATED, policy.version, shown(&policy)))
}

/// Described.
pub const FIND: Operation = Operation::person("getPolicy", "A login policy")
    .open_to(WHO)
    .answers(&[Reply::json(200, POLICY).tagged()])
    .refuses(&[Refusal::FORBIDDEN, Refusal::NOT_FOUND]);

/// `GET /api/policies/{id}`
pub async fn find(
    State(app): State<App>,
    Person(caller): Person,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let policy = app.issuer().find_policy(&caller, parse(&id)?).await?;
    Ok(tagged(StatusCode::OK, policy.version, shown(&policy)))
}

/// Described.
pub const UPDATE: Operation = Operation::person("updatePolicy", "Write a login policy anew")
    .open_to(WHO)
    .notes("Where it holds already it goes on as it was applied: apply it again.")
    .versioned()
    .takes(NEW_POLICY)
    .answers(&[Reply::json(200, POLICY).tagged()])
    .refuses(&[Refusal::FORBIDDEN, Refusal::NOT_FOUND, Refusal::CONFLICT]);

/// `PUT /api/policies/{id}`
pub async fn update(
    State(app): State<App>,
    ChangingVersion(call): ChangingVersion,
    Path(id): Path<String>,
    Body(new): Body<New>,
) -> Result<Response, Problem> {
    let policy = app.issuer().update_policy(&call, parse(&id)?, new.policy()?).await?;
    Ok(tagged(StatusCode::OK, policy.version, shown(&policy)))
}

/// Described.
pub const DELETE: Operation = Operation::person("deletePolicy", "Take a login policy away")
    .open_to(WHO)
    .notes("Only where it holds in no tenant.")
    .versioned()
    .answers(&[Reply::empty(204)])
    .refuses(&[Refusal::FORBIDDEN, Refusal::NOT_FOUND, Refusal::CONFLICT, Refusal::WRONG_STATE]);

/// `DELETE /api/policies/{id}`
pub async fn delete(
    State(app): State<App>,
    ChangingVersion(call): ChangingVersion,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    app.issuer().delete_policy(&call, parse(&id)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Described.
pub const HOLDS: Operation = Operation::person(
    "listAppliedPolicies",
    "What holds here, and from whom",
)
.open_to("tenant-admin.")
.notes(
    "rules is what is demanded of members; rules_of_admins leaves out what others applied and \
            no admin has kept.",
)
.answers(&[Reply::json(
    200,
    Object(&[("applied", List(&APPLIED)), ("rules", RULES), ("rules_of_admins", RULES)]),
)])
.refuses(&[Refusal::FORBIDDEN]);

/// `GET /api/tenants/policies`
pub async fn holds(State(app): State<App>, Person(caller): Person) -> Result<Json<Value>, Problem> {
    let holds = app.issuer().list_applied_policies(&caller).await?;
    let shown = holds.applied.iter().map(|(policy, owner)| {
        let mut shown = applied(policy);
        if let Some(members) = shown.as_object_mut() {
            members.insert("owner_name".to_owned(), json!(owner));
        }
        shown
    });
    Ok(Json(json!({
        "applied": shown.collect::<Vec<_>>(),
        "rules": holds.of_members,
        "rules_of_admins": holds.of_admins,
    })))
}

/// Described.
pub const APPLY: Operation = Operation::person("applyPolicy", "Apply a login policy, or keep it")
    .open_to(WHERE)
    .notes(
        "As it is now; If-Match names that version. The tenant's own admin keeps by it what a partner \
            applied, and only with If-Match. Logins that lack what is demanded then end; a partner is not \
            told of it: revoked is null.",
    )
    .versioned()
    .answers(&[Reply::json(200, Object(&[("policy", APPLIED), ("revoked", shapes::REVOKED)]))])
    .refuses(&[
        Refusal::FORBIDDEN,
        Refusal::NOT_FOUND,
        Refusal::CONFLICT,
        Refusal::WRONG_STATE,
        Refusal::VERSION_MISSING,
    ]);

/// `PUT /api/tenants/{tenant}/policies/{policy}`
pub async fn apply(
    State(app): State<App>,
    ChangingVersion(call): ChangingVersion,
    Path((tenant, policy)): Path<(String, String)>,
) -> Result<Json<Value>, Problem> {
    let tenant = app.issuer().resolve_tenant(&call.caller, &tenant).await?;
    let Applied { policy, revoked } =
        app.issuer().apply_policy(&call, tenant, parse(&policy)?).await?;
    Ok(Json(json!({
        "policy": applied(&policy),
        "revoked": view::revoked(revoked.as_ref()),
    })))
}

/// Described.
pub const REMOVE: Operation = Operation::person("removePolicy", "Let a login policy hold no more")
    .open_to(WHERE)
    .notes("A partner only what it applied and no admin of the tenant has kept.")
    .versioned()
    .answers(&[Reply::empty(204)])
    .refuses(&[Refusal::FORBIDDEN, Refusal::NOT_FOUND, Refusal::CONFLICT, Refusal::WRONG_STATE]);

/// `DELETE /api/tenants/{tenant}/policies/{policy}`
pub async fn remove(
    State(app): State<App>,
    ChangingVersion(call): ChangingVersion,
    Path((tenant, policy)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let tenant = app.issuer().resolve_tenant(&call.caller, &tenant).await?;
    app.issuer().remove_policy(Hand::Person(&call), tenant, parse(&policy)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A policy as its owner sees it.
pub(crate) fn shown(policy: &LoginPolicy) -> Value {
    json!({
        "id": policy.id,
        "tenant_id": policy.tenant,
        "name": policy.name,
        "rules": policy.rules,
        "for_new_customers": policy.is_for_new_customers,
        "applied_to": policy.applied_to,
        "version": policy.version,
        "created_at": policy.created_at.rfc3339(),
        "changed_at": policy.changed_at.rfc3339(),
    })
}

/// A policy as it holds in a tenant.
pub(crate) fn applied(policy: &AppliedPolicy) -> Value {
    json!({
        "policy_id": policy.policy,
        "name": policy.name,
        "version": policy.version,
        "rules": policy.rules,
        "owner_id": policy.owner,
        "origin": policy.origin,
        "binds_admins": policy.holding().is_agreed,
        "applied_at": policy.applied_at.rfc3339(),
        "applied_by": policy.applied_by,
        "kept_at": view::time(policy.kept.map(|(at, _)| at)),
        "kept_by": policy.kept.map(|(_, by)| by),
    })
}

/// A malformed id names nothing.
fn parse(id: &str) -> Result<PolicyId, Problem> {
    id.parse().map_err(|_| Problem::NOT_FOUND)
}
