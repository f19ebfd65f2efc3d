//! `procura dev --demo`: seeds the demo once, writes down how to use it, and prints what to try.

use std::path::Path;

use procura_issuer::{Issuer, demo::Demo};

use crate::{failure::Failure, keys::write_private};

/// The sample resource server's address, and so the audience of its tokens.
const AUDIENCE: &str = "http://127.0.0.1:5100";

/// Seeds the demo into an empty folder; in one that has it already, only prints what to try.
pub async fn prepare(issuer: &Issuer, data: &Path, is_first: bool) -> Result<(), Failure> {
    let file = data.join("demo.json");
    let demo = if is_first {
        let audience = std::env::var("PROCURA_DEMO_AUDIENCE").unwrap_or(AUDIENCE.to_owned());
        let seeded = issuer.seed_demo(&audience).await;
        seeded.map_err(|error| Failure::of("the demo could not be seeded", error))?
    } else {
        let text = std::fs::read_to_string(&file).map_err(|error| {
            Failure::of(&format!("{} (not a demo folder?)", file.display()), error)
        })?;
        let mut demo: Demo = serde_json::from_str(&text)
            .map_err(|error| Failure::of(&file.display().to_string(), error))?;
        // The listener may be another one this time.
        demo.issuer.clone_from(&issuer.settings().issuer);
        demo
    };
    let json =
        serde_json::to_string_pretty(&demo).map_err(|error| Failure::of("demo.json", error))?;
    let script = script(&demo);
    for (name, text) in [("demo.json", &json), ("demo.sh", &script)] {
        write_private(&data.join(name), text)
            .map_err(|error| Failure::of(&data.join(name).display().to_string(), error))?;
    }
    print_what_to_try(&demo, data);
    Ok(())
}

/// Shell functions that do with curl what a portal does: log in by the real pages, switch tenants.
fn script(demo: &Demo) -> String {
    let portal = demo.clients.get("portal");
    let id = portal.map(|p| p.client_id.to_string()).unwrap_or_default();
    let secret = portal.and_then(|p| p.client_secret.clone()).unwrap_or_default();
    let redirect = portal.and_then(|p| p.redirect_uri.clone()).unwrap_or_default();
    include_str!("../assets/demo.sh")
        .replace("@ISSUER@", &demo.issuer)
        .replace("@PASSWORD@", &demo.password)
        .replace("@CLIENT_ID@", &id)
        .replace("@CLIENT_SECRET@", &secret)
        .replace("@REDIRECT_URI@", &redirect)
}

fn print_what_to_try(demo: &Demo, data: &Path) {
    let script = data.join("demo.sh");
    println!(
        "
A demo world: partner northwind; customers acme-corp (on), fabrikam (restricted), contoso (off),
globex (asked), initech (trusts northwind); stranger umbrella. Everybody's password: {password}
Ids and secrets are in {json}.

Try, in a second terminal (bash, curl, jq):

  cargo run --release -p sample-isp -- --data {isp} --demo {json} &
  . {script}
  PAT=$(login pat@northwind.test)              # a partner's admin logs in
  ACME=$(switch \"$PAT\" acme-corp)              # and acts in a customer's tenant
  curl -s -H \"Authorization: Bearer $ACME\" http://127.0.0.1:5100/api/v1/partner/billing/summary
  ADA=$(login ada@acme.test)                   # the customer's admin sees it
  curl -s -H \"Authorization: Bearer $ADA\" {issuer}/api/tenants/partner-activity | jq '.[].action'
  curl -s -X PUT -H \"Authorization: Bearer $ADA\" -H 'Content-Type: application/json' \\
    -d '{{\"mode\":\"off\"}}' '{issuer}/api/tenants/partner-access?confirm=applied'
  curl -i -H \"Authorization: Bearer $ACME\" http://127.0.0.1:5100/api/v1/partner/billing/summary
",
        password = demo.password,
        json = data.join("demo.json").display(),
        isp = data.join("sample-isp").display(),
        script = script.display(),
        issuer = demo.issuer,
    );
}
