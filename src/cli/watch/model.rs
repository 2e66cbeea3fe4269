//! What the screen shows, and what keys do to it.
#![forbid(unsafe_code)]

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::asker::Answer;
use super::look::{Line, Look, Window};
use crate::Result;

pub(super) struct Model {
    pub(super) look: Look,
    /// Why the last question had no answer.
    pub(super) trouble: Option<String>,
    /// What the last key brought about.
    pub(super) message: Option<String>,
    pub(super) color: bool,
    pub(super) order: Order,
    pub(super) paused: bool,
    /// The first line of the table that is shown.
    pub(super) top: usize,
    window: Window,
}

/// How lines are sorted, the most first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Growth,
    Live,
    Allocated,
}

/// What is to be done after a key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    Stay,
    Ask,
    Dump,
    End,
}

impl Model {
    pub(super) fn new(look: Look, color: bool) -> Model {
        Model {
            look,
            trouble: None,
            message: None,
            color,
            order: Order::Growth,
            paused: false,
            top: 0,
            window: Window::All,
        }
    }

    pub(super) fn window(&self) -> Window {
        self.window
    }

    pub(super) fn take(&mut self, answer: Answer) {
        match answer {
            Ok(look) if !self.paused => {
                self.look = look;
                self.trouble = None;
            }
            Ok(_) => {}
            Err(error) => self.trouble = Some(error.to_string()),
        }
        self.top = self.top.min(self.look.diff.lines.len().saturating_sub(1));
    }

    pub(super) fn told(&mut self, dumped: Result<String>) {
        self.message = Some(match dumped {
            Ok(name) => format!("wrote {name}"),
            Err(error) => error.to_string(),
        });
    }

    pub(super) fn key(&mut self, key: KeyEvent) -> Next {
        if key.kind == KeyEventKind::Release {
            return Next::Stay;
        }
        self.message = None;
        let ctrl = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c') if ctrl => return Next::End,
            KeyCode::Char('q') | KeyCode::Esc => return Next::End,
            KeyCode::Char('d') => return Next::Dump,
            KeyCode::Char('s') => {
                self.order = self.order.next();
                self.top = 0;
            }
            KeyCode::Char('w') => {
                self.window = match self.window {
                    Window::All => Window::Minutes(60),
                    Window::Minutes(60) => Window::Minutes(10),
                    Window::Minutes(_) => Window::All,
                };
                return Next::Ask;
            }
            KeyCode::Char(' ') => self.paused = !self.paused,
            KeyCode::Down | KeyCode::Char('j') => {
                let last = self.look.diff.lines.len().saturating_sub(1);
                self.top = (self.top + 1).min(last);
            }
            KeyCode::Up | KeyCode::Char('k') => self.top = self.top.saturating_sub(1),
            KeyCode::Home | KeyCode::Char('g') => self.top = 0,
            _ => {}
        }
        Next::Stay
    }

    /// Lines in the order that was chosen.
    pub(super) fn lines(&self) -> Vec<&Line> {
        let mut lines: Vec<&Line> = self.look.diff.lines.iter().collect();
        match self.order {
            Order::Growth => lines.sort_by_key(|line| std::cmp::Reverse(line.growth.growth)),
            Order::Live => lines.sort_by_key(|line| std::cmp::Reverse(line.growth.now)),
            Order::Allocated => lines.sort_by(|a, b| {
                let [a, b] = [a, b].map(|line| line.allocated.unwrap_or(0.0));
                b.total_cmp(&a)
            }),
        }
        lines
    }
}

impl Order {
    fn next(self) -> Order {
        match self {
            Order::Growth => Order::Live,
            Order::Live => Order::Allocated,
            Order::Allocated => Order::Growth,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Order::Growth => "growth",
            Order::Live => "live now",
            Order::Allocated => "allocated meanwhile",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;

    fn press(model: &mut Model, code: KeyCode) -> Next {
        model.key(KeyEvent::from(code))
    }

    fn line(growth: i64, now: i64, allocated: f64) -> Line {
        let mut line = Line::default();
        line.growth.growth = growth;
        line.growth.now = now;
        line.allocated = Some(allocated);
        line
    }

    #[test]
    fn keys() {
        let mut look = Look::default();
        look.diff.lines = vec![line(1, 30, 2.0), line(3, 10, 1.0), line(2, 20, 3.0)];
        let mut model = Model::new(look, false);
        let growths = |model: &Model| -> Vec<i64> {
            model
                .lines()
                .iter()
                .map(|line| line.growth.growth)
                .collect()
        };
        assert_eq!(growths(&model), [3, 2, 1]);
        assert_eq!(press(&mut model, KeyCode::Char('s')), Next::Stay);
        assert_eq!(growths(&model), [1, 2, 3]);
        press(&mut model, KeyCode::Char('s'));
        assert_eq!(growths(&model), [2, 1, 3]);
        for _ in 0..9 {
            press(&mut model, KeyCode::Down);
        }
        assert_eq!(model.top, 2);
        assert_eq!(press(&mut model, KeyCode::Char('w')), Next::Ask);
        assert_eq!(model.window(), Window::Minutes(60));
        assert_eq!(press(&mut model, KeyCode::Char('d')), Next::Dump);
        let ctrl_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(model.key(ctrl_c), Next::End);
        assert_eq!(press(&mut model, KeyCode::Char('q')), Next::End);
    }

    #[test]
    fn trouble_is_shown_and_goes_and_a_pause_keeps_the_picture() {
        let mut model = Model::new(Look::default(), false);
        model.take(Err(Error::input("it is gone")));
        assert_eq!(model.trouble.as_deref(), Some("it is gone"));
        let newer = Look {
            pid: 7,
            ..Look::default()
        };
        press(&mut model, KeyCode::Char(' '));
        model.take(Ok(newer.clone()));
        assert_eq!(model.look.pid, 0);
        press(&mut model, KeyCode::Char(' '));
        model.take(Ok(newer));
        assert_eq!((model.look.pid, model.trouble), (7, None));
    }
}
