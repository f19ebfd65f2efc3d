//! Clients with keys of their own: software that signs its assertions, requests and proofs.

use std::sync::Arc;

use procura_domain::{AuthMethod, Permissions, Profile, Registration};
use procura_store::{Location, Store, clients::Client};
use procura_token::Ts;
use serde_json::{Value, json};

use crate::{
    Answer, HOME_SCOPE, House, Signer,
    house::World,
    signer::{merged, now, token_hash, unique},
};

/// The one kind of client assertion.
pub const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// Where the codes of these clients go.
pub const CALLBACK: &str = "http://127.0.0.1:8401/callback";

/// A client that authenticates with its key, and the key for its proofs.
#[derive(Clone)]
pub struct Software {
    /// Its id.
    pub id: String,
    /// Signs its assertions and requests.
    pub signer: Arc<Signer>,
    /// Signs its proofs.
    pub holder: Arc<Signer>,
    world: Arc<World>,
}

impl House {
    /// What is remembered, opened beside the server.
    pub async fn store(&self) -> Store {
        let location = match self.database() {
            Some(url) => Location::Postgres(url.to_owned()),
            None => Location::File(self.data().join("procura.db")),
        };
        Store::open(location).await.expect("the database of the house")
    }

    /// Registers a client of Northwind with keys, after `change` has had its way with it.
    pub async fn software(&self, profile: Profile, change: impl FnOnce(&mut Client)) -> Software {
        self.software_signing("ES256", profile, change).await
    }

    /// The same, with assertions of this algorithm.
    pub async fn software_signing(
        &self,
        alg: &'static str,
        profile: Profile,
        change: impl FnOnce(&mut Client),
    ) -> Software {
        let (signer, holder) = (Arc::new(Signer::new(alg)), Arc::new(Signer::new("ES256")));
        let audience = self.demo().clients["isp"].audience.clone().expect("an audience");
        let id = format!("cli_{}", unique());
        let mut client = Client {
            id: id.parse().expect("a client id"),
            tenant: self.tenant("northwind").parse().expect("a tenant id"),
            name: "Software".to_owned(),
            secrets: Vec::new(),
            is_stopped_by_operator: false,
            is_enabled: true,
            version: 1,
            redirect_uris: vec![CALLBACK.to_owned()],
            grant_types: ["authorization_code", "client_credentials", crate::EXCHANGE]
                .map(str::to_owned)
                .into(),
            scope: HOME_SCOPE.parse().expect("a scope"),
            permissions: Permissions::everything(),
            audiences: vec![audience.clone()],
            default_audience: Some(audience),
            exchange_for: Vec::new(),
            profile,
            registration: Registration {
                token_endpoint_auth_method: AuthMethod::PrivateKeyJwt,
                jwks: Some(json!({"keys": [signer.jwk()]})),
                ..Registration::default()
            },
            created_at: Ts::from_secs(now()),
        };
        change(&mut client);
        let store = self.store().await;
        let mut tx = store.begin(Ts::from_secs(now())).await.expect("a transaction");
        tx.insert_client(&client).await.expect("a new client");
        tx.commit().await.expect("a commit");
        store.close().await;
        Software { id, signer, holder, world: self.world() }
    }
}

impl Software {
    /// The same client, with all requests to another node.
    #[must_use]
    pub fn at(&self, node: &House) -> Self {
        Self { world: node.world(), ..self.clone() }
    }

    /// The same client with another key for its proofs.
    #[must_use]
    pub fn with_another_key(&self) -> Self {
        Self { holder: Arc::new(Signer::new("ES256")), ..self.clone() }
    }

    /// A new assertion for the issuer.
    pub fn assertion(&self) -> String {
        self.assertion_with(&json!({}))
    }

    /// The same with other claims.
    pub fn assertion_with(&self, other: &Value) -> String {
        self.signer.assertion(&self.id, &self.world.issuer, other)
    }

    /// The address of a path, as the outside knows it.
    pub fn uri(&self, path: &str) -> String {
        format!("{}{path}", self.world.issuer)
    }

    /// A new proof for a POST to a path.
    pub fn proof(&self, path: &str) -> String {
        self.holder.proof("POST", &self.uri(path), &json!({}))
    }

    /// Posts a form with a new assertion; with proofs, if any.
    pub async fn post(&self, path: &str, form: &[(&str, &str)], proofs: &[&str]) -> Answer {
        let assertion = self.assertion();
        let mut form = form.to_vec();
        form.push(("client_assertion_type", ASSERTION));
        form.push(("client_assertion", &assertion));
        self.post_bare(path, &form, proofs).await
    }

    /// Posts a form as it is.
    pub async fn post_bare(&self, path: &str, form: &[(&str, &str)], proofs: &[&str]) -> Answer {
        let mut request = self.world.http.post(format!("{}{path}", self.world.url)).form(form);
        for proof in proofs {
            request = request.header("DPoP", *proof);
        }
        Answer::of(request.send().await.expect("the server answers")).await
    }

    /// Asks for a token with a new assertion and a new proof.
    pub async fn token(&self, form: &[(&str, &str)]) -> Answer {
        self.post("/oauth2/token", form, &[&self.proof("/oauth2/token")]).await
    }

    /// What an authorization request says, with these parameters instead of the usual ones (`null` leaves
    /// one out), and its PKCE verifier.
    pub fn asks(&self, other: &Value) -> (Value, String) {
        let verifier = format!("{}{}", unique(), unique());
        let usual = json!({"client_id": self.id, "response_type": "code", "redirect_uri": CALLBACK,
            "scope": "openid", "state": "a state & more", "nonce": "a nonce",
            "code_challenge": token_hash(&verifier), "code_challenge_method": "S256"});
        (merged(&usual, other), verifier)
    }

    /// The same, signed (RFC 9101), with these claims instead of the usual ones.
    pub fn signs(&self, asks: &Value, other: &Value) -> String {
        let usual = json!({"iss": self.id, "aud": self.world.issuer, "nbf": now(), "iat": now(),
            "exp": now() + 300, "jti": unique()});
        let claims = merged(&merged(&usual, asks), other);
        self.signer.jwt(&json!({"typ": "oauth-authz-req+jwt"}), &claims)
    }

    /// Pushes parameters (RFC 9126).
    pub async fn push(&self, parameters: &Value) -> Answer {
        self.push_with(parameters, &[]).await
    }

    /// Pushes parameters with proofs.
    pub async fn push_with(&self, parameters: &Value, proofs: &[&str]) -> Answer {
        let parameters = parameters.as_object().expect("an object");
        let form: Vec<_> = parameters
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str().expect("a text")))
            .collect();
        self.post("/oauth2/par", &form, proofs).await
    }

    /// Pushes a good request; answers where the browser goes, and the PKCE verifier.
    pub async fn pushed(&self, other: &Value) -> (String, String) {
        let (asks, verifier) = self.asks(other);
        let pushed = self.push(&asks).await;
        (self.at_uri(&pushed.expect(201).string("request_uri")), verifier)
    }

    /// Where the browser goes with a `request_uri`.
    pub fn at_uri(&self, request_uri: &str) -> String {
        let query = [("client_id", self.id.as_str()), ("request_uri", request_uri)];
        let query =
            url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
        format!("/oauth2/authorize?{query}")
    }

    /// Redeems a code with a proof.
    pub async fn redeem(&self, code: &str, verifier: &str) -> Answer {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", verifier),
        ];
        self.token(&form).await
    }
}
