#![no_main]
heapsite_fuzz::target!("lists");
