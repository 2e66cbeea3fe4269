//! The name of a static, from the symbol table of the file that it is in.
#![forbid(unsafe_code)]

use std::fs::File;

use object::read::ReadCache;
use object::{Object, ObjectSymbol, SymbolKind};

use crate::symbolize::names;

/// The static at `address` in a file (empty: the program) that is loaded at `base`; `None`: no symbol covers it.
pub(super) fn name(file: &str, base: u64, address: u64) -> Option<String> {
    let path = if file.is_empty() {
        "/proc/self/exe"
    } else {
        file
    };
    let cache = ReadCache::new(File::open(path).ok()?);
    let object = object::File::parse(&cache).ok()?;
    let wanted = address.checked_sub(base)?;
    let symbol = object
        .symbols()
        .chain(object.dynamic_symbols())
        .find(|symbol| {
            symbol.kind() == SymbolKind::Data
                && (symbol.address()..symbol.address() + symbol.size().max(1)).contains(&wanted)
        })?;
    let name = symbol.name().ok()?;
    Some(names::demangle(name).unwrap_or_else(|| name.to_owned()))
}

#[cfg(all(test, target_os = "linux", not(miri)))]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use crate::sys::roots::{RootKind, roots};

    static WELL_KNOWN: AtomicU64 = AtomicU64::new(5);

    #[test]
    fn a_static_of_this_program_has_its_name() {
        WELL_KNOWN.store(6, Ordering::Relaxed);
        let address = WELL_KNOWN.as_ptr() as u64;
        let roots = roots();
        let Some(root) = roots
            .iter()
            .find(|root| (root.start..root.end).contains(&address))
        else {
            return assert!(roots.is_empty(), "not a platform that tells");
        };
        let RootKind::Data { file, base } = &root.kind else {
            panic!("{root:?}");
        };
        let name = super::name(file, *base, address).unwrap();
        assert!(name.ends_with("statics::tests::WELL_KNOWN"), "{name}");
    }
}
