//! RFC 9470: a resource server that asks for a more recent login, and a client that brings it. The sample
//! ISP asks whoever takes all invoices away.

use procura_tests::{Answer, House, Isp, Person, claims, exchange_form};
use reqwest::Method;
use serde_json::json;

use super::{PAT, READ_BILLING, credentials, http, relying_party::change, send};

const INVOICES: &str = "/api/v1/partner/billing/invoices";
const EXPORT: &str = "/api/v1/partner/billing/invoices/export";
const READ_INVOICES: &str = "partner.billing.invoices.read";

/// Pat, who works for Acme, and the ISP.
struct Stage {
    house: House,
    isp: Isp,
    pat: Person,
}

impl Stage {
    async fn set() -> Self {
        let house = House::start();
        let isp = Isp::start(&house).await;
        let pat = house.log_in(PAT).await;
        Self { house, isp, pat }
    }

    /// Lets so much time go by since all logins, as far as they know.
    async fn wait(&self, secs: u32) {
        let ago = i64::from(secs) * 1_000_000;
        change(&self.house, format!("UPDATE sessions SET auth_time = auth_time - {ago}")).await;
    }

    /// A delegated token from a new code of the same browser, which logs in only where it is asked to.
    /// Answers the home token too, and whether it was asked.
    async fn token(&self, more: &[(&str, &str)]) -> (String, String, bool) {
        let (id, _) = credentials(&self.house, "portal");
        let uri = self.house.demo().clients["portal"].redirect_uri.clone().unwrap();
        let (url, verifier) = self.pat.visitor.request_of(id, &uri, more);
        let first = self.pat.visitor.visit(url.as_str()).await;
        let is_asked = first.location().starts_with("/login");
        let code = self.pat.visitor.code_by(url.as_str(), PAT).await;
        let tokens = self.pat.visitor.redeem(&code, &verifier).await;
        let home = tokens.expect(200).string("access_token");
        let form = exchange_form(&home, "acme-corp", READ_INVOICES);
        let delegated = self.house.token(&form).await.expect(200).string("access_token");
        (delegated, home, is_asked)
    }
}

/// A parameter of the challenge of this scheme.
fn said(answer: &Answer, scheme: &str, name: &str) -> Option<String> {
    let all = answer.headers.get_all("www-authenticate").iter();
    let mut all = all.filter_map(|value| value.to_str().unwrap().strip_prefix(scheme));
    let (_, rest) = all.next().expect("a challenge").split_once(&format!("{name}=\""))?;
    rest.split('"').next().map(ToOwned::to_owned)
}

#[tokio::test]
async fn a_client_that_is_told_so_comes_back_with_a_new_login() {
    let stage = Stage::set().await;
    let (fresh, _, _) = stage.token(&[]).await;
    let export = stage.isp.get(&fresh, EXPORT).await;
    assert_eq!(export.expect(200).header("content-type"), Some("text/csv; charset=utf-8"));
    assert!(
        export.text.starts_with("id,issued_on,due_on,amount_cents,status\n"),
        "{}",
        export.text
    );

    stage.wait(301).await;
    let (old, _, is_asked) = stage.token(&[]).await;
    assert!(!is_asked, "the login still counts for everything else");
    // Section 3: what is wrong, and what would be right.
    let refused = stage.isp.get(&old, EXPORT).await;
    assert_eq!(refused.expect(401).string("error"), "insufficient_user_authentication");
    for scheme in ["Bearer", "DPoP"] {
        let error = said(&refused, scheme, "error");
        assert_eq!(error.as_deref(), Some("insufficient_user_authentication"));
        assert_eq!(said(&refused, scheme, "max_age").as_deref(), Some("300"));
        assert_eq!(said(&refused, scheme, "scope").as_deref(), Some(READ_INVOICES));
        assert!(said(&refused, scheme, "resource_metadata").is_some());
    }
    let acr_values = said(&refused, "Bearer", "acr_values").unwrap();
    assert!(acr_values.ends_with("urn:procura:acr:pwd"), "{acr_values}");
    stage.isp.get(&old, INVOICES).await.expect(200);

    // Section 4: the same words in the request, and the person is asked again (section 5).
    let max_age = said(&refused, "Bearer", "max_age").unwrap();
    let more = [("acr_values", acr_values.as_str()), ("max_age", max_age.as_str())];
    let (new, _, is_asked) = stage.token(&more).await;
    assert!(is_asked, "the login is older than that");
    stage.isp.get(&new, EXPORT).await.expect(200);
    // The old token is what it was.
    stage.isp.get(&old, EXPORT).await.expect(401);
}

#[tokio::test]
async fn section_6_a_delegated_token_tells_of_the_login_behind_it() {
    let stage = Stage::set().await;
    stage.wait(100).await;
    let (token, home, _) = stage.token(&[]).await;
    let (delegated, home) = (claims(&token), claims(&home));
    assert!(delegated["auth_time"].as_i64().unwrap() <= delegated["iat"].as_i64().unwrap() - 100);
    let (id, secret) = credentials(&stage.house, "isp");
    let request = http()
        .post(format!("{}/oauth2/introspect", stage.house.url()))
        .basic_auth(id, Some(secret));
    // Section 6.2.
    let known = send(request.form(&[("token", &token)])).await.expect(200).json();
    for name in ["auth_time", "acr"] {
        assert_eq!(delegated[name], home[name], "{name}");
        assert_eq!(delegated[name], known[name], "{name}");
    }
}

#[tokio::test]
async fn who_has_no_good_token_or_no_permission_is_not_told_which_login_is_wanted() {
    let stage = Stage::set().await;
    stage.wait(301).await;
    let (id, secret) = credentials(&stage.house, "portal");
    let other = stage.pat.switch("acme-corp", READ_BILLING).await;
    let bare = send(stage.isp.bare(Method::GET, EXPORT)).await;
    let bad = stage.isp.get("x.y.z", EXPORT).await;
    let scope = stage.isp.get(&other, EXPORT).await;
    for (answer, status) in [(&bare, 401), (&bad, 401), (&scope, 403)] {
        assert_eq!(said(answer.expect(status), "Bearer", "max_age"), None);
        assert_eq!(said(answer, "Bearer", "acr_values"), None);
    }
    assert_eq!(scope.string("error"), "insufficient_scope");

    // Software has no login at all, however new its token is.
    let form = [("grant_type", "client_credentials"), ("scope", READ_INVOICES)];
    let own = stage.house.token_by(Some((id, secret)), &form).await;
    let own = own.expect(200).string("access_token");
    assert_eq!(claims(&own)["auth_time"], json!(null));
    stage.isp.get(&own, INVOICES).await.expect(200);
    let refused = stage.isp.get(&own, EXPORT).await;
    assert_eq!(refused.expect(401).string("error"), "insufficient_user_authentication");
}
