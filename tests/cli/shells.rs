//! What shells, manuals and terminals get: completions in a real bash, pages in a real man, progress on a real terminal.

use super::Scene;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// Runs a script in bash with the command's completions loaded, and the command in the path.
fn bash(scene: &Scene, script: &str) -> String {
    let bin = Path::new(env!("CARGO_BIN_EXE_heapsite")).parent().unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let output = Command::new("bash")
        .args(["--norc", "-euc"])
        .arg(format!("source <(heapsite completions bash)\n{script}"))
        .env("PATH", path)
        .current_dir(scene.dir.path())
        .output()
        .expect("bash");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    String::from_utf8(output.stdout).unwrap()
}

/// What bash offers for the last of these words.
fn offered(scene: &Scene, words: &[&str]) -> Vec<String> {
    let list = words.join(" ");
    let (last, before) = (words[words.len() - 1], words[words.len() - 2]);
    let script = format!(
        "COMP_WORDS=({list}{}); COMP_CWORD={}; COMP_LINE='{list}'; COMP_POINT=${{#COMP_LINE}}\n\
         function=$(complete -p heapsite | sed 's/.*-F \\([^ ]*\\).*/\\1/')\n\
         \"$function\" heapsite '{last}' '{before}' || true\n\
         printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        if last.is_empty() { " ''" } else { "" },
        words.len() - 1,
    );
    bash(scene, &script).lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_options_and_values() {
    let scene = Scene::new();
    let commands = offered(&scene, &["heapsite", "di"]);
    assert_eq!(commands, ["diff"]);
    let all = offered(&scene, &["heapsite", ""]);
    for command in ["top", "merge", "completions", "man", "symbolize"] {
        assert!(all.iter().any(|word| word == command), "{command}: {all:?}");
    }
    assert!(
        offered(&scene, &["heapsite", "diff", "--fail"]).contains(&"--fail-on-growth".to_owned())
    );
    let by = offered(&scene, &["heapsite", "top", "--by", ""]);
    assert!(
        by.contains(&"crate".to_owned()) && by.contains(&"thread".to_owned()),
        "{by:?}"
    );
}

#[test]
fn every_shell_gets_a_script_that_names_the_commands() {
    let scene = Scene::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = scene.run(&["completions", shell]).ok();
        for word in ["symbolize", "fail-on-growth", "merge"] {
            assert!(script.contains(word), "{shell}: no {word}");
        }
    }
    assert_eq!(scene.run(&["completions", "ksh"]).code, Some(2));
}

#[test]
fn there_is_a_page_for_every_command() {
    let scene = Scene::new();
    assert_eq!(scene.run(&["man", "-o", "share/man1"]).ok(), "");
    let mut pages: Vec<String> = fs::read_dir(scene.dir.path().join("share/man1"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    pages.sort();
    let help = scene.run(&["--help"]).ok();
    let listed = help
        .split("Commands:\n")
        .nth(1)
        .unwrap()
        .split("\n\n")
        .next()
        .unwrap();
    let names = listed.lines().filter_map(|line| line.strip_prefix("  "));
    let mut expected: Vec<String> = names
        .filter(|line| !line.starts_with([' ', '-']))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(|name| format!("heapsite-{name}.1"))
        .collect();
    expected.push("heapsite.1".to_owned());
    expected.sort();
    assert_eq!(pages, expected);
    assert_eq!(
        scene.run(&["man"]).ok(),
        fs::read_to_string(scene.dir.path().join("share/man1/heapsite.1")).unwrap()
    );
}

#[test]
#[ignore = "needs man; run by ci/viewers.sh"]
fn man_shows_every_page_without_a_warning() {
    let scene = Scene::new();
    scene.run(&["man", "-o", "pages"]).ok();
    for entry in fs::read_dir(scene.dir.path().join("pages")).unwrap() {
        let page = entry.unwrap().path();
        let output = Command::new("man")
            .args(["--warnings", "-E", "UTF-8", "-l"])
            .arg(&page)
            .env("MANWIDTH", "80")
            .env("LC_ALL", "C.UTF-8")
            .output()
            .expect("man");
        let (text, warnings) = (
            String::from_utf8_lossy(&output.stdout).into_owned(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        );
        assert!(
            output.status.success() && warnings.is_empty(),
            "{page:?}: {warnings}"
        );
        for part in ["NAME", "SYNOPSIS", "EXIT STATUS", "ENVIRONMENT", "NO_COLOR"] {
            assert!(text.contains(part), "{page:?}: no {part} in {text}");
        }
        // Each option that the help tells of is told of.
        let name = page.file_stem().unwrap().to_str().unwrap().to_owned();
        let command = name.strip_prefix("heapsite-");
        let help: Vec<&str> = command.into_iter().chain(["--help"]).collect();
        let help = scene.run(&help).ok();
        let options = help
            .lines()
            .filter_map(|line| line.trim_start().strip_prefix("--"));
        for option in options.filter_map(|line| line.split([' ', '=', ',']).next()) {
            assert!(
                text.contains(&format!("--{option}")),
                "{page:?}: no --{option}"
            );
        }
    }
}

/// A profile of more than 16 MiB, most of it in a field that no reader knows.
fn large_file(scene: &Scene) -> &'static str {
    use std::io::Read;
    let packed = fs::read(scene.dir.path().join("go.pb.gz")).unwrap();
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(&*packed)
        .read_to_end(&mut bytes)
        .unwrap();
    let padding = 17 << 20;
    prost::encoding::encode_key(100, prost::encoding::WireType::LengthDelimited, &mut bytes);
    prost::encoding::encode_varint(padding, &mut bytes);
    bytes.resize(bytes.len() + padding as usize, 0);
    fs::write(scene.dir.path().join("large.pb"), bytes).unwrap();
    "large.pb"
}

/// What a command writes to a terminal.
fn on_a_terminal(scene: &Scene, args: &str) -> String {
    let output = Command::new("script")
        .args(["--quiet", "--return", "--command"])
        .arg(format!(
            "{} {args} >shown.txt",
            env!("CARGO_BIN_EXE_heapsite")
        ))
        .arg("/dev/null")
        .current_dir(scene.dir.path())
        .env("TERM", "xterm")
        .stdin(Stdio::null())
        .output()
        .expect("script, of util-linux");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}");
    text
}

#[test]
fn progress_is_shown_on_a_terminal_and_nowhere_else() {
    let scene = Scene::new();
    let large = large_file(&scene);
    let shown = on_a_terminal(&scene, &format!("top {large}"));
    assert!(shown.contains("reading large.pb"), "{shown:?}");
    assert!(shown.contains("MiB of "), "{shown:?}");
    // And taken away: the last thing is that the line is cleared.
    assert!(
        shown.trim_end().ends_with("\u{1b}[2K") || shown.contains("\u{1b}[2K"),
        "{shown:?}"
    );
    let table = fs::read_to_string(scene.dir.path().join("shown.txt")).unwrap();
    let piped = scene.run(&["top", large]);
    assert_eq!((piped.code, piped.stderr.as_str()), (Some(0), ""));
    assert_eq!(piped.stdout, table);
    let small = on_a_terminal(&scene, "top go.pb.gz");
    assert!(!small.contains("reading"), "{small:?}");
}
