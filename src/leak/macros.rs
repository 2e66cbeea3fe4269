//! The checks as macros. They expand in place, so that their blocks may hold `.await`, `?` and `return`.
#![forbid(unsafe_code)]

/// Runs a block and panics if it leaked: [`LeakCheck`](crate::leak::LeakCheck) around it. Its value is that of the block,
/// and counts as leaked if it owns memory: what is alive when the block ends is what is looked for.
///
/// ```
/// # #[global_allocator]
/// # static HEAP: heapsite::Heapsite = heapsite::Heapsite::system();
/// use heapsite::leak::assert_no_leaks;
///
/// let sum = assert_no_leaks! {
///     let numbers: Vec<u64> = (1..=10).collect();
///     numbers.iter().sum::<u64>()
/// };
/// assert_eq!(sum, 55);
/// ```
///
/// Within async code on a runtime of its own thread (`#[tokio::test]`), `async` in front of the block has the other tasks
/// of that runtime go on until they have ended, too:
///
/// ```
/// # #[global_allocator]
/// # static HEAP: heapsite::Heapsite = heapsite::Heapsite::system();
/// # use heapsite::leak::assert_no_leaks;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// assert_no_leaks!(async {
///     tokio::spawn(async { String::from("a task that ends") });
/// });
/// # }
/// ```
#[doc(hidden)]
#[macro_export]
macro_rules! __assert_no_leaks {
    (async { $($body:tt)* }) => {{
        let check = $crate::leak::LeakCheck::start();
        let value = { $($body)* };
        check.settle().await;
        check.assert();
        value
    }};
    ($($body:tt)*) => {{
        let check = $crate::leak::LeakCheck::start();
        let value = { $($body)* };
        check.assert();
        value
    }};
}

/// Runs a block and panics if it allocates more than is allowed. What the block's threads allocate counts, too; the
/// block's value is passed on.
///
/// ```
/// # #[global_allocator]
/// # static HEAP: heapsite::Heapsite = heapsite::Heapsite::system();
/// use heapsite::leak::assert_allocs;
///
/// let mut line = String::with_capacity(64);
/// assert_allocs!(== 0, { line.push_str("fits") });
/// let words = assert_allocs!(count <= 2, bytes <= 4096, peak < 1024, { vec![1u8; 100] });
/// # drop(words);
/// ```
///
/// | name | meaning |
/// |---|---|
/// | `count`, or no name | allocations; a `realloc` is one |
/// | `bytes` | requested bytes |
/// | `peak` | the most bytes of the block that were live at once |
/// | `live`, `live_bytes` | what is still live at its end, its value included |
///
/// Operators: `<= < == >= >`.
#[doc(hidden)]
#[macro_export]
macro_rules! __assert_allocs {
    (@ [$($limits:tt)*] { $($body:tt)* } $(,)?) => {{
        let counting = $crate::leak::Counting::start();
        let value = { $($body)* };
        let used = counting.read();
        ::core::mem::drop(counting);
        $crate::leak::check_limits(used, &[$($limits)*]);
        value
    }};
    (@ [$($limits:tt)*] $name:ident $operator:tt $limit:expr, $($rest:tt)*) => {
        $crate::__assert_allocs!(
            @ [$($limits)* (::core::stringify!($name), $crate::__operator!($operator), ::core::stringify!($operator), $limit),]
            $($rest)*
        )
    };
    (@ [$($limits:tt)*] $operator:tt $limit:expr, $($rest:tt)*) => {
        $crate::__assert_allocs!(@ [$($limits)*] count $operator $limit, $($rest)*)
    };
    ($($rest:tt)*) => { $crate::__assert_allocs!(@ [] $($rest)*) };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __operator {
    (<=) => {
        u64::le
    };
    (<) => {
        u64::lt
    };
    (==) => {
        u64::eq
    };
    (>=) => {
        u64::ge
    };
    (>) => {
        u64::gt
    };
}
