//! Blocks that are known by the function that made them.

/// Blocks of a test of its own: others run beside it, in the same profiles.
macro_rules! planted {
    ($name:ident) => {
        #[inline(never)]
        fn $name(bytes: usize) -> Vec<u8> {
            std::hint::black_box(vec![1; bytes])
        }
    };
}
