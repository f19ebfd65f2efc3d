//! The data folder and the master key in it: made at the first start, readable by the owner only,
//! refused where others can read it.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::Path,
};

use procura_issuer::keys::Secrets;
use procura_token::crypto::{fill_random, hex, unhex};

use crate::failure::Failure;

/// Makes the data folder and takes it for this process: a second one is refused.
pub fn take_data_folder(data: &Path) -> Result<File, Failure> {
    make_private_folder(data)?;
    let path = data.join("procura.lock");
    let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
    let lock = lock.map_err(|error| Failure::of(&path.display().to_string(), error))?;
    lock.try_lock()
        .map_err(|_| Failure(format!("{}: another procura uses this folder", data.display())))?;
    Ok(lock)
}

/// The secrets under the master key of this folder.
pub fn load_secrets(data: &Path) -> Result<Secrets, Failure> {
    let folder = data.join("keys");
    make_private_folder(&folder)?;
    let path = folder.join("master.key");
    let shown = path.display().to_string();
    let fail = |why: &str| Failure::of(&shown, why);
    if !path.exists() {
        let mut bytes = [0; 32];
        fill_random(&mut bytes).map_err(|_| fail("no randomness"))?;
        let text = hex(&bytes);
        write_private(&path, &text).map_err(|error| fail(&error.to_string()))?;
    }
    let mode = fs::metadata(&path).map_err(|error| fail(&error.to_string()))?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(fail("others can read the master key; it must have mode 0600"));
    }
    let text = fs::read_to_string(&path).map_err(|error| fail(&error.to_string()))?;
    let master = unhex(text.trim()).ok_or_else(|| fail("not 64 hex digits"))?;
    Secrets::derive(&master).map_err(|error| fail(&error.to_string()))
}

/// Writes a file that only its owner can read; whole or not at all.
pub fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let draft = path.with_extension("new");
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(draft, path)
}

fn make_private_folder(path: &Path) -> Result<(), Failure> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| Failure::of(&path.display().to_string(), error))
}
