//! The data folder, and the master key: made at the first start, readable by the owner only, refused
//! where others can read it.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::Path,
};

use procura_issuer::keys::MasterKey;
use procura_token::crypto::{fill_random, hex};
use zeroize::Zeroizing;

use crate::{config::Config, exposure::is_exposed, failure::Failure};

/// A master key is far shorter.
const MAX_KEY_FILE_BYTES: u64 = 1024;

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

/// The master key, from where the configuration says. Where nobody has one yet (`may_make`) and it
/// belongs into the data folder, it is made.
pub fn master_key(config: &Config, may_make: bool) -> Result<MasterKey, Failure> {
    let given = config.keys.master_key.0.trim();
    if !given.is_empty() {
        return MasterKey::from_hex(given)
            .ok_or_else(|| Failure::of("the master key in the environment", "not 64 hex digits"));
    }
    let path = &config.keys.master_key_file;
    if !path.as_os_str().is_empty() {
        return read_master_key(path);
    }
    let folder = config.server.data.join("keys");
    let path = folder.join("master.key");
    if !path.exists() {
        if !may_make {
            return Err(Failure::of(
                &path.display().to_string(),
                "the master key is not here: this database was sealed under one",
            ));
        }
        make_private_folder(&folder)?;
        make_master_key(&path)?;
    }
    read_master_key(&path)
}

/// Makes a new master key; never in the place of another file.
pub fn make_master_key(path: &Path) -> Result<(), Failure> {
    let fail = |why: &str| Failure::of(&path.display().to_string(), why);
    let mut bytes = Zeroizing::new([0; 32]);
    fill_random(bytes.as_mut_slice()).map_err(|_| fail("no randomness"))?;
    let text = Zeroizing::new(hex(bytes.as_slice()));
    if path.exists() {
        return Err(fail("it is there already"));
    }
    write_private(path, &text).map_err(|error| fail(&error.to_string()))
}

/// Reads a master key that nobody else can read; what that means is in `exposure.rs`.
pub fn read_master_key(path: &Path) -> Result<MasterKey, Failure> {
    let text = read_private(path, MAX_KEY_FILE_BYTES)?;
    MasterKey::from_hex(&text)
        .ok_or_else(|| Failure::of(&path.display().to_string(), "not 64 hex digits"))
}

/// Reads a file with a key that nobody else can read, up to so many bytes.
pub fn read_private(path: &Path, most: u64) -> Result<Zeroizing<String>, Failure> {
    let fail = |why: &str| Failure::of(&path.display().to_string(), why);
    let mut file = File::open(path).map_err(|error| fail(&error.to_string()))?;
    // Asked of the open file, so that it cannot be another one.
    if is_exposed(&file, path).map_err(|error| fail(&error.to_string()))? {
        return Err(fail("others can read this key; the file must have mode 0600"));
    }
    let mut text = Zeroizing::new(String::new());
    let mut limited = Read::by_ref(&mut file).take(most);
    limited.read_to_string(&mut text).map_err(|error| fail(&error.to_string()))?;
    Ok(text)
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

/// Makes a folder that only its owner can enter, with those above it.
pub fn make_private_folder(path: &Path) -> Result<(), Failure> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| Failure::of(&path.display().to_string(), error))
}
