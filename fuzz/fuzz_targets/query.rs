#![no_main]
heapsite_fuzz::target!("query");
