//! A relying party with other wishes than the portal of the demo: its registration is written straight
//! into the database, and its requests carry whatever a test wants.

use procura_tests::{Answer, House, Visitor, form};
use serde_json::{Value, json};
use sqlx::{
    AssertSqlSafe, Connection, PgConnection, SqliteConnection, sqlite::SqliteConnectOptions,
};
use url::Url;

use super::credentials;

/// What it may ask for.
pub const SCOPE: &str = "openid profile email address phone offline_access partner.tenants.list \
                         partner.tenants.switch_context tenant.admin";
const REDIRECT_URI: &str = "http://127.0.0.1:8400/callback";

/// Changes rows of the house's database, as if somebody had registered it so.
pub async fn change(house: &House, statement: String) {
    ask(house, statement).await;
}

/// The texts in the first column.
pub async fn ask(house: &House, statement: String) -> Vec<String> {
    use sqlx::Row;
    let statement = AssertSqlSafe(statement);
    if let Some(url) = house.database() {
        let mut connection = PgConnection::connect(url).await.unwrap();
        sqlx::query("SELECT set_config('procura.tenant', '*', false)")
            .execute(&mut connection)
            .await
            .unwrap();
        let rows = sqlx::query(statement).fetch_all(&mut connection).await.unwrap();
        return rows.iter().map(|row| row.get(0)).collect();
    }
    let options = SqliteConnectOptions::new().filename(house.data().join("procura.db"));
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    let rows = sqlx::query(statement).fetch_all(&mut connection).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

/// Registers a client of the demo anew: under this profile, for logins and refresh tokens.
pub async fn register(house: &House, name: &str, profile: &str, registration: Value) {
    let (id, _) = credentials(house, name);
    let grants = "authorization_code refresh_token client_credentials \
                  urn:ietf:params:oauth:grant-type:token-exchange";
    change(
        house,
        format!(
            "UPDATE clients SET profile = '{profile}', registration = '{registration}', \
             redirect_uris = '[\"{REDIRECT_URI}\"]', scope = '{SCOPE}', grant_types = '{grants}', \
             version = version + 1 WHERE id = '{id}'"
        ),
    )
    .await;
}

/// A house whose portal is a client of OpenID Connect as the conformance suite knows it.
pub async fn house_of_openid() -> House {
    let house = House::start();
    register(&house, "portal", "oidc", json!({})).await;
    house
}

/// Where the client sends a browser; without PKCE unless a test adds it.
pub fn request(house: &House, more: &[(&str, &str)]) -> Url {
    let mut url = Url::parse(&format!("{}/oauth2/authorize", house.url())).unwrap();
    let (id, _) = credentials(house, "portal");
    let usual = [
        ("client_id", id),
        ("redirect_uri", REDIRECT_URI),
        ("response_type", "code"),
        ("scope", "openid"),
        ("state", "some state"),
    ];
    let usual = usual.into_iter().filter(|(name, _)| !more.iter().any(|(other, _)| other == name));
    url.query_pairs_mut().extend_pairs(usual).extend_pairs(more);
    url
}

/// Follows our own pages as this person until something else comes.
pub async fn follow(house: &House, visitor: &Visitor, mut answer: Answer, email: &str) -> Answer {
    for _ in 0..4 {
        let Some(to) = answer.header("location").map(ToOwned::to_owned) else { return answer };
        if to.starts_with("/login") {
            let page = visitor.visit(&to).await;
            let login = form(&page.expect(200).text, "login-form")
                .with("email", email)
                .with("password", &house.demo().password);
            answer = visitor.submit(&login).await;
        } else if to.starts_with("/consent") {
            let page = visitor.visit(&to).await;
            let consent = form(&page.expect(200).text, "consent-form").press("decision", "allow");
            answer = visitor.submit(&consent).await;
        } else {
            return answer;
        }
    }
    panic!("the pages lead nowhere")
}

/// The request, answered by this person as far as the person is asked.
pub async fn authorize(house: &House, visitor: &Visitor, url: &Url, email: &str) -> Url {
    let answer = visitor.visit(url.as_str()).await;
    let answer = follow(house, visitor, answer, email).await;
    Url::parse(answer.location()).unwrap()
}

/// A parameter of the redirect to the client.
pub fn value(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
}

/// The error that the client hears at once, without any page.
pub async fn refused(visitor: &Visitor, url: &Url) -> String {
    let answer = visitor.visit(url.as_str()).await;
    let to = Url::parse(answer.location()).unwrap_or_else(|_| panic!("{}", answer.location()));
    value(&to, "error").unwrap_or_else(|| panic!("no error: {to}"))
}

/// Redeems a code, without PKCE.
pub async fn redeem(house: &House, code: &str) -> Answer {
    let form =
        [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", REDIRECT_URI)];
    house.token(&form).await
}

/// Logs in with these parameters and gets the tokens.
pub async fn tokens(
    house: &House,
    visitor: &Visitor,
    more: &[(&str, &str)],
    email: &str,
) -> Answer {
    let back = authorize(house, visitor, &request(house, more), email).await;
    let code = value(&back, "code").unwrap_or_else(|| panic!("no code: {back}"));
    let answer = redeem(house, &code).await;
    answer.expect(200);
    answer
}

/// Refreshes as the portal.
pub async fn refresh(house: &House, token: &str) -> Answer {
    house.token(&[("grant_type", "refresh_token"), ("refresh_token", token)]).await
}
