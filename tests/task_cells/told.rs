//! What a program says of itself: the tasks it planted, on stdout, and heap profiles in files.

use std::fs::File;
use std::path::PathBuf;

use heapsite::{Heapsite, format::pprof};

#[global_allocator]
static HEAP: Heapsite = Heapsite::system().sample_interval(1);

/// A program's name, and what it does with so many tasks a line.
pub(crate) type Program = (&'static str, fn(u64, &mut Told));

/// Where a program writes to.
pub(crate) struct Told {
    dir: PathBuf,
    moment: u32,
}

impl Told {
    /// So many cells were made at this line, and so many of them freed.
    pub(crate) fn planted(&mut self, name: &str, runtime: &str, line: u32, live: u64, freed: u64) {
        println!("planted\t{name}\t{runtime}\t{line}\t{live}\t{freed}");
    }

    /// Writes the list of tracked tasks of this moment.
    #[cfg(feature = "task")]
    pub(crate) fn tasks(&self, tasks: &heapsite::task::Tasks) {
        let path = self.dir.join(format!("{}.tasks.json", self.moment));
        let mut file = File::create(path).expect("a file can be made");
        tasks.write_json(&mut file).expect("a list can be written");
    }

    /// Writes the heap profile of this moment, and how many tasks are alive.
    pub(crate) fn dump(&mut self, alive: u64) {
        let profile = heapsite::snapshot().to_profile();
        let path = self.dir.join(format!("{}.pb.gz", self.moment));
        let mut file = File::create(path).expect("a file can be made");
        pprof::write(&profile, &mut file).expect("a profile can be written");
        println!("alive\t{alive}");
        self.moment += 1;
    }
}

/// Runs the program that the arguments name: name, tasks per line, interval, folder.
pub(crate) fn run(programs: &[&[Program]], arguments: &[String]) {
    let [name, many, interval, dir] = arguments else {
        panic!("usage: NAME MANY INTERVAL DIR");
    };
    // Exact from the first allocation on, unless told otherwise.
    let interval = interval.parse().expect("an interval");
    if interval != 1 {
        heapsite::set_sample_interval(interval);
    }
    let dir = PathBuf::from(dir);
    let program = programs.iter().copied().flatten().find(|it| it.0 == name);
    let (_, program) = program.expect("a program's name");
    let mut told = Told { dir, moment: 0 };
    program(many.parse().expect("a number"), &mut told);
}
