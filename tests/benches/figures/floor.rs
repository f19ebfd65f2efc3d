//! The floor under every exchange: a process that takes the same form over the same HTTP stack,
//! verifies its subject token and signs a token as long as the real one, with the same crates, and does
//! nothing else. What Procura does beyond it (client authentication, decision, durable audit) is what
//! the ratio shows.

use std::{
    io::{BufRead, Read},
    net::Ipv4Addr,
    sync::Arc,
};

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::post,
    serve::ListenerExt,
};
use procura_token::{
    AccessClaims, Algorithm, Jwks, KeyId, KeySet, Ts,
    jws::{ACCESS_TOKEN_TYPE, Expected},
    signing::SigningKey,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::Failure;

/// What the floor is told on its standard input, in one line.
#[derive(Serialize, Deserialize)]
pub struct Setup {
    /// The issuer of the subject tokens.
    pub issuer: String,
    /// Its keys.
    pub jwks: Jwks,
    /// The claims of a real delegated token.
    pub claims: AccessClaims,
    /// The instant for which tokens are verified.
    pub now: Ts,
}

struct Floor {
    setup: Setup,
    expected: Expected,
    keys: KeySet,
    signing: SigningKey,
}

/// Runs until its standard input ends, which it does with the process that started it.
pub fn run() -> Result<(), Failure> {
    let mut input = std::io::stdin().lock();
    let mut line = String::new();
    input.read_line(&mut line)?;
    let setup: Setup = serde_json::from_str(&line).map_err(|e| Failure::new(&e.to_string()))?;
    let no_key = |_| Failure::new("the floor has no key");
    let pkcs8 = SigningKey::generate(Algorithm::Es256).map_err(no_key)?;
    let signing =
        SigningKey::load(KeyId::from_bits(1), Algorithm::Es256, &pkcs8).map_err(no_key)?;
    let floor = Arc::new(Floor {
        expected: Expected {
            issuer: setup.issuer.clone(),
            audience: None,
            algorithms: vec![Algorithm::Es256],
            leeway_secs: 1,
        },
        keys: KeySet::new(&setup.jwks).map_err(|e| Failure::new(&e.to_string()))?,
        signing,
        setup,
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.spawn(async move {
        if let Err(error) = serve(floor).await {
            eprintln!("floor: {error}");
        }
    });
    let mut rest = Vec::new();
    input.read_to_end(&mut rest)?;
    runtime.shutdown_background();
    Ok(())
}

async fn serve(floor: Arc<Floor>) -> Result<(), Failure> {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    println!("floor ready on http://{}", listener.local_addr()?);
    let listener = listener.tap_io(|stream| {
        // It would only be slower without.
        let _ = stream.set_nodelay(true);
    });
    let app = Router::new().route("/oauth2/token", post(exchange)).with_state(floor);
    axum::serve(listener, app).await.map_err(Failure::from)
}

async fn exchange(State(floor): State<Arc<Floor>>, body: String) -> Response {
    let form: Vec<(String, String)> =
        url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let subject = form.iter().find(|(name, _)| name == "subject_token");
    let genuine = subject.map(|(_, token)| {
        floor.expected.access_token(
            token,
            &floor.keys,
            procura_token::Shown::Bearer,
            floor.setup.now,
        )
    });
    let Some(Ok(_)) = genuine else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let Ok(token) = floor.signing.sign(ACCESS_TOKEN_TYPE, &floor.setup.claims) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    Json(json!({ "access_token": token, "token_type": "Bearer" })).into_response()
}
