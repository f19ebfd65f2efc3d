//! Mail tells of what is committed, and of all of it, whenever the process dies.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    time::Duration,
};

use procura_tests::{Answer, House, HouseOptions, eventually};
use procura_token::crypto::{hex, sha256};
use serde_json::json;

use super::{PAT, health::Lock};

const TENANTS: &str = "/api/partners/tenants";

/// The names of the files in the folder of the mail.
fn waiting(house: &House) -> BTreeSet<String> {
    let files = fs::read_dir(house.data().join("mail")).into_iter().flatten();
    files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect()
}

fn ends_with(names: &BTreeSet<String>, end: &str) -> usize {
    names.iter().filter(|name| name.ends_with(end)).count()
}

/// The id of the admin who is invited.
fn invited(answer: &Answer) -> String {
    answer.expect(201).json()["admin"]["id"].as_str().expect("an id").to_owned()
}

#[tokio::test]
async fn a_mail_is_put_out_after_the_commit_and_only_then() {
    let house = House::on_a_file();
    let pat = house.log_in(PAT).await;
    let new = json!({ "name": "Zenith Ltd", "admin_email": "zoe@zenith.test" });
    let lock = Lock::take(&house).await;
    let made = async {
        // Nobody can write: the transaction waits, and then the answer is "later".
        pat.post(TENANTS, &new).await.problem(503, "unavailable");
    };
    let watched = async {
        eventually("it is written down", async || {
            (ends_with(&waiting(&house), ".draft") == 1).then_some(())
        })
        .await;
        assert_eq!(ends_with(&waiting(&house), ".eml"), 0, "nothing is committed");
    };
    tokio::join!(made, watched);
    assert!(waiting(&house).is_empty(), "what did not come to be is told to nobody");
    lock.release().await;
    let made = invited(&pat.post(TENANTS, &new).await);
    assert_eq!(waiting(&house), BTreeSet::from([format!("invitation-{made}.eml")]));
    // The address is taken: no second mail.
    pat.post(TENANTS, &new).await.problem(409, "conflict");
    assert_eq!(waiting(&house).len(), 1);
}

#[tokio::test]
async fn whoever_died_between_the_commit_and_the_mail_puts_it_out_at_the_next_start() {
    let options = HouseOptions { is_restarted: true, ..HouseOptions::default() };
    let mut house = House::on_a_file_with(options);
    let pat = house.log_in(PAT).await;
    let new = json!({ "name": "Zenith Ltd", "admin_email": "zoe@zenith.test" });
    let id = invited(&pat.post(TENANTS, &new).await);
    house.kill();
    // As if it had been killed an instant earlier.
    let folder = house.data().join("mail");
    let mail = folder.join(format!("invitation-{id}.eml"));
    let text = fs::read_to_string(&mail).unwrap();
    let link = text.lines().find(|line| line.starts_with("http")).expect("a link").to_owned();
    let token = link.split("token=").nth(1).unwrap();
    let draft = |token: &str| {
        folder.join(format!("invitation-{id}.{}.draft", hex(&sha256(&[token.as_bytes()]))))
    };
    fs::rename(&mail, draft(token)).unwrap();
    // Two of which nothing is committed: one may be under way, the other cannot.
    fs::write(draft("young"), "To: nobody\n").unwrap();
    fs::write(draft("old"), "To: nobody\n").unwrap();
    let old = File::options().write(true).open(draft("old")).unwrap();
    let written = old.metadata().unwrap().modified().unwrap();
    old.set_modified(written - Duration::from_hours(1)).unwrap();

    house.start_again();
    eventually("the mail is put out", async || mail.exists().then_some(())).await;
    assert_eq!(fs::read_to_string(&mail).unwrap(), text);
    assert!(!draft(token).exists());
    eventually("nothing is kept for ever", async || (!draft("old").exists()).then_some(())).await;
    assert!(draft("young").exists());
    house.visitor().visit(&link).await.expect(200);
}
