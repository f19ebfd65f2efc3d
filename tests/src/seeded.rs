//! The demo world as a first start leaves it, made once for all tests of this process: most of what a first
//! start costs is making keys, and each house would have to.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::LazyLock,
    time::{Duration, Instant},
};

use crate::{Postgres, house::House, house::HouseOptions, scratch::Scratch};

const KEYS_WITHIN: Duration = Duration::from_mins(1);

/// A data folder in memory, so that nothing is left behind, and the database that belongs to it.
pub(crate) struct Seeded {
    files: Vec<(PathBuf, Vec<u8>)>,
    /// The URL of a database of the shared Postgres; without one it is a file of the folder.
    database: Option<String>,
}

static ON_A_FILE: LazyLock<Seeded> = LazyLock::new(|| Seeded::make(None));
static ON_POSTGRES: LazyLock<Seeded> =
    LazyLock::new(|| Seeded::make(Some(Postgres::shared().database())));

impl Seeded {
    /// Puts a copy into a folder that is not there yet.
    pub(crate) fn copy_to(folder: &Path) {
        ON_A_FILE.write(folder);
    }

    /// The same on Postgres: the URL of the copy of the database.
    pub(crate) fn copy_on_postgres(folder: &Path) -> String {
        ON_POSTGRES.write(folder);
        let url = ON_POSTGRES.database.as_deref().expect("it was made on Postgres");
        Postgres::shared().copy_of(url)
    }

    fn make(database: Option<String>) -> Self {
        let options = HouseOptions { database: database.clone(), ..HouseOptions::default() };
        let mut house = House::open(Scratch::new(), options);
        // Made in the background after the start, or by each copy again.
        let deadline = Instant::now() + KEYS_WITHIN;
        while house.command(&["keys", "list"]).stdout.matches(" next ").count() < 2 {
            assert!(Instant::now() < deadline, "the next keys are not made");
        }
        assert!(house.stop().status.success());
        let mut files = Vec::new();
        read(&house.data(), Path::new(""), &mut files);
        Self { files, database }
    }

    fn write(&self, folder: &Path) {
        let mut private = fs::DirBuilder::new();
        private.recursive(true).mode(0o700);
        for (name, bytes) in &self.files {
            let path = folder.join(name);
            private.create(path.parent().expect("it is in the folder")).expect("a new folder");
            let mut options = OpenOptions::new();
            let file = options.create_new(true).write(true).mode(0o600).open(path);
            file.expect("a new file").write_all(bytes).expect("room for it");
        }
    }
}

/// All files below `folder/under`, by their names from there.
fn read(folder: &Path, under: &Path, files: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in fs::read_dir(folder.join(under)).expect("the folder of a house") {
        let entry = entry.expect("the folder of a house");
        let name = under.join(entry.file_name());
        if entry.path().is_dir() {
            read(folder, &name, files);
        } else {
            files.push((name, fs::read(entry.path()).expect("a file of a house")));
        }
    }
}
