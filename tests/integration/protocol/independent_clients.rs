//! Clients that others wrote, against the real server: a portal with Node's `openid-client` and `jose`, the
//! same with Python's Authlib, and a client under FAPI 2.0. The scripts are in `tests/clients`.

use procura_domain::Profile;
use procura_tests::{
    CALLBACK, Done, EXCHANGE, House, HouseOptions, Isp, Script, Visitor, lasting_port,
};
use serde_json::{Value, json};

use super::{PAT, credentials, relying_party::register};

const LOGGED_OUT: &str = "http://127.0.0.1:8400/logged-out";

/// A house, and an ISP that listens at the address which it goes by.
struct Stage {
    house: House,
    _isp: Isp,
    api: String,
}

impl Stage {
    async fn set(more: &[(&'static str, &str)]) -> Self {
        let listen = format!("127.0.0.1:{}", lasting_port());
        let api = format!("http://{listen}");
        let mut environment = vec![("PROCURA_DEMO_AUDIENCE", api.clone())];
        environment.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
        let house = House::start_with(HouseOptions { environment, ..HouseOptions::default() });
        let isp = Isp::start_at(&house, &listen).await;
        Self { house, _isp: isp, api }
    }

    /// What a portal knows, registered for logins with refresh tokens and logouts.
    async fn portal(&self) -> Vec<(&'static str, &str)> {
        let registration = json!({"post_logout_redirect_uris": [LOGGED_OUT]});
        register(&self.house, "portal", "oidc", registration).await;
        let (id, secret) = credentials(&self.house, "portal");
        let uri = self.house.demo().clients["portal"].redirect_uri.as_deref().unwrap();
        vec![
            ("ISSUER", self.house.issuer()),
            ("API", &self.api),
            ("CLIENT_ID", id),
            ("CLIENT_SECRET", secret),
            ("REDIRECT_URI", uri),
            ("LOGGED_OUT_URI", LOGGED_OUT),
            ("TENANT", "acme-corp"),
        ]
    }

    /// What every portal must have come to.
    fn check(&self, done: &Done) {
        assert_eq!(done.step("discovery")["issuer"], self.house.issuer());
        let pat = self.house.user(PAT);
        assert_eq!(done.step("login")["sub"], pat);
        assert_eq!(done.step("login")["acr"], "urn:procura:acr:pwd");
        assert_eq!(done.step("userinfo")["email"], PAT);
        assert_eq!(done.step("refresh")["sub"], pat);
        assert_eq!(done.step("nowhere")["error"], "invalid_target");
        assert_eq!(done.step("exchange")["tenant"], self.house.tenant("acme-corp"));
        assert_eq!(done.step("call")["status"], 200);
        assert_eq!(done.step("refresh after logout")["error"], "invalid_grant");
    }
}

/// Goes to the address as Pat, and says where it ended.
async fn open(visitor: &Visitor, at: &Value) -> String {
    visitor.pass(at.as_str().expect("an address"), PAT).await.location().to_owned()
}

#[tokio::test]
async fn a_portal_with_openid_client_of_node() {
    let stage = Stage::set(&[]).await;
    let (visitor, portal) = (stage.house.visitor(), stage.portal().await);
    let script = Script::node("portal.mjs", &portal);
    let done = script.run(async |_, at| open(&visitor, at).await).await;
    stage.check(&done);
    // It was told nothing but the address of the API.
    assert_eq!(done.step("resource")["resource"], stage.api);
    let verified = done.step("verify");
    assert_eq!(verified["tenant"], stage.house.tenant("acme-corp"));
    assert_eq!(verified["actor"], stage.house.user(PAT));
    assert_eq!(verified["actor_tenant"], stage.house.tenant("northwind"));
    let elsewhere = &done.step("verify elsewhere")["error"];
    assert_eq!(elsewhere, "ERR_JWT_CLAIM_VALIDATION_FAILED");
    done.step("revoke");
    assert_eq!(done.step("logout")["to"], LOGGED_OUT);
    assert_eq!(done.step("logout")["is_same_state"], true);
}

#[tokio::test]
async fn a_portal_with_authlib_of_python() {
    let stage = Stage::set(&[]).await;
    let (visitor, portal) = (stage.house.visitor(), stage.portal().await);
    let script = Script::python("portal.py", &portal);
    let done = script.run(async |_, at| open(&visitor, at).await).await;
    stage.check(&done);
    assert_eq!(done.step("exchange")["actor"], stage.house.user(PAT));
    assert_eq!(done.step("exchange")["actor_tenant"], stage.house.tenant("northwind"));
    assert_eq!(done.step("logout")["to"], format!("{LOGGED_OUT}?state=some+state"));
}

#[tokio::test]
async fn a_fapi_client_with_openid_client_of_node_with_and_without_nonces() {
    for nonces in ["true", "false"] {
        let stage = Stage::set(&[("PROCURA__TOKENS__IS_DPOP_NONCE_REQUIRED", nonces)]).await;
        let (house, visitor) = (&stage.house, stage.house.visitor());
        let environment = [
            ("ISSUER", house.issuer()),
            ("API", stage.api.as_str()),
            ("REDIRECT_URI", CALLBACK),
            ("TENANT", "acme-corp"),
        ];
        let script = Script::node("fapi.mjs", &environment);
        let answer = async |what: &str, about: &Value| match what {
            "register" => {
                let keys = about.clone();
                let software = house.software(Profile::Fapi2, |client| {
                    client.registration.jwks = Some(keys);
                    client.grant_types.insert(EXCHANGE.to_owned());
                });
                software.await.id
            }
            _ => open(&visitor, about).await,
        };
        let done = script.run(answer).await;
        // Everything else stands in what was signed and pushed.
        assert_eq!(done.step("push")["signed"], json!(["client_id", "request"]));
        assert_eq!(done.step("push")["parameters"], json!(["client_id", "request_uri"]));
        assert_eq!(done.step("answer")["parameters"], json!(["response"]));
        let login = done.step("login");
        assert_eq!(login["sub"], house.user(PAT));
        assert_eq!(login["token_type"].as_str().unwrap().to_lowercase(), "dpop");
        assert_eq!(done.step("userinfo")["sub"], house.user(PAT));
        assert_eq!(done.step("exchange")["tenant"], house.tenant("acme-corp"));
        assert_eq!(done.step("call")["status"], 200);
        assert_eq!(done.step("call")["tenant"], house.tenant("acme-corp"));
        assert_eq!(done.step("call without the key")["status"], 401);
        assert_eq!(done.step("code again")["error"], "invalid_grant");
    }
}
