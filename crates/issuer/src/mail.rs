//! Mail, as files that the deployment's mailer takes: written down before what it tells of is committed,
//! put out after that. A draft is named after the fingerprint of its one-time token, or of the try to tell
//! something, so that whoever finds one can ask the database whether it was committed.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use procura_token::Ts;

const DRAFT: &str = "draft";
const MAIL: &str = "eml";

/// A mail that is not put out yet: the file `NAME.FINGERPRINT.draft`.
#[derive(Debug)]
pub(crate) struct Draft {
    path: PathBuf,
    name: String,
    fingerprint: String,
}

impl Draft {
    /// Writes it so that it outlasts a power cut; readable by the server's own account only.
    pub(crate) async fn write(
        folder: PathBuf,
        name: &str,
        fingerprint: &str,
        text: String,
    ) -> io::Result<Self> {
        let path = folder.join(format!("{name}.{fingerprint}.{DRAFT}"));
        let draft = Self { path, name: name.to_owned(), fingerprint: fingerprint.to_owned() };
        let path = draft.path.clone();
        blocking(move || {
            DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
            let written = write_whole(&path, &text).and_then(|()| File::open(&folder)?.sync_all());
            if written.is_err() {
                // What is half written helps nobody. It may not be there at all.
                let _ = fs::remove_file(&path);
            }
            written
        })
        .await?;
        Ok(draft)
    }

    /// All drafts of a folder, with their ages in seconds.
    pub(crate) async fn list(folder: PathBuf, now: Ts) -> io::Result<Vec<(Self, i64)>> {
        blocking(move || {
            let entries = match fs::read_dir(folder) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
                entries => entries?,
            };
            let mut found = Vec::new();
            for entry in entries {
                let path = entry?.path();
                // Whatever has another name is none of ours.
                let Some(draft) = Self::of(&path) else { continue };
                let written = fs::metadata(&path)?.modified()?;
                let written = written.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
                let written = i64::try_from(written).unwrap_or(i64::MAX);
                found.push((draft, now.secs().saturating_sub(written)));
            }
            Ok(found)
        })
        .await
    }

    fn of(path: &Path) -> Option<Self> {
        let mut parts = path.file_name()?.to_str()?.split('.');
        let (name, fingerprint) = (parts.next()?.to_owned(), parts.next()?.to_owned());
        let is_draft = parts.next() == Some(DRAFT) && parts.next().is_none();
        is_draft.then(|| Self { path: path.to_owned(), name, fingerprint })
    }

    /// Of the one-time token in it.
    pub(crate) fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Lets the mailer have it. Where that fails it is tried again within a minute.
    pub(crate) async fn put_out(self) {
        let mail = self.path.with_file_name(format!("{}.{MAIL}", self.name));
        self.done(move |draft| fs::rename(draft, mail)).await;
    }

    /// Throws it away: what it tells of did not come to be.
    pub(crate) async fn put_away(self) {
        self.done(fs::remove_file).await;
    }

    async fn done(self, how: impl FnOnce(PathBuf) -> io::Result<()> + Send + 'static) {
        if let Err(error) = blocking(move || how(self.path)).await {
            tracing::error!(%error, "a mail is still where it was written down");
        }
    }
}

fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}
