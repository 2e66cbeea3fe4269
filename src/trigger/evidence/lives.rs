//! Evidence of earlier processes of the same program: in containers a service that is killed again and again has the
//! same directory, and often the same process id.
#![forbid(unsafe_code)]

use std::fs;
use std::path::{Path, PathBuf};

use super::super::report;
use super::{Dump, State};

/// Processes whose evidence stays, beside this one.
const LIVES: usize = 3;
/// A directory with more files than this is looked through no further.
const MOST_FILES: usize = 100_000;

/// Deletes evidence of this program's processes in `dir`, but for the newest ones.
pub(super) fn forget_old(dir: &Path, own: &State) {
    let mut lives = earlier(dir, own);
    lives.sort_by_key(|(_, state)| std::cmp::Reverse(state.last.time_nanos));
    for (path, state) in lives.iter().skip(LIVES) {
        for dump in &state.dumps {
            delete(dir, dump);
        }
        if fs::remove_file(path).is_ok() {
            report::line(format_args!(
                "deleted old evidence of {}: accepted are {LIVES} ended processes per program",
                path.display()
            ));
        }
    }
}

/// State files of this program whose processes have ended.
fn earlier(dir: &Path, own: &State) -> Vec<(PathBuf, State)> {
    let Ok(entries) = fs::read_dir(dir) else {
        return Vec::new();
    };
    entries
        .take(MOST_FILES)
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let name = path.file_name()?.to_str()?;
            let is_state = name.starts_with("heapsite.") && name.ends_with(".state");
            let state = is_state.then(|| State::read_file(&path).ok())??;
            let same = state.executable == own.executable && !state.is_running();
            same.then_some((path, state))
        })
        .collect()
}

/// Deletes a dump that a state file names: only in its directory, and only under a name that dumps have.
pub(super) fn delete(dir: &Path, dump: &Dump) {
    let is_dump = dump.file.starts_with("heapsite.") && !dump.file.contains('/');
    if is_dump {
        // Gone already: as well.
        let _ = fs::remove_file(dir.join(&dump.file));
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::super::{Look, Reason, slots};
    use super::*;

    fn life(dir: &Path, number: u32, executable: &str) {
        let dump = Dump {
            file: format!("heapsite.1.{number}.pb.gz"),
            reason: Reason::Peak,
            named: true,
            look: Look::default(),
        };
        fs::write(dir.join(&dump.file), "a dump").unwrap();
        let outside = Dump {
            file: "../heapsite.precious".to_owned(),
            ..dump.clone()
        };
        let state = State {
            pid: u32::MAX,
            executable: executable.to_owned(),
            last: Look {
                time_nanos: number.into(),
                ..Look::default()
            },
            dumps: vec![dump, outside],
            ..State::begin()
        };
        let file = fs::File::create(dir.join(format!("heapsite.1.{}.state", 100 + number)));
        let mut bytes = Vec::new();
        slots::blank(&state, &mut bytes).unwrap();
        file.unwrap().write_all(&bytes).unwrap();
    }

    #[test]
    fn the_newest_lives_stay_and_other_programs_are_left_alone() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("heapsite.precious"), "not a dump").unwrap();
        let dir = root.path().join("dumps");
        fs::create_dir(&dir).unwrap();
        let own = State::begin();
        for number in 1..=5 {
            life(&dir, number, &own.executable);
        }
        life(&dir, 6, "/usr/bin/another");
        fs::write(dir.join("heapsite.1.7.pb.gz"), "somebody's").unwrap();
        forget_old(&dir, &own);
        let left = |number: u32| dir.join(format!("heapsite.1.{number}.pb.gz")).exists();
        assert_eq!(
            [1, 2, 3, 4, 5, 6, 7].map(left),
            [false, false, true, true, true, true, true]
        );
        assert!(!dir.join("heapsite.1.101.state").exists());
        assert!(dir.join("heapsite.1.103.state").exists());
        assert!(root.path().join("heapsite.precious").exists());
    }
}
