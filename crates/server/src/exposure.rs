//! Who else could read or change a file with a secret in it.

use std::{
    fs::{self, File, Metadata},
    os::unix::fs::MetadataExt,
    path::Path,
};

/// To whom something belongs, and what the others may do with it.
#[derive(Clone, Copy)]
struct Standing {
    owner: u32,
    group: u32,
    mode: u32,
}

impl From<Metadata> for Standing {
    fn from(found: Metadata) -> Self {
        Self { owner: found.uid(), group: found.gid(), mode: found.mode() }
    }
}

const ROOT: u32 = 0;
const OTHERS: u32 = 0o007;
const GROUP: u32 = 0o070;
const GROUP_READS: u32 = 0o040;
const OTHERS_WRITE: u32 = 0o022;
/// In such a folder nobody can replace what belongs to another.
const STICKY: u32 = 0o1000;

/// Who this process is.
struct Process {
    user: Option<u32>,
    groups: Vec<u32>,
}

/// Whether anybody else can read an open file or could have changed it. Nobody else may do anything with
/// it, except where it is mounted as a secret: root, who we are not, owns it and its folder, and nobody but
/// root can change or replace it; then our own group may read it, for that is how it is given to us.
pub fn is_exposed(file: &File, path: &Path) -> std::io::Result<bool> {
    let standing = Standing::from(file.metadata()?);
    // A mounted secret is a link to a link: what counts is where it ends.
    let real = path.canonicalize()?;
    let folder = real.parent().map(fs::metadata).transpose()?.map(Standing::from);
    Ok(exposes(standing, folder, &this_process()))
}

fn exposes(file: Standing, folder: Option<Standing>, us: &Process) -> bool {
    if file.mode & (OTHERS | GROUP) == 0 {
        return false;
    }
    let is_kept = |folder: Standing| {
        folder.owner == ROOT && (folder.mode & OTHERS_WRITE == 0 || folder.mode & STICKY != 0)
    };
    let is_mounted = file.mode & (OTHERS | GROUP) == GROUP_READS
        && file.owner == ROOT
        && us.user.is_some_and(|user| user != ROOT)
        && us.groups.contains(&file.group)
        && folder.is_some_and(is_kept);
    !is_mounted
}

/// Nobody, where the system does not say.
fn this_process() -> Process {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let numbers = |name: &str| -> Vec<u32> {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.split_whitespace().filter_map(|word| word.parse().ok()).collect()
    };
    // Real, effective, saved, of files: the effective one opened the file.
    let effective = |name| numbers(name).get(1).copied();
    Process {
        user: effective("Uid:"),
        groups: effective("Gid:").into_iter().chain(numbers("Groups:")).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn us() -> Process {
        Process { user: Some(1000), groups: vec![1000, 2000] }
    }

    fn standing(owner: u32, group: u32, mode: u32) -> Standing {
        Standing { owner, group, mode: 0o100_000 | mode }
    }

    #[test]
    fn what_only_its_owner_can_touch_is_private_wherever_it_is() {
        for mode in [0o400, 0o600] {
            assert!(!exposes(standing(1000, 1000, mode), Some(standing(1, 1, 0o777)), &us()));
            let nobody = Process { user: None, groups: Vec::new() };
            assert!(!exposes(standing(1000, 1000, mode), None, &nobody));
        }
    }

    #[test]
    fn a_mounted_secret_is_readable_by_our_group_and_by_nobody_else() {
        let mounted = standing(0, 2000, 0o440);
        for folder in [0o755, 0o2755, 0o3777, 0o500] {
            assert!(!exposes(mounted, Some(standing(0, 2000, folder)), &us()), "{folder:o}");
        }
        let kept = Some(standing(0, 2000, 0o2755));
        let exposed = [
            ("of a group that is not ours", standing(0, 3000, 0o440), kept),
            ("of an owner who can change it", standing(1000, 2000, 0o440), kept),
            ("of somebody else", standing(7, 2000, 0o440), kept),
            ("writable by the group", standing(0, 2000, 0o460), kept),
            ("writable by all", standing(0, 2000, 0o442), kept),
            ("readable by all", standing(0, 2000, 0o444), kept),
            ("executable by all", standing(0, 2000, 0o441), kept),
            ("executable by the group", standing(0, 2000, 0o450), kept),
            ("in somebody's folder", mounted, Some(standing(1000, 2000, 0o755))),
            ("in a folder that its group can change", mounted, Some(standing(0, 2000, 0o775))),
            ("in a folder that all can change", mounted, Some(standing(0, 2000, 0o757))),
            ("in no folder", mounted, None),
        ];
        for (what, file, folder) in exposed {
            assert!(exposes(file, folder, &us()), "{what}");
        }
        for user in [None, Some(ROOT)] {
            let other = Process { user, groups: vec![2000] };
            assert!(exposes(mounted, kept, &other), "root needs no group, and nobody is nobody");
        }
        assert!(exposes(mounted, kept, &Process { user: Some(1000), groups: Vec::new() }));
    }

    #[test]
    fn this_process_is_known() {
        let us = this_process();
        assert!(us.user.is_some() && !us.groups.is_empty());
    }
}
