//! loom's atomics with a step before every access.
//!
//! loom remembers only the last access to each object when it looks for orders worth trying, so a thread
//! that loads an object and then exchanges it hides from loom that another thread had touched it in between
//! (a load followed by a compare-exchange is explored in one order). A step is a relaxed read-modify-write
//! of one object shared by all threads: it orders no memory, and it makes every pair of accesses a
//! choice that loom tries both ways.

pub(crate) use loom::sync::atomic::{Ordering, fence};
use loom::sync::atomic::Ordering::Relaxed;

loom::lazy_static! {
    static ref STEPS: loom::sync::atomic::AtomicUsize = loom::sync::atomic::AtomicUsize::new(0);
}

fn step() {
    STEPS.fetch_add(1, Relaxed);
}

macro_rules! stepping {
    ($name:ident $(<$generic:ident>)?, $value:ty) => {
        pub(crate) struct $name $(<$generic>)? (loom::sync::atomic::$name $(<$generic>)?);

        impl $(<$generic>)? $name $(<$generic>)? {
            pub(crate) fn new(value: $value) -> Self {
                Self(loom::sync::atomic::$name::new(value))
            }

            pub(crate) fn load(&self, order: Ordering) -> $value {
                step();
                self.0.load(order)
            }

            pub(crate) fn store(&self, value: $value, order: Ordering) {
                step();
                self.0.store(value, order)
            }

            pub(crate) fn compare_exchange(
                &self,
                current: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                step();
                self.0.compare_exchange(current, new, success, failure)
            }

            pub(crate) fn compare_exchange_weak(
                &self,
                current: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                self.compare_exchange(current, new, success, failure)
            }
        }
    };
}

stepping!(AtomicU64, u64);
stepping!(AtomicU32, u32);
stepping!(AtomicUsize, usize);
stepping!(AtomicPtr<T>, *mut T);

impl AtomicU64 {
    pub(crate) fn fetch_add(&self, amount: u64, order: Ordering) -> u64 {
        step();
        self.0.fetch_add(amount, order)
    }
}

impl AtomicU32 {
    pub(crate) fn fetch_add(&self, amount: u32, order: Ordering) -> u32 {
        step();
        self.0.fetch_add(amount, order)
    }

    pub(crate) fn fetch_sub(&self, amount: u32, order: Ordering) -> u32 {
        step();
        self.0.fetch_sub(amount, order)
    }
}
