//! `heapsite shell`: a prompt over one profile, with the commands of the command line and the words of pprof's prompt.
#![forbid(unsafe_code)]

mod line;
mod prompt;
mod settings;

use std::io::{self, BufRead, IsTerminal, Write};
use std::process::{Command as Process, ExitCode, Stdio};

use clap::CommandFactory;
use clap::Parser;

use super::style::Look;
use super::{Failure, about, args, input, output};
use crate::view::name::printable;
use crate::{Error, Profile, Result};
use line::{Line, Run};
use prompt::Prompt;
use settings::{SETTINGS, Settings};

/// Commands of the prompt: those of the command line that look at one profile, and pprof's names for them.
const COMMANDS: &[(&str, &str)] = &[
    ("top", "top"),
    ("text", "top"),
    ("list", "list"),
    ("peek", "peek"),
    ("tree", "tree"),
    ("traces", "traces"),
    ("tags", "tags"),
    ("flame", "flame"),
    ("svg", "flame"),
    ("web", "flame"),
    ("info", "info"),
    ("leaks", "leaks"),
    ("tasks", "tasks"),
    ("convert", "convert"),
    ("proto", "convert"),
];

/// What pprof has and this has not, with what to use.
const ELSEWHERE: &[(&str, &str)] = &[
    ("weblist", "`list` shows source with values"),
    (
        "disasm",
        "`list` shows source with values; machine code is objdump's work",
    ),
    ("dot", "`tree` has the calls, and `web` draws a flame graph"),
    ("gif", "`svg >x.svg` draws a flame graph"),
    ("png", "`svg >x.svg` draws a flame graph"),
    ("pdf", "`svg >x.svg` draws a flame graph"),
    ("ps", "`svg >x.svg` draws a flame graph"),
    ("gv", "`web` draws a flame graph"),
    ("evince", "`web` draws a flame graph"),
    ("eog", "`web` draws a flame graph"),
    (
        "kcachegrind",
        "`convert --to callgrind -o FILE` writes what it reads",
    ),
    ("callgrind", "`convert --to callgrind -o FILE` writes it"),
    ("topproto", "`proto >x.pb.gz` writes all of it"),
    ("raw", "`traces` has the stacks"),
    ("comments", "`info` has them"),
];

/// A profile and what is set.
struct Session<'s> {
    name: String,
    profile: Profile,
    settings: Settings,
    look: &'s Look,
}

pub(super) fn run(
    args: &args::Shell,
    look: &Look,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<ExitCode, Failure> {
    if args.profile == "-" {
        let why = "the prompt reads stdin, so the profile cannot: give its file or address";
        return Err(Error::input(why).into());
    }
    let profile = input::read(&args.profile)?;
    input::keep(&args.profile, profile.clone());
    let mut session = Session {
        name: args.profile.clone(),
        profile,
        settings: Settings::default(),
        look,
    };
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return session.script(stdin.lock(), out, err);
    }
    writeln!(out, "{}", about::origin(&session.name, &session.profile))?;
    writeln!(
        out,
        "`help` lists the commands, `o` the options, Tab completes, `quit` ends"
    )?;
    out.flush()?;
    let mut prompt = Prompt::new(session.words())?;
    while let Some(text) = prompt.next()? {
        match session.line(&text, out, err) {
            Ok(Next::Quit) => break,
            Ok(Next::Line) => {}
            Err(why) => writeln!(err, "{}", printable(&why))?,
        }
        out.flush()?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether there is another line to come.
#[derive(PartialEq)]
enum Next {
    Line,
    Quit,
}

impl Session<'_> {
    /// Lines from a pipe or a file. Every error is told, and the exit code says that there was one.
    fn script(
        &mut self,
        lines: impl BufRead,
        out: &mut dyn Write,
        err: &mut dyn Write,
    ) -> Result<ExitCode, Failure> {
        let mut code = ExitCode::SUCCESS;
        for (at, text) in lines.lines().enumerate() {
            let text = text.map_err(|error| Error::io("cannot read stdin", error))?;
            match self.line(&text, out, err) {
                Ok(Next::Quit) => break,
                Ok(Next::Line) => {}
                Err(why) => {
                    code = ExitCode::from(2);
                    let _ = writeln!(err, "heapsite: line {}: {}", at + 1, printable(&why));
                }
            }
        }
        Ok(code)
    }

    fn line(
        &mut self,
        text: &str,
        out: &mut dyn Write,
        err: &mut dyn Write,
    ) -> Result<Next, String> {
        let kinds = self.sample_types();
        let is_command = |name: &str| COMMANDS.iter().any(|(known, _)| *known == name);
        let is_option = |name: &str| {
            SETTINGS.iter().any(|it| it.name == name) || kinds.iter().any(|kind| kind == name)
        };
        let first = text.split_whitespace().next().unwrap_or("");
        if let Some((_, instead)) = ELSEWHERE.iter().find(|(name, _)| *name == first) {
            return Err(format!("there is no {first} here: {instead}"));
        }
        let written = match line::parse(text, is_command, is_option)? {
            Line::Nothing => Ok(()),
            Line::Quit => return Ok(Next::Quit),
            Line::Help(of) => self.help(of.as_deref(), out)?,
            Line::Options => self.options(out),
            Line::Set(name, value) => {
                self.settings.set(&name, &value, &kinds)?;
                Ok(())
            }
            Line::Switch(name) => {
                self.settings.switch(&name, &kinds)?;
                Ok(())
            }
            Line::Run(run) => {
                self.run(&run, out, err)?;
                Ok(())
            }
        };
        written.map_err(|error| error.to_string())?;
        Ok(Next::Line)
    }

    fn sample_types(&self) -> Vec<String> {
        let kinds = self.profile.sample_types.iter();
        kinds.map(|kind| kind.kind.clone()).collect()
    }

    /// Runs a command of the command line with what is set, and with what belongs to this line alone.
    fn run(&self, run: &Run, out: &mut dyn Write, err: &mut dyn Write) -> Result<(), String> {
        let known = COMMANDS.iter().find(|(name, _)| *name == run.command);
        let command = known.map_or(run.command.as_str(), |(_, command)| command);
        let mut settings = self.settings.clone();
        if let Some(rows) = run.rows {
            settings = settings.without("nodecount");
            settings.set("nodecount", &rows.to_string(), &[])?;
        }
        if let Some(cum) = run.cum {
            settings.set("cum", if cum { "true" } else { "false" }, &[])?;
        }
        let has_pattern = matches!(command, "list" | "peek");
        if has_pattern && run.words.is_empty() {
            return Err(format!(
                "{command}: a regular expression is missing, as in `{command} Cache`"
            ));
        }
        let either = |words: &[String]| words.join("|");
        if !run.words.is_empty() && !has_pattern {
            settings.set("focus", &either(&run.words), &[])?;
        }
        if !run.without.is_empty() {
            let ignore = match settings.get("ignore") {
                Some(all) => format!("{all}|{}", either(&run.without)),
                None => either(&run.without),
            };
            settings.set("ignore", &ignore, &[])?;
        }
        let mut line = vec!["heapsite".to_owned(), command.to_owned()];
        if has_pattern {
            line.push(either(&run.words));
        }
        line.push(self.name.clone());
        line.extend(settings.options(|option| knows(command, option)));
        line.extend(run.options.iter().cloned());
        if run.command == "web" {
            return self.web(line, out, err);
        }
        match (&run.output, command) {
            // These write files themselves: whole or not at all, with notes on what is left out.
            (Some(file), "flame" | "convert") => {
                line.push(format!("--output={file}"));
                self.execute(line, self.look, out, err)
            }
            (None, "flame") => {
                Err("flame: name a file, as in `flame >x.svg`, or see it with `web`".to_owned())
            }
            (Some(file), _) => {
                // A file is no terminal.
                let look = Look {
                    color: false,
                    err_color: self.look.err_color,
                    width: None,
                };
                let mut text = Vec::new();
                self.execute(line, &look, &mut text, err)?;
                let written = output::bytes(file.as_ref(), &text, out);
                written.map_err(|Failure(error)| error.to_string())
            }
            (None, _) => self.execute(line, self.look, out, err),
        }
    }

    fn execute(
        &self,
        line: Vec<String>,
        look: &Look,
        out: &mut dyn Write,
        err: &mut dyn Write,
    ) -> Result<(), String> {
        let args = args::Args::try_parse_from(line).map_err(|usage| {
            let text = usage.render().to_string();
            text.trim_start_matches("error: ").trim_end().to_owned()
        })?;
        match super::execute(args, look, out, err) {
            // Findings and the like are no errors at a prompt.
            Ok(_) => Ok(()),
            Err(Failure(error)) => Err(error.to_string()),
        }
    }

    /// Draws into a file that stays, and opens it.
    fn web(
        &self,
        mut line: Vec<String>,
        out: &mut dyn Write,
        err: &mut dyn Write,
    ) -> Result<(), String> {
        let file = std::env::temp_dir().join(format!("heapsite.{}.svg", std::process::id()));
        line.push(format!("--output={}", file.display()));
        self.execute(line, self.look, out, err)?;
        let browser = std::env::var("BROWSER")
            .ok()
            .filter(|name| !name.is_empty());
        let browser = browser.as_deref().unwrap_or("xdg-open");
        let mut open = Process::new(browser);
        open.arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let opened = open.spawn();
        let text = match opened {
            Ok(_) => format!("{} (opened with {browser})", file.display()),
            Err(error) => format!(
                "{}: cannot start {browser} ({error}); BROWSER names another program",
                file.display()
            ),
        };
        writeln!(out, "{text}").map_err(|error| error.to_string())
    }

    fn help(&self, of: Option<&str>, out: &mut dyn Write) -> Result<io::Result<()>, String> {
        let Some(of) = of else {
            return Ok(self.help_of_all(out));
        };
        if let Some(setting) = SETTINGS.iter().find(|it| it.name == of) {
            return Ok(writeln!(out, "{of}=…: {}", setting.meaning));
        }
        let known = COMMANDS.iter().find(|(name, _)| *name == of);
        let Some((_, command)) = known else {
            return Err(format!(
                "there is nothing called {of}; `help` lists the commands, and `o` the options"
            ));
        };
        let mut all = args::Args::command();
        let found = all.find_subcommand_mut(command);
        Ok(match found {
            Some(command) => write!(out, "{}", command.render_long_help()),
            None => writeln!(out, "{of} is not in this version"),
        })
    }

    fn help_of_all(&self, out: &mut dyn Write) -> io::Result<()> {
        let all = args::Args::command();
        for (name, command) in COMMANDS {
            let about = all
                .find_subcommand(command)
                .and_then(clap::Command::get_about);
            let Some(about) = about else { continue };
            match (name == command, *name) {
                (true, _) => writeln!(out, "  {name:<8} {about}")?,
                (false, "web") => writeln!(out, "  {name:<8} the same, in a browser")?,
                (false, _) => writeln!(out, "  {name:<8} the same as {command}")?,
            }
        }
        writeln!(
            out,
            "\n  top10 Cache -tests   ten rows of stacks through Cache and not through tests\n  \
             tree >calls.txt      into a file\n  \
             focus=Cache          stays until focus=\n  \
             inuse_space          chooses the sample type\n  \
             help COMMAND, o (options), quit"
        )
    }

    fn options(&self, out: &mut dyn Write) -> io::Result<()> {
        for setting in SETTINGS {
            let value = self.settings.get(setting.name).unwrap_or("");
            writeln!(
                out,
                "  {:<22} = {:<16} //: {}",
                setting.name,
                printable(value),
                setting.meaning
            )?;
        }
        writeln!(out, "  sample types: {}", self.sample_types().join(", "))
    }

    /// What Tab may complete.
    fn words(&self) -> prompt::Words {
        let names = COMMANDS.iter().map(|(name, _)| (*name).to_owned());
        let settings = SETTINGS.iter().map(|it| format!("{}=", it.name));
        let mut functions: Vec<String> = self
            .profile
            .functions
            .iter()
            .map(|it| it.name.clone())
            .collect();
        functions.sort();
        functions.dedup();
        let more = ["help", "o", "quit"].map(str::to_owned);
        prompt::Words {
            commands: names
                .chain(settings)
                .chain(self.sample_types())
                .chain(more)
                .collect(),
            functions,
        }
    }
}

/// Whether a command takes an option.
fn knows(command: &str, option: &str) -> bool {
    let all = args::Args::command();
    let Some(command) = all.find_subcommand(command) else {
        return false;
    };
    command.get_arguments().any(|argument| {
        let aliases = argument.get_all_aliases().unwrap_or_default();
        let short = argument.get_short().map(String::from);
        argument.get_long() == Some(option)
            || aliases.contains(&option)
            || short.as_deref() == Some(option)
    })
}
