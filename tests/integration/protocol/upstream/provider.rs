//! An identity provider that says whatever a test wants.

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use procura_tests::{Signer, merged, now};
use serde_json::{Value, json};

use super::Journey;

/// What its token endpoint does.
#[derive(Clone)]
pub enum Does {
    /// Answers so.
    Says(u16, String),
    /// Sends whoever calls elsewhere.
    Leads(String),
    /// Nothing, for ever.
    Hangs,
}

/// The provider.
#[derive(Clone)]
pub struct Provider {
    /// Its issuer.
    pub issuer: String,
    /// Signs its ID tokens.
    pub signer: Arc<Signer>,
    says: Arc<Mutex<Says>>,
    heard: Arc<Mutex<Vec<(HeaderMap, String)>>>,
}

struct Says {
    metadata: Value,
    keys: Value,
    token: Does,
}

impl Provider {
    /// Starts one that is as it should be, and says no to every code so far.
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let signer = Arc::new(Signer::new("ES256"));
        let metadata = json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{issuer}/authorize?kept=1"),
            "token_endpoint": format!("{issuer}/token"),
            "jwks_uri": format!("{issuer}/jwks"),
            "authorization_response_iss_parameter_supported": true,
        });
        let keys = json!({ "keys": [signer.jwk()] });
        let token = Does::Says(400, json!({ "error": "invalid_grant" }).to_string());
        let says = Arc::new(Mutex::new(Says { metadata, keys, token }));
        let own = Self { issuer, signer, says, heard: Arc::default() };
        let metadata =
            async |State(own): State<Self>| axum::Json(own.says.lock().unwrap().metadata.clone());
        let keys =
            async |State(own): State<Self>| axum::Json(own.says.lock().unwrap().keys.clone());
        let routes = Router::new()
            .route("/.well-known/openid-configuration", get(metadata))
            .route("/jwks", get(keys))
            .route("/token", post(Self::token))
            .with_state(own.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        own
    }

    async fn token(State(own): State<Self>, headers: HeaderMap, body: String) -> Response {
        own.heard.lock().unwrap().push((headers, body));
        let does = own.says.lock().unwrap().token.clone();
        match does {
            Does::Says(status, body) => {
                let json = [(header::CONTENT_TYPE, "application/json")];
                (StatusCode::from_u16(status).unwrap(), json, body).into_response()
            }
            Does::Leads(to) => (StatusCode::FOUND, [(header::LOCATION, to)]).into_response(),
            Does::Hangs => std::future::pending().await,
        }
    }

    /// Changes members of its metadata.
    pub fn publish(&self, other: &Value) {
        let mut says = self.says.lock().unwrap();
        says.metadata = merged(&says.metadata, other);
    }

    /// Lets its token endpoint do this from now on.
    pub fn does(&self, token: Does) {
        self.says.lock().unwrap().token = token;
    }

    /// Lets its token endpoint answer with this ID token.
    pub fn gives(&self, id_token: &str) {
        let body = json!({ "access_token": "x", "token_type": "Bearer", "id_token": id_token });
        self.does(Does::Says(200, body.to_string()));
    }

    /// What an honest ID token says for whoever is on this journey, with these members instead.
    pub fn claims(&self, journey: &Journey, subject: &str, other: &Value) -> Value {
        let usual = json!({
            "iss": self.issuer,
            "sub": subject,
            "aud": journey.sent("client_id").unwrap(),
            "nonce": journey.sent("nonce").unwrap(),
            "iat": now(),
            "exp": now() + 300,
            "auth_time": now(),
        });
        merged(&usual, other)
    }

    /// Gives an honest ID token for whoever is on this journey, with these members instead.
    pub fn knows(&self, journey: &Journey, subject: &str, other: &Value) {
        let claims = self.claims(journey, subject, other);
        self.gives(&self.signer.jwt(&json!({ "typ": "JWT" }), &claims));
    }

    /// What its token endpoint was asked so far.
    pub fn heard(&self) -> Vec<(HeaderMap, String)> {
        self.heard.lock().unwrap().clone()
    }
}
