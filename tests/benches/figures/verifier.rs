//! P7: what an accepted request costs in the verifier, ÷ the bare verification of its signature; and
//! what a verifier weighs. The node has revoked a hundred thousand tokens of other people before.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use procura_token::{Jwks, jws::kid_of, revocation::Key};
use procura_verify::{Config, Verifier};
use sqlx::{ConnectOptions, Connection as _, Row, sqlite::SqliteConnectOptions};
use tokio::time::timeout;

use crate::{
    Failure,
    http::{Connection, request},
    isp::Isp,
    load::median,
    people::{Demo, PARTNER, Person, access_token},
    report::Report,
    world::{Settings, Site, World},
};

/// As many entries the revocation log has.
const ENTRIES: i64 = 100_000;
/// Different tokens.
const TOKENS: usize = 1_000;
/// Bare, cold and warm come in turns, so many times.
const ROUNDS: usize = 7;
/// Every token is accepted warm so often in a round.
const WARM: usize = 20;
/// A verifier that is not ready by then never will be.
const PATIENCE: Duration = Duration::from_secs(15);
/// What an allocator and its caches need to settle.
const SETTLE: Duration = Duration::from_secs(2);

/// Measures and reports cost and weight.
pub async fn measure(site: &Site, report: &mut Report) -> Result<(), Failure> {
    let settings = Settings { cores: site.one_core(), ..Settings::default() };
    let mut world = World::start(site, "revoked", settings)?;
    let without = weight(site, "light", &world).await?;
    world.end()?;
    revoke(&world.data.join("procura.db")).await?;
    world.start_again()?;
    let with = weight(site, "heavy", &world).await?;
    costs(&world, report).await?;
    report.shown("", "verifier's process, no entries", &format!("{without:.1} MB"));
    report.shown("", "verifier's process, 100,000 entries", &format!("{with:.1} MB"));
    report.shown("", "  with ÷ without", &format!("{:.2}", with / without));
    Ok(())
}

/// Resident memory of a resource server that has just become ready, in MB.
async fn weight(site: &Site, name: &str, world: &World) -> Result<f64, Failure> {
    let cores = site.both_cores();
    let file = world.data.join("demo.json");
    let isp = Isp::start(site, name, &file, &[], cores.as_deref()).await?;
    tokio::time::sleep(SETTLE).await;
    isp.memory()
}

/// Writes the log as if so many tokens had been revoked in the last moment.
async fn revoke(file: &Path) -> Result<(), Failure> {
    const HEAD: &str = "SELECT revocation_seq FROM head";
    const INSERT: &str = "INSERT INTO revocations (seq, prev, kind, key_hash, cause, at, expires_at) \
                          VALUES ($1, $2, 'jti', $3, 'token.revoke', $1, $4)";
    const ADVANCE: &str = "UPDATE head SET revocation_seq = $1";
    const NEWEST: &str = "SELECT max(created_at) FROM tenants";
    /// Longer than the run.
    const LIFE_MICROS: i64 = 3_600 * 1_000_000;
    let mut connection = SqliteConnectOptions::new().filename(file).connect().await?;
    let mut open = connection.begin().await?;
    let mut prev: i64 = sqlx::query(HEAD).fetch_one(&mut *open).await?.try_get(0)?;
    let newest: i64 = sqlx::query(NEWEST).fetch_one(&mut *open).await?.try_get(0)?;
    for number in 0..ENTRIES {
        let seq = (prev + 1).max(newest);
        let key = Key::Jti(&format!("jti_of_somebody_{number}")).hash().to_string();
        let insert = sqlx::query(INSERT).bind(seq).bind(prev).bind(key).bind(seq + LIFE_MICROS);
        insert.execute(&mut *open).await?;
        prev = seq;
    }
    sqlx::query(ADVANCE).bind(prev).execute(&mut *open).await?;
    open.commit().await?;
    connection.close().await?;
    Ok(())
}

/// A token and what its bare signature is made of.
struct Token {
    text: String,
    signed: usize,
    signature: Vec<u8>,
}

async fn costs(world: &World, report: &mut Report) -> Result<(), Failure> {
    let demo = Demo::read(&world.data)?;
    let (_, home) = Person::log_in(world.address(), &demo, PARTNER).await?;
    let mut connection = Connection::open(world.address()).await?;
    let mut tokens = Vec::with_capacity(TOKENS);
    let exchange = demo.exchange(&home)?;
    for _ in 0..TOKENS {
        let answer = connection.ask(&exchange).await?.expect(200)?.json()?;
        tokens.push(Token::new(access_token(&answer)?)?);
    }
    let key = key(&mut connection, &tokens[0].text).await?;
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let verifier = verifier(&demo).await?;
        let bare = bare(&key, &tokens)?;
        let cold = accepted(&verifier, &tokens, 1).await?;
        let warm = accepted(&verifier, &tokens, WARM).await?;
        rounds.push([bare, cold, warm]);
    }
    let by = |of: fn(&[f64; 3]) -> f64| median(rounds.iter().map(of).collect());
    report.at_most("P7", "accepted, warm ÷ bare verify", by(|r| r[2] / r[0]), (0.1, ""));
    report.at_most("", "accepted, cold ÷ bare verify", by(|r| r[1] / r[0]), (1.15, ""));
    let [bare, cold, warm] = [by(|r| r[0]), by(|r| r[1]), by(|r| r[2])];
    let micros = format!("{bare:.1}, {cold:.1}, {warm:.2} µs");
    report.shown("", "  bare verify, cold, warm", &micros);
    Ok(())
}

/// A verifier that has seen no token yet, in step with all entries.
async fn verifier(demo: &Arc<Demo>) -> Result<Verifier, Failure> {
    let isp = demo.client("isp")?;
    let verifier = Verifier::start(Config {
        name: "figures".to_owned(),
        accepts_delegated: true,
        ..Config::new(&demo.issuer, &isp.audience, &isp.client_id, &isp.client_secret)
    })
    .map_err(|error| Failure::new(&error.to_string()))?;
    let ready = timeout(PATIENCE, verifier.ready()).await;
    ready.map_err(|_| Failure::new("the verifier is not ready"))?;
    if i64::try_from(verifier.status().entries).unwrap_or_default() < ENTRIES {
        return Err(Failure::new("the verifier does not hold the revocations"));
    }
    Ok(verifier)
}

impl Token {
    fn new(text: String) -> Result<Self, Failure> {
        let wrong = || Failure::new("not a token");
        let (signed, signature) = text.rsplit_once('.').ok_or_else(wrong)?;
        let signature = B64.decode(signature).map_err(|_| wrong())?;
        Ok(Self { signed: signed.len(), signature, text })
    }
}

/// The public key that signed it, ready to verify.
async fn key(connection: &mut Connection, token: &str) -> Result<ParsedPublicKey, Failure> {
    let wrong = || Failure::new("no key for the token");
    let jwks = connection.ask(&request("GET /oauth2/jwks", &[], "")).await?.expect(200)?.json()?;
    let jwks: Jwks = serde_json::from_value(jwks).map_err(|_| wrong())?;
    let kid = kid_of(token).ok_or_else(wrong)?;
    let jwk = jwks.keys.into_iter().find(|jwk| jwk.kid == kid).ok_or_else(wrong)?;
    let mut point = vec![4];
    for part in [jwk.x, jwk.y] {
        point.extend(B64.decode(part.ok_or_else(wrong)?).map_err(|_| wrong())?);
    }
    ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).map_err(|_| wrong())
}

/// Microseconds for one signature, with nothing around it.
fn bare(key: &ParsedPublicKey, tokens: &[Token]) -> Result<f64, Failure> {
    let begun = Instant::now();
    for Token { text, signed, signature } in tokens {
        let fits = key.verify_sig(&text.as_bytes()[..*signed], signature);
        fits.map_err(|_| Failure::new("a signature does not fit"))?;
    }
    Ok(micros(begun, tokens.len()))
}

/// Microseconds for one accepted token.
async fn accepted(verifier: &Verifier, tokens: &[Token], times: usize) -> Result<f64, Failure> {
    // The lease is renewed on this same thread.
    tokio::time::sleep(Duration::from_millis(20)).await;
    let begun = Instant::now();
    for _ in 0..times {
        for Token { text, .. } in tokens {
            let accepted = verifier.check(text).await;
            accepted.map_err(|refused| Failure::new(&format!("refused: {refused}")))?;
        }
    }
    Ok(micros(begun, tokens.len() * times))
}

fn micros(begun: Instant, count: usize) -> f64 {
    begun.elapsed().as_secs_f64() * 1e6 / f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
