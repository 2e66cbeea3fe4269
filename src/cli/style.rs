//! Colours and width, decided once: only a terminal gets colours, and `NO_COLOR` is respected.
#![forbid(unsafe_code)]

use crate::view::table::Paint;
use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use std::io::{Stderr, Stdout};

/// What the output can show.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    pub(super) color: bool,
    pub(super) err_color: bool,
    /// Columns of the terminal, if there is one.
    pub(super) width: Option<usize>,
}

impl Look {
    pub(super) fn detect(stdout: &Stdout, stderr: &Stderr) -> Look {
        Look {
            color: AutoStream::choice(stdout) != ColorChoice::Never,
            err_color: AutoStream::choice(stderr) != ColorChoice::Never,
            width: crate::sys::terminal::width(stdout),
        }
    }

    pub(super) fn paint(&self) -> Paint {
        if !self.color {
            return Paint::default();
        }
        let around = |style: Style| (style.render().to_string(), style.render_reset().to_string());
        Paint {
            heading: around(Style::new().bold().underline()),
            faint: around(Style::new().dimmed()),
            alarm: around(AnsiColor::Red.on_default().bold()),
            relief: around(AnsiColor::Green.on_default()),
        }
    }
}
