//! RFC 9449 section 7 at a resource server that embeds the verifier: the sample ISP.

use procura_domain::Profile;
use procura_tests::{
    Answer, House, Isp, Signer, Software, exchange_form, merged, now, proof_claims, token_hash,
};
use reqwest::Method;
use serde_json::{Value, json};

use super::{ADA, PAT, READ_BILLING, at, credentials, http, send};

const BILLING: &str = "/api/v1/partner/billing/summary";

/// A delegated token, bound to the key of a client, and the ISP that takes it.
struct Bound {
    house: House,
    isp: Isp,
    software: Software,
    token: String,
    /// What the ISP calls itself; where it listens is another thing, as behind a proxy.
    origin: String,
}

type Field = (&'static str, String);

impl Bound {
    async fn start() -> Self {
        Self::start_with(&[]).await
    }

    async fn start_with(arguments: &[&str]) -> Self {
        let house = House::start();
        let isp = Isp::start_with(&house, arguments).await;
        let software = house.software(Profile::Fapi2, |_| {}).await;
        let pat = house.log_in(PAT).await;
        let form = exchange_form(&pat.home, "acme-corp", READ_BILLING);
        let (id, secret) = credentials(&house, "portal");
        let request = http()
            .post(at(&house, "/oauth2/token"))
            .basic_auth(id, Some(secret))
            .header("dpop", software.proof("/oauth2/token"));
        let token = send(request.form(&form)).await.expect(200).string("access_token");
        let origin = house.demo().clients["isp"].audience.clone().unwrap();
        Self { house, isp, software, token, origin }
    }

    fn auth(&self, scheme: &str) -> Field {
        ("authorization", format!("{scheme} {}", self.token))
    }

    fn claims(&self) -> Value {
        let uri = format!("{}{BILLING}", self.origin);
        merged(&proof_claims("GET", &uri), &json!({"ath": token_hash(&self.token)}))
    }

    /// A proof that differs from a good one in this.
    fn bent(&self, header: &Value, other: &Value) -> Field {
        ("dpop", self.software.holder.proof_with(header, &merged(&self.claims(), other)))
    }

    fn good(&self) -> Field {
        self.bent(&json!({}), &json!({}))
    }

    /// Asks the ISP with these headers and no others.
    async fn ask(&self, path: &str, headers: &[Field]) -> Answer {
        let mut request = self.isp.bare(Method::GET, path);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        send(request).await
    }

    async fn refuses(&self, headers: &[Field]) {
        let answer = self.ask(BILLING, headers).await;
        assert_eq!(answer.status, 401, "{headers:?} {}", answer.text);
        let says: Vec<_> = answer.headers.get_all("www-authenticate").iter().collect();
        assert!(says.iter().any(|v| v.to_str().unwrap().starts_with("DPoP ")), "{says:?}");
    }
}

#[tokio::test]
async fn section_7_a_bound_token_is_taken_with_a_proof_of_its_key() {
    let bound = Bound::start().await;
    for scheme in ["DPoP", "dpop", "DPOP"] {
        let answer = bound.ask(BILLING, &[bound.auth(scheme), bound.good()]).await;
        assert!(answer.expect(200).header("date").is_some());
    }
    let uri = format!("{}{BILLING}", bound.origin);
    for other in [
        json!({"htu": format!("{uri}?a=b#c")}),
        json!({"htu": uri.replace("http://", "HTTP://")}),
        json!({"iat": now() - 10}),
        json!({"iat": now() + 10}),
        json!({"nbf": now() - 10, "exp": now() + 300}),
        json!({"more": "of it"}),
    ] {
        let proof = bound.bent(&json!({}), &other);
        bound.ask(BILLING, &[bound.auth("DPoP"), proof]).await.expect(200);
    }
    let asked = format!("{BILLING}?status=open");
    bound.ask(&asked, &[bound.auth("DPoP"), bound.good()]).await.expect(200);
}

#[tokio::test]
async fn section_7_a_bound_token_is_taken_in_no_other_way() {
    let bound = Bound::start().await;
    let auth = |scheme| bound.auth(scheme);
    let used = bound.good();
    bound.ask(BILLING, &[auth("DPoP"), used.clone()]).await.expect(200);
    let stranger = Signer::new("ES256").proof_with(&json!({}), &bound.claims());
    let rs256 = Signer::new("RS256").proof_with(&json!({}), &bound.claims());
    for headers in [
        vec![auth("DPoP"), used],
        vec![auth("DPoP")],
        vec![auth("Bearer")],
        vec![auth("Bearer"), bound.good()],
        vec![auth("DPoP"), bound.good(), bound.good()],
        vec![auth("DPoP"), auth("DPoP"), bound.good()],
        vec![auth("DPoP"), ("dpop", "x".to_owned())],
        vec![auth("DPoP"), ("dpop", format!("{}x", bound.good().1))],
        vec![auth("DPoP"), ("dpop", rs256)],
        vec![auth("DPoP"), ("dpop", stranger)],
        vec![bound.good()],
    ] {
        bound.refuses(&headers).await;
    }
    // In the query it is nobody's token.
    let query = format!("{BILLING}?access_token={}", bound.token);
    assert_eq!(bound.ask(&query, &[bound.good()]).await.status, 401);
}

#[tokio::test]
async fn section_4_3_a_resource_server_checks_a_proof_in_all_its_parts() {
    let bound = Bound::start().await;
    let private = merged(&bound.software.holder.jwk(), &json!({"d": "c2VjcmV0"}));
    for header in [
        json!({"typ": null}),
        json!({"typ": "JWT"}),
        json!({"alg": null}),
        json!({"alg": "none"}),
        json!({"jwk": null}),
        json!({"jwk": private}),
        json!({"jwk": Signer::new("ES256").jwk()}),
        json!({"crit": ["x"]}),
    ] {
        bound.refuses(&[bound.auth("DPoP"), bound.bent(&header, &json!({}))]).await;
    }
    for other in [
        json!({"jti": null}),
        json!({"htm": null}),
        json!({"htm": "POST"}),
        json!({"htu": null}),
        json!({"htu": bound.origin}),
        json!({"htu": format!("https://elsewhere.example{BILLING}")}),
        json!({"iat": null}),
        json!({"iat": now() - 3600}),
        json!({"iat": now() + 3600}),
        json!({"ath": null}),
        json!({"ath": token_hash("x")}),
    ] {
        bound.refuses(&[bound.auth("DPoP"), bound.bent(&json!({}), &other)]).await;
    }
    bound.ask(BILLING, &[bound.auth("DPoP"), bound.good()]).await.expect(200);
}

#[tokio::test]
async fn section_7_a_bearer_token_is_none_that_a_proof_belongs_to() {
    let bound = Bound::start().await;
    let pat = bound.house.log_in(PAT).await;
    let token = pat.switch("acme-corp", READ_BILLING).await;
    let uri = format!("{}{BILLING}", bound.origin);
    let proof = bound.software.holder.proof_for("GET", &uri, &token);
    bound.refuses(&[("authorization", format!("DPoP {token}")), ("dpop", proof)]).await;
    bound.isp.get(&token, BILLING).await.expect(200);
}

#[tokio::test]
async fn a_resource_server_that_wants_proofs_alone_takes_no_bearer_token_and_says_so() {
    let bound = Bound::start_with(&["--needs-proof"]).await;
    let pat = bound.house.log_in(PAT).await;
    let bearer = pat.switch("acme-corp", READ_BILLING).await;
    for token in [bearer.as_str(), bound.token.as_str(), "x.y.z"] {
        let refused = [("authorization", format!("Bearer {token}"))];
        bound.refuses(&refused).await;
    }
    bound.ask(BILLING, &[bound.auth("DPoP"), bound.good()]).await.expect(200);
    let document = bound.ask("/.well-known/oauth-protected-resource", &[]).await.expect(200).json();
    assert_eq!(document["dpop_bound_access_tokens_required"], true);
}

#[tokio::test]
async fn a_bound_token_dies_by_revocation_like_any_other() {
    let bound = Bound::start().await;
    bound.ask(BILLING, &[bound.auth("DPoP"), bound.good()]).await.expect(200);
    // Section 6.2: introspection needs no proof, and says what the token is bound to.
    let (id, secret) = credentials(&bound.house, "isp");
    let request = http().post(at(&bound.house, "/oauth2/introspect")).basic_auth(id, Some(secret));
    let known = send(request.form(&[("token", &bound.token)])).await.expect(200).json();
    assert_eq!((&known["active"], &known["token_type"]), (&json!(true), &json!("DPoP")));
    assert_eq!(known["cnf"]["jkt"], bound.software.holder.thumbprint());
    let ada = bound.house.log_in(ADA).await;
    let off = json!({"mode": "off"});
    ada.put("/api/tenants/partner-access?confirm=applied", &off).await.expect(200);
    bound.refuses(&[bound.auth("DPoP"), bound.good()]).await;
}
