//! A page, as a person's browser shows it: a real Chromium, without a window and without scripts.

use std::{env, fs, path::Path, process::Command};

use crate::{process::run, scratch::Scratch};

/// What the browser saw.
#[derive(Debug)]
pub struct Seen {
    /// The page, as the browser understood it.
    pub dom: String,
    /// What it complained about.
    pub log: String,
}

/// Visits a URL with a fresh profile, with scripts switched off; takes a picture where one is wanted.
/// `None` where the tests were asked to do without a browser.
pub fn browse(url: &str, picture: Option<&Path>) -> Option<Seen> {
    visit(url, picture, false)
}

/// The same with scripts, as most people have it.
pub fn browse_with_scripts(url: &str) -> Option<Seen> {
    visit(url, None, true)
}

fn visit(url: &str, picture: Option<&Path>, has_scripts: bool) -> Option<Seen> {
    if env::var_os("PROCURA_TESTS_NO_BROWSER").is_some_and(|set| set == "1") {
        return None;
    }
    let profile = Scratch::new();
    // By setting, as a person would: the switch for it would blind `--dump-dom` as well.
    let settings = r#"{"profile":{"default_content_setting_values":{"javascript":2}}}"#;
    fs::create_dir(profile.path().join("Default")).expect("a new profile");
    let mut command = Command::new("chromium");
    command.args([
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--no-proxy-server",
        "--disable-background-networking",
        "--disable-component-update",
        "--enable-logging=stderr",
        "--v=0",
        "--window-size=900,700",
        "--dump-dom",
    ]);
    if has_scripts {
        // What scripts set off is waited for.
        command.arg("--virtual-time-budget=5000");
    } else {
        fs::write(profile.path().join("Default/Preferences"), settings).expect("a new profile");
    }
    command.arg(format!("--user-data-dir={}", profile.path().display()));
    if let Some(picture) = picture {
        command.arg(format!("--screenshot={}", picture.display()));
    }
    let ended = run({
        command.arg(url);
        command
    });
    assert!(ended.status.success(), "chromium failed: {}", ended.stderr);
    Some(Seen { dom: ended.stdout, log: ended.stderr })
}
