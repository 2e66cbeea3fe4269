//! The threads there are, by name (`/proc/self/task`).
#![forbid(unsafe_code)]

use std::fs;

use crate::profile::resources::Count;

/// Ids of the threads there are; those that end meanwhile may be among them.
pub(crate) fn ids() -> Vec<u32> {
    let Ok(tasks) = fs::read_dir("/proc/self/task") else {
        return Vec::new();
    };
    tasks
        .filter_map(|task| task.ok()?.file_name().to_str()?.parse().ok())
        .collect()
}

/// How many threads have which name. A thread that ends meanwhile has none any more, and is left out.
pub(super) fn by_name(ids: &[u32]) -> Vec<Count> {
    let name = |id: &u32| fs::read(format!("/proc/self/task/{id}/comm")).ok();
    Count::of(ids.iter().filter_map(name).map(|name| {
        let name = name.strip_suffix(b"\n").unwrap_or(&name);
        String::from_utf8_lossy(name).into_owned()
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn threads_are_counted_by_name() {
        let count = |name: &str| {
            let all = by_name(&ids());
            all.iter().find(|part| part.name == name).map(|p| p.count)
        };
        assert_eq!(count("counted"), None);
        let (sender, receiver) = mpsc::channel::<()>();
        let receiver = std::sync::Arc::new(std::sync::Mutex::new(receiver));
        // A thread names itself before it runs its closure.
        let (ready, started) = mpsc::channel();
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let (receiver, ready) = (receiver.clone(), ready.clone());
                let thread = std::thread::Builder::new().name("counted".into());
                let body = move || {
                    ready.send(()).unwrap();
                    let _ = receiver.lock().unwrap().recv();
                };
                thread.spawn(body).unwrap()
            })
            .collect();
        (0..3).for_each(|_| started.recv().unwrap());
        assert_eq!(count("counted"), Some(3));
        drop(sender);
        threads.into_iter().for_each(|t| t.join().unwrap());
    }
}
