//! The pages, as a person's browser shows them: Chromium, without scripts.

use std::{env, fs, path::PathBuf};

use procura_tests::{House, Scratch, browse};

const VIOLATION: &str = "violates the following Content Security Policy directive";

#[test]
fn the_login_page_works_without_scripts_and_breaks_no_rule_of_its_own() {
    let house = House::start();
    let (url, _) = house.visitor().start();
    let picture = env::var_os("PROCURA_TESTS_SCREENSHOTS")
        .map(|folder| PathBuf::from(folder).join("login.png"));
    // The authorization request itself: it sets the cookie and leads to the page.
    let Some(seen) = browse(url.as_str(), picture.as_deref()) else { return };
    for id in ["login-form", "email", "password", "login-submit"] {
        assert!(seen.dom.contains(&format!("id=\"{id}\"")), "no {id} in {}", seen.dom);
    }
    assert!(seen.dom.contains("Partner Portal"), "it says where the login leads: {}", seen.dom);
    assert!(!seen.dom.contains("<script"), "{}", seen.dom);
    for complaint in [VIOLATION, "CONSOLE"] {
        assert!(!seen.log.contains(complaint), "{}", seen.log);
    }
}

#[test]
fn the_page_for_devices_works_without_scripts_too() {
    let house = House::start();
    let url = format!("{}/device?user_code=wdjb+mjht", house.issuer());
    let Some(seen) = browse(&url, None) else { return };
    for shown in ["device-form", "user_code", "device-submit", "value=\"WDJB-MJHT\""] {
        assert!(seen.dom.contains(shown), "no {shown} in {}", seen.dom);
    }
    for complaint in [VIOLATION, "CONSOLE"] {
        assert!(!seen.log.contains(complaint), "{}", seen.log);
    }
}

/// A witness that cannot see proves nothing.
#[test]
fn the_browser_runs_no_scripts_and_says_what_a_policy_forbids() {
    let folder = Scratch::new();
    let page = folder.path().join("page.html");
    let html = "<meta http-equiv=Content-Security-Policy content=\"img-src 'none'\"><p id=a>off</p>\
                <script>document.getElementById('a').textContent = 'on'</script>\
                <img src=https://x.test/a.png>";
    fs::write(&page, html).unwrap();
    let Some(seen) = browse(&format!("file://{}", page.display()), None) else { return };
    assert!(seen.dom.contains(">off</p>"), "{}", seen.dom);
    assert!(seen.log.contains(VIOLATION), "{}", seen.log);
}
