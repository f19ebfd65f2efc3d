//! RFC 7662: who may ask about a token.

use procura_tests::{Answer, House};

use super::{PAT, READ_BILLING, at, credentials, http, send};

async fn introspect(house: &House, by: (&str, &str), form: &[(&str, &str)]) -> Answer {
    let request = http().post(at(house, "/oauth2/introspect"));
    send(request.basic_auth(by.0, Some(by.1)).form(form)).await
}

#[tokio::test]
async fn section_2_2_only_the_audiences_own_resource_server_learns_anything() {
    let house = House::start();
    let pat = house.log_in(PAT).await;
    let token = pat.switch("acme-corp", READ_BILLING).await;
    let isp = credentials(&house, "isp");
    let alive = introspect(&house, isp, &[("token", &token)]).await.expect(200).json();
    assert_eq!((&alive["active"], &alive["scope"]), (&true.into(), &READ_BILLING.into()));
    assert_eq!(alive["tenant"], house.tenant("acme-corp"));

    // Garbage, a truncated token, and one for somebody else look the same.
    let truncated = &token[..token.len() - 1];
    for other in ["garbage", truncated, pat.home.as_str(), pat.id_token.as_str()] {
        let answer = introspect(&house, isp, &[("token", other)]).await;
        assert_eq!(answer.expect(200).text, r#"{"active":false}"#);
    }
    introspect(&house, isp, &[]).await.oauth_error(400, "invalid_request");
    // A portal is no resource server.
    let portal = credentials(&house, "portal");
    for by in [portal, (isp.0, "wrong"), ("cli_nobody", "x")] {
        introspect(&house, by, &[("token", &token)]).await.oauth_error(401, "invalid_client");
    }
}
