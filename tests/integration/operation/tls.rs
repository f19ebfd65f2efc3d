//! TLS that the server ends itself: versions and suites, certificates that change, files that are bad.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use procura_outbound::{Error, Outbound, Settings};
use procura_tests::{
    Alone, Authority, House, HouseOptions, KeyKind, Scratch, eventually, form, procura,
};
use reqwest::{
    Certificate, Client,
    header::{COOKIE, ORIGIN, SET_COOKIE},
    redirect::Policy,
};
use tokio::{io::AsyncReadExt, net::TcpStream};

use super::get_private;

/// A house that ends TLS with the pair in two files of its own.
struct Place {
    house: House,
    authority: Authority,
    folder: Scratch,
}

impl Place {
    fn with(kind: KeyKind) -> Self {
        let (authority, folder) = (Authority::new(), Scratch::new());
        let place = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        put(authority.certify("first", kind, 2), folder.path());
        let house = House::start_with(HouseOptions {
            environment: vec![
                ("PROCURA__TLS__CERTIFICATE", place("tls.pem")),
                ("PROCURA__TLS__KEY", place("tls.key")),
                ("PROCURA__METRICS__LISTEN", "127.0.0.1:0".to_owned()),
            ],
            ..HouseOptions::default()
        });
        Self { house, authority, folder }
    }

    fn address(&self) -> &str {
        self.house.issuer().strip_prefix("https://").expect("it speaks TLS")
    }

    fn client(&self) -> Client {
        let ca = fs::read(self.authority.certificate()).unwrap();
        let builder = Client::builder().no_proxy().pool_max_idle_per_host(0);
        let builder = builder.redirect(Policy::none());
        builder.tls_certs_only([Certificate::from_pem(&ca).unwrap()]).build().unwrap()
    }

    /// Whether openssl gets through with these arguments, and what it says.
    fn shake_hands(&self, arguments: &str) -> (bool, String) {
        self.authority.shake_hands(self.address(), &format!("-brief {arguments}"))
    }

    /// The common name in the certificate that the server shows.
    fn shown(&self) -> String {
        let (_, said) = self.shake_hands("");
        let line = said.lines().find_map(|line| line.strip_prefix("Peer certificate: CN = "));
        line.unwrap_or_else(|| panic!("{said}")).to_owned()
    }

    async fn shows(&self, name: &str) {
        eventually("another certificate is shown", async || (self.shown() == name).then_some(()))
            .await;
    }
}

/// Puts a pair where the server looks for it, each file in one step.
fn put((certificate, key): (PathBuf, PathBuf), folder: &Path) {
    for (from, name) in [(key, "tls.key"), (certificate, "tls.pem")] {
        let draft = folder.join("draft");
        fs::copy(from, &draft).unwrap();
        fs::rename(draft, folder.join(name)).unwrap();
    }
}

#[tokio::test]
async fn only_good_versions_and_suites_are_spoken() {
    for (kind, name) in [(KeyKind::Ec, "ECDSA"), (KeyKind::Rsa, "RSA")] {
        let place = Place::with(kind);
        let (is_good, said) = place.shake_hands("");
        assert!(is_good && said.contains("Protocol version: TLSv1.3"), "{said}");
        for suite in ["AES128-GCM-SHA256", "AES256-GCM-SHA384"] {
            let suite = format!("ECDHE-{name}-{suite}");
            let (is_good, said) = place.shake_hands(&format!("-tls1_2 -cipher {suite}"));
            assert!(is_good && said.contains(&format!("Ciphersuite: {suite}")), "{said}");
        }
        for refused in [
            "-tls1_1 -cipher ALL:@SECLEVEL=0".to_owned(),
            "-tls1 -cipher ALL:@SECLEVEL=0".to_owned(),
            format!("-tls1_2 -cipher ECDHE-{name}-CHACHA20-POLY1305"),
            format!("-tls1_2 -cipher ECDHE-{name}-AES128-SHA256"),
            format!("-tls1_2 -cipher ECDHE-{name}-AES256-SHA"),
            "-tls1_2 -cipher AES128-GCM-SHA256:AES256-GCM-SHA384:AES128-SHA".to_owned(),
            "-tls1_2 -cipher DHE-RSA-AES128-GCM-SHA256".to_owned(),
        ] {
            let (is_good, said) = place.shake_hands(&refused);
            assert!(!is_good && said.contains("alert"), "{refused}: {said}");
        }
    }
}

#[tokio::test]
async fn requests_come_over_tls_and_not_without() {
    let place = Place::with(KeyKind::Ec);
    let issuer = place.house.issuer();
    assert_eq!(place.house.demo().issuer, issuer);
    let answer = place.client().get(format!("{issuer}/.well-known/openid-configuration")).send();
    let answer = answer.await.unwrap();
    assert_eq!(answer.headers()["strict-transport-security"], "max-age=63072000");
    let found: serde_json::Value = answer.json().await.unwrap();
    assert_eq!(found["token_endpoint"], format!("{issuer}/oauth2/token"));
    for (protocols, chosen) in [("h2,http/1.1", "h2"), ("http/1.1", "http/1.1")] {
        let asked = format!("-alpn {protocols}");
        let (is_good, said) = place.authority.shake_hands(place.address(), &asked);
        assert!(is_good && said.contains(&format!("ALPN protocol: {chosen}\n")), "{said}");
    }
    let plain = issuer.replace("https:", "http:");
    assert!(place.client().get(format!("{plain}/livez")).send().await.is_err());
    // Somebody who says nothing loses the place.
    let mut silent = TcpStream::connect(place.address()).await.unwrap();
    assert_eq!(silent.read(&mut [0; 16]).await.unwrap_or(0), 0);
    let text = get_private(place.house.private_url(), "/metrics").await.expect(200).text.clone();
    let mut lines = text.lines();
    let end = lines.find_map(|l| l.strip_prefix("procura_tls_certificate_not_after_seconds "));
    let start = text.lines().find_map(|l| l.strip_prefix("process_start_time_seconds "));
    let secs = |text: Option<&str>| text.unwrap().parse::<i64>().unwrap();
    let left = secs(end) - secs(start);
    assert!((2 * 86_400 - 120..=2 * 86_400).contains(&left), "{left}");
}

/// The one cookie that an answer sets: its name and value. No other host has a part in it, and it is never
/// sent in the clear.
fn cookie(answer: &procura_tests::Answer) -> (String, String) {
    let set = answer.headers[SET_COOKIE].to_str().unwrap();
    let (pair, attributes) = set.split_once("; ").unwrap();
    assert_eq!(attributes, "Path=/; HttpOnly; SameSite=Lax; Secure");
    let (name, value) = pair.split_once('=').unwrap();
    (name.to_owned(), value.to_owned())
}

#[tokio::test]
async fn over_tls_cookies_are_of_this_host_alone() {
    let place = Place::with(KeyKind::Ec);
    let (issuer, demo) = (place.house.issuer(), place.house.demo());
    let go = async |request: reqwest::RequestBuilder| {
        procura_tests::Answer::of(request.send().await.unwrap()).await
    };
    let (start, _) = place.house.visitor().start();
    let begun = go(place.client().get(start)).await;
    let (name, browser) = cookie(&begun);
    assert_eq!(name, "__Host-procura-browser");
    let page = format!("{issuer}{}", begun.location());
    // A sibling host can plant the plain name, and that is nobody.
    for (name, status) in [("procura-browser", 400), ("__Host-procura-browser", 200)] {
        let visit = place.client().get(&page).header(COOKIE, format!("{name}={browser}"));
        go(visit).await.expect(status);
    }
    let visit = place.client().get(&page).header(COOKIE, format!("{name}={browser}"));
    let login = form(&go(visit).await.text, "login-form").with("email", "pat@northwind.test");
    let login = login.with("password", &demo.password);
    let submit = place.client().post(format!("{issuer}/login")).form(&login.fields);
    let submit = submit.header(ORIGIN, issuer).header(COOKIE, format!("{name}={browser}"));
    let (name, session) = cookie(&go(submit).await);
    assert_eq!(name, "__Host-procura-session");
    for (name, word) in [("procura-session", "logged-out"), (name.as_str(), "logout-confirm")] {
        let visit = place.client().get(format!("{issuer}/logout"));
        let page = go(visit.header(COOKIE, format!("{name}={session}"))).await;
        assert!(page.expect(200).text.contains(word), "{name}");
    }
}

#[tokio::test]
async fn what_the_server_calls_itself_is_trusted_where_the_configuration_says_so() {
    let place = Place::with(KeyKind::Ec);
    let keys = format!("{}/oauth2/jwks", place.house.issuer());
    let ca = fs::read(place.authority.certificate()).unwrap();
    let settings = || Settings::default().allowing(&["127.0.0.0/8".to_owned()]).unwrap();
    let trusting = Outbound::new(settings().trusting(&ca).unwrap());
    assert!(trusting.get_json(&keys).await.unwrap()["keys"].is_array());
    let by_name = keys.replace("127.0.0.1", "localhost");
    assert!(trusting.get_json(&by_name).await.unwrap()["keys"].is_array());
    assert_eq!(Outbound::new(settings()).get_json(&keys).await, Err(Error::Unreachable));
    assert!(settings().trusting(b"nothing in PEM").is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_replaced_under_load_and_nobody_notices() {
    let _alone = Alone::on_the_machine();
    let place = Place::with(KeyKind::Ec);
    assert_eq!(place.shown(), "first");
    let (is_over, served) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let busy: Vec<_> = (0..4)
        .map(|_| {
            let (client, url) = (place.client(), format!("{}/livez", place.house.issuer()));
            let (is_over, served) = (Arc::clone(&is_over), Arc::clone(&served));
            tokio::spawn(async move {
                while !is_over.load(Ordering::SeqCst) {
                    let answer = client.get(&url).send().await.expect("every request is served");
                    assert_eq!(answer.status(), 200);
                    served.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    put(place.authority.certify("second", KeyKind::Rsa, 2), place.folder.path());
    place.shows("second").await;
    let before = served.load(Ordering::SeqCst);
    eventually("the load goes on", async || {
        (served.load(Ordering::SeqCst) > before + 20).then_some(())
    })
    .await;
    is_over.store(true, Ordering::SeqCst);
    for one in busy {
        one.await.unwrap();
    }
}

#[tokio::test]
async fn a_bad_pair_is_not_taken_and_a_good_one_after_it_is() {
    let mut place = Place::with(KeyKind::Ec);
    let folder = place.folder.path().to_owned();
    let second = place.authority.certify("second", KeyKind::Ec, 2);
    let third = place.authority.certify("third", KeyKind::Ec, 2);
    let expired = place.authority.certify("expired", KeyKind::Ec, 0);
    let said = async |house: &House, what: &str| {
        eventually(what, async || house.stderr().contains(what).then_some(())).await;
    };
    // The key of another certificate.
    put((second.0, third.1.clone()), &folder);
    said(&place.house, "tls.key: keys may not be consistent").await;
    fs::write(folder.join("tls.pem"), "-----BEGIN CERTIFICATE-----\nAAAA\n").unwrap();
    said(&place.house, "tls.pem: ").await;
    put(expired, &folder);
    said(&place.house, "it has expired").await;
    fs::remove_file(folder.join("tls.pem")).unwrap();
    assert_eq!(place.shown(), "first");
    put(third, &folder);
    place.shows("third").await;
    let ended = place.house.stop();
    assert!(ended.status.success() && ended.stderr.contains("the old one goes on"), "{ended:?}");
    assert!(!ended.stderr.contains("PRIVATE KEY"), "{ended:?}");
}

#[test]
fn files_that_cannot_be_used_are_named_in_one_line() {
    let (authority, folder) = (Authority::new(), Scratch::new());
    let (pem, key) = authority.certify("own", KeyKind::Ec, 2);
    let (other_pem, _) = authority.certify("other", KeyKind::Ec, 2);
    let open = folder.path().join("open.key");
    fs::copy(&key, &open).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o644)).unwrap();
    let empty = folder.path().join("empty");
    fs::write(&empty, "").unwrap();
    fs::set_permissions(&empty, fs::Permissions::from_mode(0o600)).unwrap();
    let nowhere = folder.path().join("nowhere");
    let none = PathBuf::new();
    let check = |certificate: &Path, key: &Path| {
        let file = folder.path().join("procura.toml");
        let text = format!("[tls]\ncertificate = {certificate:?}\nkey = {key:?}\n");
        fs::write(&file, text).unwrap();
        let data = folder.path().join("data");
        let [file, data] = [&file, &data].map(|path| path.to_str().unwrap());
        procura(&["config", "check", "--config", file, "--data", data])
    };
    assert!(check(&pem, &key).status.success());
    for (certificate, key, why) in [
        (&pem, &none, "tls.certificate and tls.key need each other"),
        (&none, &key, "tls.certificate and tls.key need each other"),
        (&nowhere, &key, "nowhere: No such file"),
        (&pem, &nowhere, "nowhere: No such file"),
        (&empty, &key, "empty: no certificate"),
        (&pem, &empty, "empty: no private key in PEM"),
        (&key, &key, "own.key: no certificate"),
        (&pem, &open, "open.key: others can read this key; the file must have mode 0600"),
        (&other_pem, &key, "own.key: keys may not be consistent"),
    ] {
        let ended = check(certificate, key);
        assert!(ended.refused().contains(why), "{why}: {ended:?}");
    }
}
