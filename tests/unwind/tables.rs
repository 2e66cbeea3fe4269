//! The CFI interpreter against gimli's: every row of every function of real binaries.

use gimli::{BaseAddresses, CfaRule, EhFrame, LittleEndian, RegisterRule, UnwindSection};
use heapsite::internals::unwind::{self, Base, Row, Where};
use object::{Object, ObjectSection, ObjectSegment};
use std::path::{Path, PathBuf};

type Reader<'a> = gimli::EndianSlice<'a, LittleEndian>;

/// The file as the loader would map it, and where its unwind index is.
struct Image {
    memory: Vec<u8>,
    eh_frame_hdr: u64,
}

fn load(file: &object::File<'_>) -> Option<Image> {
    let end = file.segments().map(|s| s.address() + s.size()).max()?;
    let mut memory = vec![0; end as usize];
    for segment in file.segments() {
        let data = segment.data().ok()?;
        memory[segment.address() as usize..][..data.len()].copy_from_slice(data);
    }
    Some(Image {
        memory,
        eh_frame_hdr: file.section_by_name(".eh_frame_hdr")?.address(),
    })
}

impl Image {
    fn ours(&self, pc: u64) -> Result<Row, heapsite::profile::Cut> {
        let start = self.memory.as_ptr() as u64;
        // SAFETY: the image is borrowed for the call.
        unsafe {
            unwind::row(
                start,
                start + self.memory.len() as u64,
                start + self.eh_frame_hdr,
                start + pc,
            )
        }
    }
}

fn bytes(e: &gimli::UnwindExpression<usize>, section: &EhFrame<Reader<'_>>) -> Vec<u8> {
    e.get(section).unwrap().0.slice().to_vec()
}

fn wheres(rule: &RegisterRule<usize>, section: &EhFrame<Reader<'_>>) -> Where {
    match rule {
        RegisterRule::Undefined => Where::Undefined,
        RegisterRule::SameValue => Where::Same,
        RegisterRule::Offset(n) => Where::At(*n),
        RegisterRule::ValOffset(n) => Where::Is(*n),
        RegisterRule::Register(r) => Where::In(r.0),
        RegisterRule::Expression(e) => Where::AtExpr(bytes(e, section)),
        RegisterRule::ValExpression(e) => Where::IsExpr(bytes(e, section)),
        other => panic!("{other:?}"),
    }
}

struct Count {
    rows: u64,
    complex: u64,
}

fn compare(path: &Path, count: &mut Count) {
    let data = std::fs::read(path).unwrap();
    let file = object::File::parse(&*data).unwrap();
    let (Some(image), Some(section)) = (load(&file), file.section_by_name(".eh_frame")) else {
        return;
    };
    // Absolute addresses in relocatable images would need relocating: nobody writes them.
    let bases = BaseAddresses::default()
        .set_eh_frame(section.address())
        .set_eh_frame_hdr(image.eh_frame_hdr);
    let data = section.data().unwrap();
    let section = EhFrame::new(data, LittleEndian);
    let mut context = gimli::UnwindContext::new();
    let mut entries = section.entries(&bases);
    while let Some(entry) = entries.next().unwrap() {
        let gimli::CieOrFde::Fde(partial) = entry else {
            continue;
        };
        let fde = partial.parse(EhFrame::cie_from_offset).unwrap();
        if fde.len() == 0 || fde.initial_address() == 0 {
            continue;
        }
        let mut rows = fde.rows(&section, &bases, &mut context).unwrap();
        while let Some(row) = rows.next_row().unwrap() {
            if row.start_address() >= row.end_address() {
                continue;
            }
            for pc in [row.start_address(), row.end_address() - 1] {
                let ours = image
                    .ours(pc)
                    .unwrap_or_else(|cut| panic!("{}: {pc:#x}: {cut:?}", path.display()));
                check(path, pc, &ours, row, &section);
                assert_eq!(ours.exact, fde.is_signal_trampoline());
                count.complex += u64::from(ours.complex);
            }
            count.rows += 1;
        }
    }
}

fn check(
    path: &Path,
    pc: u64,
    ours: &Row,
    theirs: &gimli::UnwindTableRow<usize>,
    section: &EhFrame<Reader<'_>>,
) {
    let at = || format!("{}: {pc:#x}: {ours:?} {theirs:?}", path.display());
    let cfa = match theirs.cfa() {
        CfaRule::RegisterAndOffset { register, offset } => Base::Plus(register.0, *offset),
        CfaRule::Expression(e) => Base::Expr(bytes(e, section)),
    };
    assert_eq!(ours.cfa, cfa, "{}", at());
    for (reg, ours) in ours.regs.iter().enumerate() {
        // A register without a rule: gimli says undefined or unspecified, the ABI says unchanged.
        let said = theirs.registers().find(|(r, _)| usize::from(r.0) == reg);
        let want = said.map_or(Where::Same, |(_, rule)| wheres(rule, section));
        assert_eq!(*ours, want, "register {reg} {}", at());
    }
    // The compact rule says the same as the row.
    if let Some((reg, n, rbp)) = ours.plain {
        assert_eq!(ours.cfa, Base::Plus(reg, n), "{}", at());
        assert_eq!(ours.regs[16], Where::At(-8), "{}", at());
        let want = if rbp == 0 {
            Where::Same
        } else {
            Where::At(rbp)
        };
        assert!(
            ours.regs[6] == want || (rbp == 0 && ours.regs[6] == Where::Undefined),
            "{}",
            at()
        );
    }
}

/// Libraries mapped into this process, this binary, and well-known large ones if they are there.
fn files() -> Vec<PathBuf> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let mut files: Vec<PathBuf> = maps
        .lines()
        .filter_map(|l| l.split_whitespace().nth(5))
        .filter(|p| p.starts_with('/'))
        .map(Into::into)
        .collect();
    for name in [
        "python3", "gdb", "cargo", "openssl", "git", "perl", "ld", "curl",
    ] {
        files.extend(
            std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
                .map(|d| d.join(name)),
        );
    }
    let mut files: Vec<PathBuf> = files.iter().filter_map(|f| f.canonicalize().ok()).collect();
    files.sort();
    files.dedup();
    files
}

#[test]
fn interpreter_agrees_with_gimli() {
    let mut total = Count {
        rows: 0,
        complex: 0,
    };
    for path in files() {
        let magic = std::fs::read(&path).is_ok_and(|b| b.starts_with(b"\x7fELF"));
        if !magic {
            continue;
        }
        let mut count = Count {
            rows: 0,
            complex: 0,
        };
        compare(&path, &mut count);
        println!(
            "{}: {} rows, {} addresses for the full tier",
            path.display(),
            count.rows,
            count.complex
        );
        total.rows += count.rows;
    }
    println!("{} rows", total.rows);
    // libc alone has more.
    assert!(total.rows > 20_000);
}
