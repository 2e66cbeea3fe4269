//! Where a program of the suite lives: two hours that pass as fast as it allocates, and a snapshot every six minutes.
//!
//! Allocations, stacks and frees are real; only the recorder's clock is told, so nothing here depends on how busy the
//! machine is.

use std::collections::HashMap;

use heapsite::profile::{Location, Profile};
use heapsite::{Snapshot, internals, symbolize};

/// Seconds of an observation window: twenty are two hours, of which [`Options::longest_fill`](heapsite::find::Options) is one.
pub(crate) const WINDOW: u64 = 360;

pub(crate) struct World {
    windows: u64,
    random: Random,
    snapshots: Vec<Snapshot>,
}

/// Numbers that a program draws (splitmix64).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    /// Exponential, whole seconds.
    pub(crate) fn lifetime(&mut self, mean: f64) -> u64 {
        let uniform = (self.below(1 << 52) as f64 + 0.5) / (1u64 << 52) as f64;
        (-uniform.ln() * mean) as u64
    }
}

impl World {
    pub(crate) fn new(windows: u64, seed: u64) -> World {
        World {
            windows,
            random: Random(seed),
            snapshots: Vec::with_capacity(windows as usize),
        }
    }

    /// Calls `second` once for each second of the run, with its number from 0.
    pub(crate) fn run(&mut self, mut second: impl FnMut(u64, &mut Random)) {
        for now in 0..self.windows * WINDOW {
            // In the middle of it, so that nothing is born at 0 or after the snapshot.
            internals::tell_time(now * 1_000_000_000 + 500_000_000);
            second(now, &mut self.random);
            if (now + 1) % WINDOW == 0 {
                internals::tell_time((now + 1) * 1_000_000_000);
                self.snapshots.push(heapsite::snapshot());
            }
        }
    }

    /// The profiles at the ends of the windows. Debug information is read once: sites never go, so the last profile has the
    /// addresses of all.
    pub(crate) fn profiles(self) -> Vec<Profile> {
        let mut profiles: Vec<Profile> = self
            .snapshots
            .iter()
            .map(Snapshot::to_address_profile)
            .collect();
        let last = profiles.last_mut().expect("at least one window");
        let report = symbolize::symbolize(last, &symbolize::Options::in_process());
        let last = last.clone();
        let named: HashMap<u64, &Location> =
            last.locations.iter().map(|it| (it.address, it)).collect();
        let name = |(at, mut profile): (usize, Profile)| {
            profile.functions.clone_from(&last.functions);
            profile.mappings.clone_from(&last.mappings);
            for location in &mut profile.locations {
                let known = named.get(&location.address).expect("sites never go");
                *location = (*known).clone();
            }
            let mut profile = symbolize::finish(profile, &report);
            // The wall clock did not pass as the program's did.
            profile.time_nanos = (at as i64 + 1) * WINDOW as i64 * 1_000_000_000;
            profile
        };
        profiles.into_iter().enumerate().map(name).collect()
    }
}
