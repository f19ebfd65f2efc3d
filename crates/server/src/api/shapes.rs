//! What `view` shows, as shapes for the description of the API.

use crate::openapi::{
    Component,
    Shape::{
        self, All, Any, AtLeast, Client, Id, List, Maybe, Named, Number, Object, Open, OrNull,
        Text, TextTo, Time, Truth, Url, Within, Word,
    },
};

pub(crate) const SOME_TIME: Shape = OrNull(&Time);
pub(crate) const SOME_TEXT: Shape = OrNull(&Text);
pub(crate) const TEXTS: Shape = List(&Text);

pub(crate) const ACCESS: Shape = Word(&["on", "restricted", "off"]);
pub(crate) const ACCESS_ROLE: Shape =
    Word(&["msp_full", "msp_billing", "msp_support", "enterprise_hq", "auditor", "tenant_admin"]);
const KIND: Shape = Word(&["manages", "trust"]);
const ORIGIN: Shape = Word(&["provisioned", "requested", "granted"]);
pub(crate) const SIDE: Shape = OrNull(&Word(&["partner", "customer", "operator"]));
const APPROVAL: Shape = Word(&["standing", "each_time"]);
const STATE: Shape =
    Word(&["requested", "active", "suspended", "declined", "expired", "ended", "scheduled"]);
const DAY: Shape = Word(&["mon", "tue", "wed", "thu", "fri", "sat", "sun"]);

static WINDOW: Component = Component {
    name: "Window",
    shape: Object(&[("days", List(&DAY)), ("from", Text), ("to", Text)]),
};

static CONDITIONS: Component = Component {
    name: "Conditions",
    shape: Object(&[
        ("min_acr", Maybe(&SOME_TEXT)),
        ("max_age_secs", Maybe(&OrNull(&Number))),
        ("trusted_idps", Maybe(&OrNull(&TEXTS))),
        ("networks", Maybe(&OrNull(&TEXTS))),
        (
            "hours",
            Maybe(&OrNull(&Object(&[
                ("utc_offset_minutes", Maybe(&Number)),
                ("windows", List(&Named(&WINDOW))),
            ]))),
        ),
        ("require_purpose", Maybe(&OrNull(&Truth))),
        ("allow_automation", Maybe(&OrNull(&Truth))),
    ]),
};

static RELATIONSHIP_COMPONENT: Component = Component {
    name: "Relationship",
    shape: Object(&[
        ("id", Id("rel")),
        ("partner_id", Id("ten")),
        ("customer_id", Id("ten")),
        ("kind", KIND),
        ("origin", ORIGIN),
        ("access_role", ACCESS_ROLE),
        ("custom_permissions", SOME_TEXT),
        ("state", STATE),
        ("is_active", Truth),
        ("suspended_by", SIDE),
        ("access", ACCESS),
        ("starts_at", SOME_TIME),
        ("ends_at", SOME_TIME),
        ("renews_for_days", OrNull(&Number)),
        ("approval", APPROVAL),
        ("conditions", Named(&CONDITIONS)),
        ("assigned_to", OrNull(&List(&Id("usr")))),
        ("version", Number),
        ("proposal", Maybe(&Named(&PROPOSAL))),
    ]),
};
pub(crate) const RELATIONSHIP: Shape = Named(&RELATIONSHIP_COMPONENT);

static PROPOSAL: Component = Component {
    name: "Proposal",
    shape: Object(&[
        ("terms", Named(&TERMS_COMPONENT)),
        ("reason", SOME_TEXT),
        ("proposed_by", OrNull(&Id("usr"))),
        ("proposed_at", Time),
        ("expires_at", Time),
    ]),
};

/// As a merge patch, which may have any of them.
static TERMS_COMPONENT: Component = Component {
    name: "Terms",
    shape: Object(&[
        ("access_role", Maybe(&ACCESS_ROLE)),
        ("custom_permissions", Maybe(&SOME_TEXT)),
        ("starts_at", Maybe(&SOME_TIME)),
        ("ends_at", Maybe(&SOME_TIME)),
        ("renews_for_days", Maybe(&OrNull(&Number))),
        ("approval", Maybe(&APPROVAL)),
        ("conditions", Maybe(&OrNull(&Named(&CONDITIONS)))),
    ]),
};
pub(crate) const TERMS: Shape = Named(&TERMS_COMPONENT);

static REASON: Component =
    Component { name: "Reason", shape: Object(&[("reason", Maybe(&OrNull(&TextTo(500))))]) };
static SWITCHED: Component =
    Component { name: "Switched", shape: Object(&[("access", Maybe(&OrNull(&ACCESS)))]) };
static BY_CODE: Component = Component { name: "ByCode", shape: Object(&[("partner_code", Text)]) };
static STEP: Component = Component {
    name: "Step",
    shape: Object(&[("step", Maybe(&OrNull(&Word(&["suspend", "end"]))))]),
};

/// Terms of a request, of a change, and of an idea.
pub(crate) const REQUEST: Shape = All(&[&BY_CODE, &REASON, &TERMS_COMPONENT]);
pub(crate) const CHANGE: Shape = All(&[&SWITCHED, &REASON, &TERMS_COMPONENT]);
pub(crate) const IDEA: Shape = All(&[&STEP, &SWITCHED, &TERMS_COMPONENT]);

static REVOKED_COMPONENT: Component = Component {
    name: "Revoked",
    shape: Object(&[
        ("seq", Number),
        ("delegations_ended", Number),
        ("verifiers", Object(&[("live", Number), ("confirmed", Number), ("elapsed_ms", Number)])),
    ]),
};
pub(crate) const REVOKED: Shape = OrNull(&Named(&REVOKED_COMPONENT));
pub(crate) const ONLY_REVOKED: Shape = Object(&[("revoked", REVOKED)]);

pub(crate) const CHANGED: Shape = Object(&[("relationship", RELATIONSHIP), ("revoked", REVOKED)]);

static VERSION_COMPONENT: Component = Component {
    name: "Version",
    shape: Object(&[
        ("version", Number),
        ("at", Time),
        ("action", Text),
        ("side", SIDE),
        ("user_id", OrNull(&Id("usr"))),
        ("changes", Open),
        ("reason", SOME_TEXT),
    ]),
};
pub(crate) const VERSIONS: Shape = List(&Named(&VERSION_COMPONENT));

static LINK_COMPONENT: Component = Component {
    name: "Link",
    shape: Object(&[
        ("tenant_id", Id("ten")),
        ("tenant_name", Text),
        ("tenant_slug", Text),
        ("relationship_id", Id("rel")),
        ("kind", KIND),
        ("origin", ORIGIN),
        ("access_role", ACCESS_ROLE),
        ("state", STATE),
        ("is_active", Truth),
        ("access", ACCESS),
        ("starts_at", SOME_TIME),
        ("ends_at", SOME_TIME),
    ]),
};
pub(crate) const LINKS: Shape = List(&Named(&LINK_COMPONENT));

static CUSTOMER_COMPONENT: Component = Component {
    name: "Customer",
    shape: Object(&[
        ("id", Id("ten")),
        ("name", Text),
        ("slug", Text),
        ("relationship_id", Id("rel")),
        ("kind", KIND),
        ("access_role", ACCESS_ROLE),
        ("state", STATE),
        ("is_active", Truth),
        ("starts_at", SOME_TIME),
        ("ends_at", SOME_TIME),
    ]),
};
pub(crate) const CUSTOMERS: Shape = List(&Named(&CUSTOMER_COMPONENT));

static ACCESS_REQUEST_COMPONENT: Component = Component {
    name: "AccessRequest",
    shape: Object(&[
        ("id", Id("req")),
        ("state", Word(&["waiting", "approved", "declined", "unanswered", "over", "ended"])),
        ("relationship_id", Id("rel")),
        ("partner_id", Id("ten")),
        ("partner_name", Maybe(&Text)),
        ("user_id", Id("usr")),
        ("user_name", Maybe(&Text)),
        ("api_key_id", OrNull(&Id("apk"))),
        ("client_id", Client),
        ("audience", Text),
        ("scope", Text),
        ("purpose", Any),
        ("asked_at", Time),
        ("lapses_at", Time),
        ("answered_at", SOME_TIME),
        ("answered_by", OrNull(&Id("usr"))),
        ("given_scope", SOME_TEXT),
        ("given_until", SOME_TIME),
        ("ended_at", SOME_TIME),
        ("revoked", Maybe(&REVOKED)),
    ]),
};
pub(crate) const ACCESS_REQUEST: Shape = Named(&ACCESS_REQUEST_COMPONENT);
pub(crate) const ACCESS_REQUESTS: Shape = List(&ACCESS_REQUEST);

static DELEGATION_COMPONENT: Component = Component {
    name: "Delegation",
    shape: Object(&[
        ("id", Id("dlg")),
        ("user_id", Id("usr")),
        ("user_name", Maybe(&Text)),
        ("partner_id", Id("ten")),
        ("partner_name", Maybe(&Text)),
        ("tenant_id", Id("ten")),
        ("tenant_name", Maybe(&Text)),
        ("client_id", Client),
        ("client_name", Maybe(&Text)),
        ("relationship_id", Id("rel")),
        ("started_at", Time),
        ("ends_at", Time),
        ("ended_at", SOME_TIME),
        ("revoked", Maybe(&REVOKED)),
    ]),
};
pub(crate) const DELEGATION: Shape = Named(&DELEGATION_COMPONENT);
pub(crate) const DELEGATIONS: Shape = List(&DELEGATION);

pub(crate) const COUNT: Shape =
    Object(&[("delegations", Number), ("people", Number), ("partners", Number)]);

static USER_COMPONENT: Component = Component {
    name: "User",
    shape: Object(&[
        ("id", Id("usr")),
        ("name", Text),
        ("email", Text),
        ("roles", TEXTS),
        ("status", Word(&["active", "disabled", "invited"])),
    ]),
};
pub(crate) const USER: Shape = Named(&USER_COMPONENT);

/// What a client can be registered with. `null` in a patch puts the default back.
static CLIENT_SETTINGS: Component = Component {
    name: "ClientSettings",
    shape: Object(&[
        ("name", Maybe(&SOME_TEXT)),
        ("profile", Maybe(&OrNull(&Word(&["oidc", "oauth21", "fapi2"])))),
        ("redirect_uris", Maybe(&OrNull(&TEXTS))),
        ("grant_types", Maybe(&OrNull(&TEXTS))),
        ("scope", Maybe(&SOME_TEXT)),
        ("permissions", Maybe(&SOME_TEXT)),
        ("audiences", Maybe(&OrNull(&TEXTS))),
        ("default_audience", Maybe(&SOME_TEXT)),
        ("exchange_for", Maybe(&OrNull(&List(&Client)))),
        ("registration", Maybe(&OrNull(&Open))),
    ]),
};
static CLIENT_ITSELF: Component = Component {
    name: "ClientItself",
    shape: Object(&[
        ("id", Client),
        ("tenant_id", Id("ten")),
        ("status", Word(&["active", "disabled"])),
        ("is_stopped_by_operator", Truth),
        ("version", Number),
        ("created_at", Time),
        ("secrets", List(&Object(&[("created_at", Time), ("expires_at", SOME_TIME)]))),
        ("client_secret", Maybe(&Text)),
    ]),
};
static CLIENT_COMPONENT: Component =
    Component { name: "Client", shape: All(&[&CLIENT_ITSELF, &CLIENT_SETTINGS]) };
pub(crate) const CLIENT: Shape = Named(&CLIENT_COMPONENT);
pub(crate) const CLIENT_PATCH: Shape = Named(&CLIENT_SETTINGS);
static OF_TENANT: Component =
    Component { name: "OfTenant", shape: Object(&[("tenant_id", Maybe(&Text))]) };
pub(crate) const NEW_CLIENT: Shape = All(&[&OF_TENANT, &CLIENT_SETTINGS]);
pub(crate) const CHANGED_CLIENT: Shape = Object(&[("client", CLIENT), ("revoked", REVOKED)]);

static RESOURCE_SERVER_COMPONENT: Component = Component {
    name: "ResourceServer",
    shape: Object(&[
        ("id", Client),
        ("audience", Text),
        ("accepts_delegated", Truth),
        ("permissions", Text),
        ("version", Number),
    ]),
};
pub(crate) const RESOURCE_SERVER: Shape = Named(&RESOURCE_SERVER_COMPONENT);

static INITIAL_TOKEN_COMPONENT: Component = Component {
    name: "InitialAccessToken",
    shape: Object(&[
        ("id", Id("itk")),
        ("tenant_id", Id("ten")),
        ("name", Text),
        ("is_live", Truth),
        ("uses_left", Number),
        ("created_by", OrNull(&Id("usr"))),
        ("created_at", Time),
        ("expires_at", Time),
        ("ended_at", SOME_TIME),
        ("token", Maybe(&Text)),
    ]),
};
pub(crate) const INITIAL_TOKEN: Shape = Named(&INITIAL_TOKEN_COMPONENT);
pub(crate) const USES: Shape = Within(1, 10_000);

static PROVIDER_SETTINGS: Component = Component {
    name: "IdentityProviderSettings",
    shape: Object(&[
        ("title", Maybe(&SOME_TEXT)),
        ("client_id", Maybe(&SOME_TEXT)),
        (
            "token_endpoint_auth_method",
            Maybe(&OrNull(&Word(&["client_secret_basic", "client_secret_post"]))),
        ),
        ("scope", Maybe(&SOME_TEXT)),
        ("acr_values", Maybe(&SOME_TEXT)),
        ("acr", Maybe(&OrNull(&Open))),
        ("amr", Maybe(&OrNull(&Open))),
        ("domains", Maybe(&OrNull(&TEXTS))),
        ("links_by_email", Maybe(&OrNull(&Truth))),
        ("replaces_passwords", Maybe(&OrNull(&Truth))),
        ("is_enabled", Maybe(&OrNull(&Truth))),
    ]),
};
static PROVIDER_ITSELF: Component = Component {
    name: "IdentityProviderItself",
    shape: Object(&[
        ("id", Id("idp")),
        ("tenant_id", Id("ten")),
        ("name", Text),
        ("idp", Text),
        ("issuer", Url),
        ("redirect_uri", Url),
        ("version", Number),
        ("created_at", Time),
    ]),
};
static NEW_PROVIDER_ITSELF: Component = Component {
    name: "NewIdentityProviderItself",
    shape: Object(&[
        ("tenant_id", Maybe(&Text)),
        ("name", Text),
        ("issuer", Text),
        ("client_secret", Text),
    ]),
};
static SECRET: Component =
    Component { name: "Secret", shape: Object(&[("client_secret", Maybe(&Text))]) };
static PROVIDER_COMPONENT: Component =
    Component { name: "IdentityProvider", shape: All(&[&PROVIDER_ITSELF, &PROVIDER_SETTINGS]) };
pub(crate) const PROVIDER: Shape = Named(&PROVIDER_COMPONENT);
pub(crate) const NEW_PROVIDER: Shape = All(&[&NEW_PROVIDER_ITSELF, &PROVIDER_SETTINGS]);
pub(crate) const PROVIDER_PATCH: Shape = All(&[&SECRET, &PROVIDER_SETTINGS]);

static IDENTITY_LINK_COMPONENT: Component = Component {
    name: "IdentityLink",
    shape: Object(&[("subject", Text), ("user_id", Id("usr")), ("created_at", Time)]),
};
pub(crate) const IDENTITY_LINK: Shape = Named(&IDENTITY_LINK_COMPONENT);

static ENTRY_COMPONENT: Component = Component {
    name: "AuditEntry",
    shape: Object(&[
        ("id", Id("evt")),
        ("seq", Number),
        ("at", Time),
        ("action", Text),
        ("result", Text),
        ("reason", SOME_TEXT),
        ("actor_user_id", OrNull(&Id("usr"))),
        ("actor_name", SOME_TEXT),
        ("actor_tenant_id", OrNull(&Id("ten"))),
        ("actor_tenant_name", SOME_TEXT),
        ("target_tenant_id", OrNull(&Id("ten"))),
        ("relationship_id", OrNull(&Id("rel"))),
        ("delegation_id", OrNull(&Id("dlg"))),
        ("jti", SOME_TEXT),
        ("client_id", OrNull(&Client)),
        ("ip", SOME_TEXT),
        ("request_id", SOME_TEXT),
        ("resource_type", SOME_TEXT),
        ("resource_id", SOME_TEXT),
        ("purpose", SOME_TEXT),
        ("details", Any),
    ]),
};
pub(crate) const ENTRIES: Shape = List(&Named(&ENTRY_COMPONENT));

static INCIDENT_COMPONENT: Component = Component {
    name: "Incident",
    shape: Object(&[
        ("at", Time),
        (
            "relationships",
            List(&Object(&[
                ("relationship_id", Id("rel")),
                ("partner_id", Id("ten")),
                ("customer_id", Id("ten")),
                ("access", Object(&[("from", ACCESS), ("to", ACCESS)])),
                ("delegations_ended", List(&Id("dlg"))),
            ])),
        ),
        ("requests_declined", Number),
        ("proposals_declined", Number),
        ("access_requests_closed", Number),
        ("checkpoint", SOME_TEXT),
        ("revoked", REVOKED),
    ]),
};
pub(crate) const INCIDENT: Shape = Named(&INCIDENT_COMPONENT);

pub(crate) const BREAK_GLASS_CODES: Shape = List(&Object(&[
    ("number", Number),
    ("state", Word(&["unused", "used"])),
    ("created_at", Time),
    ("used_at", SOME_TIME),
]));
pub(crate) const SHUT_OUT: Shape = Object(&[
    ("tenant_id", Id("ten")),
    ("partner_id", OrNull(&Id("ten"))),
    ("relationships_suspended", Number),
    ("revoked", REVOKED),
]);

static REVIEW_COMPONENT: Component = Component {
    name: "Review",
    shape: Object(&[
        ("relationship_id", Id("rel")),
        ("partner_id", Id("ten")),
        ("partner_name", Text),
        ("kind", KIND),
        ("access_role", ACCESS_ROLE),
        ("state", STATE),
        ("version", Number),
        ("review_due", Time),
        ("is_due", Truth),
        ("last_used", SOME_TIME),
        ("is_idle", Truth),
        ("permissions", Text),
        ("unused_permissions", Text),
        ("suggested_permissions", SOME_TEXT),
    ]),
};
pub(crate) const REVIEW: Shape = Named(&REVIEW_COMPONENT);

/// Health, in both of its answers.
pub(crate) const HEALTH: Shape =
    Object(&[("status", Word(&["ok", "unavailable"])), ("version", Text)]);
pub(crate) const READY: Shape =
    Object(&[("status", Word(&["ready", "not_ready"])), ("missing", Maybe(&TEXTS))]);

static FRAME: Component = Component {
    name: "RevocationEntry",
    shape: Object(&[("k", Text), ("h", Text), ("s", Number), ("p", Number), ("x", Number)]),
};
pub(crate) const SNAPSHOT: Shape = Object(&[("head", Number), ("entries", List(&Named(&FRAME)))]);

/// A member of any kind that is not ours to name, beside these.
pub(crate) const METADATA: Shape = AtLeast(&[("issuer", Url)]);
pub(crate) const JWKS: Shape = Object(&[("keys", List(&Open))]);
/// Who may come; `null`: everybody with a fitting role.
pub(crate) const PEOPLE: Shape = OrNull(&List(&Id("usr")));
