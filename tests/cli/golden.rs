//! Reports, letter by letter.

use super::Scene;
use std::path::Path;

fn check(name: &str, args: &str) {
    check_in(&Scene::new(), name, args);
}

pub(super) fn check_in(scene: &Scene, name: &str, args: &str) {
    let args: Vec<&str> = args.split_whitespace().collect();
    let found = format!("$ heapsite {}\n{}", args.join(" "), scene.run(&args).ok());
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(format!("{name}.txt"));
    if std::env::var_os("HEAPSITE_BLESS").is_some_and(|value| value == "1") {
        std::fs::write(path, found).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        found,
        expected,
        "{} differs; see tests/cli/main.rs",
        path.display()
    );
}

macro_rules! golden {
    ($($name:ident: $args:literal;)*) => {
        $(#[test] fn $name() { check(stringify!($name), $args); })*
    };
}

golden! {
    top_80: "top new.json --width 80";
    top_200: "top new.json --width 200";
    top_without_a_terminal: "top new.json";
    top_pprof: "top new.pb.gz --width 120";
    top_exact: "top exact-new.json --width 100";
    top_go: "top go.pb.gz --width 100";
    top_addresses: "top addresses.json --width 80";
    top_late: "top late-new.pb.gz --width 100 -n 1";
    top_silent: "top silent.json --width 100";
    top_silent_pprof: "top silent.pb.gz --width 100";
    top_leaf: "top new.json --leaf --width 120";
    top_cum_by_function: "top new.json --cum --by function -s alloc_objects --width 100";
    top_by_crate: "top new.json --by crate --leaf --width 80";
    top_by_thread: "top new.json --by thread --width 80";
    top_by_site: "top new.json --by site -n 1 --width 100";
    top_lifetime: "top new.json --sort lifetime --width 100";
    top_by_age: "top new.json --by age --unit KiB --width 100";
    top_by_label: "top tagged.pb.gz --by label --width 80";
    top_by_label_shown: "top tagged.pb.gz --by label --tagshow user --tagfocus bytes=:8kb --width 80";
    top_by_file: "top new.json --files --leaf --width 60";
    top_addresses_of_code: "top new.json --addresses --width 100";
    top_focus: "top new.json --focus orders --width 100";
    top_focus_relative: "top new.json --focus orders --relative --width 100";
    top_base: "top new.json --base base.json --width 100";
    top_diff_base: "top exact-new.json --diff-base exact-base.json --cum --width 100";
    top_base_by_thread: "top new.json --base base.json --by thread --width 100";
    tree: "tree new.json --width 80";
    tree_leaf: "tree new.json --leaf --lines --width 120";
    tree_cut: "tree new.json --leaf -n 2 --cum --width 100";
    tree_base: "tree new.json --base base.json --by crate --leaf --width 80";
    peek: "peek remember new.json --width 80";
    peek_silent: "peek remember silent.json";
    traces: "traces new.json --width 80";
    traces_leaf: "traces tagged.pb.gz --leaf --functions -n 1 --unit MB";
    tags: "tags tagged.pb.gz --width 80";
    tags_none: "tags new.json --width 80";
    diff_80: "diff base.json new.json --width 80";
    diff_200: "diff base.json new.json --width 200";
    diff_exact: "diff exact-base.json exact-new.json --width 120";
    diff_other_quality: "diff go.pb.gz new.json --width 120 -n 2";
    diff_cum_by_function: "diff base.json new.json --cum --by function -s alloc_space --width 120";
    diff_by_thread: "diff base.json new.json --by thread --width 100";
    diff_of_the_same: "diff new.json new.json --width 100";
    diff_tasks: "diff held-base.json held-now.json --width 100";
    diff_of_tasks: "diff tasks-base.json tasks-new.json --width 100";
    diff_of_tasks_by_site: "diff tasks-base.json tasks-new.json --by site --width 100";
    diff_of_goroutines: "diff goroutines-base.txt goroutines-new.txt --width 100";
    top_of_tasks: "top tasks-new.json --width 100";
    tasks: "tasks tasks-new.json --width 100";
    tasks_by_spawn: "tasks tasks-new.json --by spawn --width 100";
    tasks_stacks: "tasks tasks-new.json --stacks";
    threads: "threads threads.json --width 100";
    threads_by_name: "threads threads.json --by name --width 100";
    threads_stacks: "threads threads.json --stacks";
    top_of_threads: "top threads.json --width 100";
    tasks_of_goroutines: "tasks goroutines.txt --width 100";
    info: "info new.json";
    info_exact: "info exact-new.json";
    info_go: "info go.pb.gz";
    info_memory: "info held-now.json";
    info_grew: "info held-base.json held-now.json";
    info_grew_pprof: "info held-now.pb.gz --base held-base.pb.gz";
    help_info: "info --help";
    help: "--help";
    help_top: "top --help";
    help_tree: "tree --help";
    help_diff: "diff --help";
    help_dump: "dump --help";
    help_list: "list --help";
    help_flame: "flame --help";
    folded: "convert new.json -o - --to folded --sample-type alloc_objects";
}
