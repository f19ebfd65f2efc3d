//! `procura import FILE` and `procura serve --seed FILE`: reads the file, fetches what it says stands
//! elsewhere, and hands it to the issuer. Whatever is wrong is one line with its place.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use procura_issuer::{
    Error, Issuer,
    import::{
        Fault, Imported, Secrets,
        seed::{Place, Private, Seed},
    },
};

use crate::{cli, database, failure::Failure, keys::make_private_folder, start::with_issuer};

const EXAMPLE: &str = include_str!("../assets/seed.example.toml");

/// Larger files are none of these.
const MAX_BYTES: u64 = 8 * 1024 * 1024;
/// A value that stands in a file of its own is no longer.
const MAX_VALUE_BYTES: u64 = 4096;
/// Another node may be at it.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(500);

/// Which file, and where to.
#[derive(Debug, Args)]
pub struct Import {
    #[command(flatten)]
    place: cli::Place,
    /// The file: TOML or JSON.
    #[arg(value_name = "FILE", required_unless_present = "example")]
    file: Option<PathBuf>,
    /// Print an example with comments, and do nothing else.
    #[arg(long, conflicts_with = "file")]
    example: bool,
}

/// Imports a file, beside a running server or into a new database. Secrets that it makes are printed
/// once, on standard output.
pub fn import(import: &Import) -> Result<(), Failure> {
    let Some(file) = import.file.as_deref().filter(|_| !import.example) else {
        print!("{EXAMPLE}");
        return Ok(());
    };
    let config = import.place.load()?;
    // Before anything is made: a file that cannot be read leaves no empty database behind.
    let seed = read(file)?;
    if matches!(database::location(&config)?, procura_store::Location::File(_)) {
        make_private_folder(&config.server.data)?;
    }
    with_issuer(&config, async |issuer| {
        let did = run(&issuer, (&seed, file), Secrets::Shown).await?;
        for line in &did.done {
            println!("{line}");
        }
        for (client, secret) in &did.secrets {
            println!("secret of {client}, shown this once: {secret}");
        }
        for line in &did.left {
            println!("left as it is: {line}");
        }
        if did.done.is_empty() {
            println!("Nothing to change.");
        }
        Ok(())
    })
}

/// Imports a file before a server listens. Nobody looks at its output: secrets must be stated.
pub async fn at_start(issuer: &Issuer, file: &Path) -> Result<(), Failure> {
    let did = run(issuer, (&read(file)?, file), Secrets::Stated).await?;
    for line in &did.done {
        tracing::info!(line, "imported");
    }
    for line in &did.left {
        tracing::info!(line, "not imported: left as it is");
    }
    if did.done.is_empty() {
        tracing::info!("the seed changes nothing");
    }
    Ok(())
}

async fn run(
    issuer: &Issuer,
    (seed, file): (&Seed, &Path),
    secrets: Secrets,
) -> Result<Imported, Failure> {
    let mut tries = 1;
    loop {
        match issuer.import(seed, secrets).await {
            Ok(did) => return Ok(did),
            Err(Fault::Verb(Error::Busy | Error::Conflict)) if tries < TRIES => {
                tries += 1;
                tokio::time::sleep(PAUSE).await;
            }
            Err(fault) => return Err(Failure::of(&file.display().to_string(), fault)),
        }
    }
}

/// The file with everything in it that it says stands elsewhere.
fn read(file: &Path) -> Result<Seed, Failure> {
    let text = bounded(file, MAX_BYTES)?;
    let is_json = match file.extension().and_then(|extension| extension.to_str()) {
        Some("json") => true,
        Some("toml") => false,
        _ => text.trim_start().starts_with('{'),
    };
    let mut seed = if is_json { of_json(&text) } else { of_toml(&text) }
        .map_err(|at| Failure(format!("{}:{at}", file.display())))?;
    let folder = file.parent().unwrap_or(Path::new(""));
    let resolve = |private: Option<&mut Private>, place: String| match private {
        Some(private) => resolve(private, folder)
            .map_err(|why| Failure::of(&file.display().to_string(), format!("{place}: {why}"))),
        None => Ok(()),
    };
    for (n, tenant) in seed.tenants.iter_mut().enumerate() {
        resolve(tenant.partner_code.as_mut(), format!("tenants[{n}].partner_code"))?;
    }
    for (n, user) in seed.users.iter_mut().enumerate() {
        resolve(user.password.as_mut(), format!("users[{n}].password"))?;
        resolve(user.password_hash.as_mut(), format!("users[{n}].password_hash"))?;
    }
    for (n, provider) in seed.identity_providers.iter_mut().enumerate() {
        let place = format!("identity_providers[{n}].client_secret");
        resolve(Some(&mut provider.client_secret), place)?;
    }
    for (n, client) in seed.clients.iter_mut().enumerate() {
        resolve(client.secret.as_mut(), format!("clients[{n}].secret"))?;
    }
    Ok(seed)
}

fn bounded(file: &Path, most: u64) -> Result<String, Failure> {
    let fail = |error: &dyn std::fmt::Display| Failure::of(&file.display().to_string(), error);
    let length = fs::metadata(file).map_err(|error| fail(&error))?.len();
    if length > most {
        return Err(fail(&"is too large"));
    }
    fs::read_to_string(file).map_err(|error| fail(&error))
}

/// Puts the value into the place of where it stands. The value never gets into a message.
fn resolve(private: &mut Private, folder: &Path) -> Result<(), String> {
    let Private::Elsewhere(place) = private else { return Ok(()) };
    let value =
        match place {
            Place::Env(name) => std::env::var(&*name)
                .map_err(|_| format!("the environment has no text {name:?}"))?,
            Place::File(path) => bounded(&folder.join(path), MAX_VALUE_BYTES)
                .map_err(|failure| failure.to_string())?,
        };
    let value = value.strip_suffix('\n').map_or(value.as_str(), |v| v.trim_end_matches('\r'));
    if value.is_empty() {
        return Err("the value is empty".to_owned());
    }
    *private = Private::Stated(value.to_owned());
    Ok(())
}

/// `LINE:COLUMN: what is wrong`, in one line.
fn of_json(text: &str) -> Result<Seed, String> {
    serde_json::from_str(text).map_err(|error| {
        let said = error.to_string();
        let said = said.rsplit_once(" at line ").map_or(said.as_str(), |(said, _)| said);
        format!("{}:{}: {said}", error.line(), error.column())
    })
}

fn of_toml(text: &str) -> Result<Seed, String> {
    toml::from_str(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        let before = text.get(..at).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        format!("{line}:{column}: {}", error.message().replace('\n', ", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(read: Result<Seed, String>) -> String {
        read.err().expect("it was taken")
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said_with_its_place() {
        let toml = "[[tenants]]\nslug = \"a\"\nnmae = \"A\"\n";
        let said = refused(of_toml(toml));
        assert!(said.starts_with("3:1: unknown field `nmae`"), "{said}");
        let said =
            refused(of_toml("[[users]]\nemail = \"a@b\"\ntenant = \"a\"\nroles = [\"king\"]"));
        assert!(said.starts_with("4:") && said.contains("unknown variant `king`"), "{said}");
        let said = refused(of_toml("[[tenants]]\nslug = "));
        assert!(said.starts_with("2:") && !said.contains('\n'), "{said}");
        let said = refused(of_json("{\"tenants\": [\n {\"slug\": \"a\", \"nmae\": 1}]}"));
        assert!(said.starts_with("2:") && said.contains("unknown field `nmae`"), "{said}");
        let said = refused(of_toml("[[clients]]\nid = \"x\"\ntenant = \"a\"\nname = \"N\"\n"));
        assert!(said.starts_with("2:"), "{said}");
        let secret = "[[users]]\nemail = \"a@b\"\ntenant = \"a\"\npassword = { flie = \"x\" }\n";
        let said = refused(of_toml(secret));
        assert!(said.starts_with("4:") && said.contains("{ file ="), "{said}");
        assert!(of_toml("").is_ok() && of_json("{}").is_ok());
    }

    #[test]
    fn a_value_can_stand_elsewhere() {
        let mut stated = Private::Stated("as it is".into());
        assert!(resolve(&mut stated, Path::new("")).is_ok());
        assert_eq!(stated.text(), Some("as it is"));
        let mut path = Private::Elsewhere(Place::Env("PATH".into()));
        assert!(resolve(&mut path, Path::new("")).is_ok() && path.text().is_some());
        let mut none = Private::Elsewhere(Place::Env("PROCURA_NOT_THERE".into()));
        assert!(resolve(&mut none, Path::new("")).is_err());
        let mut none = Private::Elsewhere(Place::File("not/there".into()));
        assert!(resolve(&mut none, Path::new("/")).is_err());
    }
}
