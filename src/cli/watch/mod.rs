//! `heapsite watch`: a service's memory, look by look.
//!
//! ```text
//! keys ──▶ model ◀── looks ◀── thread that asks the service
//!            └──▶ screen, or a line per look where there is no terminal
//! ```
#![forbid(unsafe_code)]

mod asker;
mod look;
mod model;
mod screen;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use ratatui::crossterm::event::{self, Event};

use super::service::Service;
use super::style::Look as Style;
use super::{Failure, args};
use crate::Error;
use asker::Asker;
use model::{Model, Next};

/// How long a key waits at most.
const BEAT: Duration = Duration::from_millis(100);

pub(super) fn run(
    args: &args::Watch,
    style: &Style,
    out: &mut dyn Write,
) -> Result<ExitCode, Failure> {
    let service = Service::new(&args.url)?;
    let asker = Asker::start(service, args.every)?;
    match std::io::stdout().is_terminal() && std::io::stdin().is_terminal() {
        true => on_screen(args, style, &asker),
        false => in_lines(args, &asker, out),
    }
}

/// A line per look, until the reader leaves.
fn in_lines(args: &args::Watch, asker: &Asker, out: &mut dyn Write) -> Result<ExitCode, Failure> {
    let mut looks = 0;
    while args.count.is_none_or(|count| looks < count) {
        let look = asker.next()?;
        writeln!(out, "{}", look.line())?;
        out.flush()?;
        looks += 1;
    }
    Ok(ExitCode::SUCCESS)
}

fn on_screen(args: &args::Watch, style: &Style, asker: &Asker) -> Result<ExitCode, Failure> {
    // The first answer comes before the screen is taken: what is wrong with the address is told in plain text.
    let mut model = Model::new(asker.next()?, style.color);
    let mut looks = 1;
    let mut terminal = ratatui::try_init()?;
    let done = loop {
        if let Err(error) = terminal.draw(|frame| screen::draw(&model, frame)) {
            break Err(error.into());
        }
        match event::poll(BEAT).and_then(|ready| ready.then(event::read).transpose()) {
            Ok(Some(Event::Key(key))) => match model.key(key) {
                Next::Stay => {}
                Next::Ask => asker.ask(model.window()),
                Next::Dump => model.told(asker.dump()),
                Next::End => break Ok(ExitCode::SUCCESS),
            },
            Ok(_) => {}
            Err(error) => break Err(error.into()),
        }
        while let Some(answer) = asker.poll() {
            looks += 1;
            model.take(answer);
        }
        if args.count.is_some_and(|count| looks >= count) {
            break Ok(ExitCode::SUCCESS);
        }
    };
    ratatui::restore();
    done
}

fn gone() -> Error {
    Error::unsupported("the thread that asks the service has ended; please report this")
}
